"""A CAN frame without a bus library."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """Identifier (11 bits, or 29 where extended) and 0 to 8 bytes of payload."""

    id: int
    data: bytes
    extended: bool = False
