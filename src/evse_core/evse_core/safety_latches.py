"""Faults that wait for an operator, as they are kept while safety_monitor does not run: a person has to look at them, and a restart is no person."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from evse_core.types import Reaction

VERSION = 1


@dataclass(frozen=True, slots=True)
class Latch:
    """A raised fault with reset OPERATOR: its row, its reaction, what was seen."""

    fault: str
    reaction: Reaction
    detail: str


def to_text(latches: Iterable[Latch]) -> str:
    """Return latches as JSON."""
    faults = [{"fault": latch.fault, "reaction": latch.reaction.name, "detail": latch.detail} for latch in latches]
    return json.dumps({"version": VERSION, "faults": faults}, indent=1) + "\n"


def from_text(text: str, known: Iterable[str]) -> tuple[Latch, ...]:
    """Return latches from JSON; ValueError says why the text is not one of to_text with faults that are known."""
    try:
        data = json.loads(text)
        version, faults = data["version"], data["faults"]
        if not isinstance(faults, list) or not all(isinstance(item["fault"], str) for item in faults):
            raise TypeError("faults is no list of named faults")
        latches = tuple(Latch(item["fault"], Reaction[item["reaction"]], str(item["detail"])) for item in faults)
    except (json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"is no list of latched faults: {type(error).__name__}: {error}") from error
    if version != VERSION:
        raise ValueError(f"has version {version}, this program knows {VERSION}")
    if unknown := sorted({latch.fault for latch in latches} - set(known)):
        raise ValueError(f"names faults that this program does not know: {', '.join(unknown)}")
    if mild := [latch.fault for latch in latches if latch.reaction < Reaction.WARN]:
        raise ValueError(f"names faults without a reaction: {', '.join(mild)}")
    return latches
