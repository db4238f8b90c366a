"""Names of enumerations as people read them."""

from enum import Enum


def in_words(value: Enum) -> str:
    """Return a member in words: WAITING_FOR_VEHICLE as "waiting for vehicle"."""
    return value.name.lower().replace("_", " ")
