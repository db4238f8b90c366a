"""The state of rules as text, so that a recording can be verified from its middle on.

An object of evse_core is written by the names of its fields and read back into one that today's constructors made: what a class gained since keeps what its
constructor gave it, what it lost is dropped. Only classes of evse_core are ever made, from plain data: a recording cannot bring code along.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from evse_core import (
    charge_records,
    charge_sequencer_session,
    energy_manager_loop,
    energy_meter,
    energy_meter_read,
    fault,
    meter_loss,
    node_watch,
    safety_latches,
    safety_monitor,
    safety_trends,
    safety_view,
    sample,
    session_readings,
    types,
)
from evse_core.fault import Fault
from evse_core.fault_table import BY_NAME

# Where the classes are whose objects are part of a state.
MODULES = (
    types,
    sample,
    fault,
    charge_sequencer_session,
    safety_monitor,
    safety_view,
    safety_trends,
    safety_latches,
    node_watch,
    energy_meter,
    energy_meter_read,
    meter_loss,
    charge_records,
    energy_manager_loop,
    session_readings,
)
CLASSES = {kind.__name__: kind for module in MODULES for kind in vars(module).values() if isinstance(kind, type)}
# What an object was constructed with, or made of that, by the name of its class: it is there before its state is read back.
FIXED: Mapping[str, frozenset[str]] = {
    "ChargeSequencer": frozenset({"_config", "_link"}),
    "SafetyMonitor": frozenset({"_config", "_link", "_rows", "_conditions", "_other_rows", "_limits"}),
    "CurrentEnvelope": frozenset({"_config", "_limit"}),
    "TrendWatch": frozenset({"config"}),
    "OutputWatch": frozenset({"_config"}),
    "NodeWatch": frozenset({"_config", "_expected", "_description"}),
    "EnergyManager": frozenset({"_config", "_evses"}),
    "DischargeManager": frozenset({"_config"}),
    "EnergyMeter": frozenset({"_config"}),
    "SessionTimes": frozenset({"max_gap"}),
    "ReadMeter": frozenset({"_link"}),
    "SequencerLoop": frozenset(),
    "SafetyLoop": frozenset({"_expected"}),
    "ManagerLoop": frozenset({"names", "_config", "_inputs"}),
}


_COLLECTIONS: Mapping[str, Callable[[Iterable[Any]], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}


class SnapshotError(ValueError):
    """A state cannot be written or read back; the text says what of it."""


def capture(thing: Any) -> str:
    """Return the state of an object as text; SnapshotError names what has no form."""
    return json.dumps(_Writer().written(thing), separators=(",", ":"))


def restore(thing: Any, text: str) -> None:
    """Give an object that was just constructed the state in a text of `capture`; SnapshotError where the text is none of an object like this."""
    try:
        _Reader().read(json.loads(text), thing)
        getattr(thing, "after_restore", lambda: None)()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise SnapshotError(f"a snapshot of {type(thing).__name__} cannot be read: {error!r}") from error


class _Writer:
    """Writes each mapping once: that two names mean the same one is part of the state."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []

    def written(self, value: Any) -> Any:
        if value is None or type(value) in {bool, int, float, str}:
            return value
        if type(value) is list:
            return [self.written(item) for item in value]
        if isinstance(value, Enum):
            return {"enum": type(value).__name__, "is": value.value}
        if isinstance(value, Fault):
            return {"fault": value.name}
        if isinstance(value, Mapping):
            return self._mapping(value)
        return self._collection(value) or self._object(value)

    def _mapping(self, value: Mapping[Any, Any]) -> Any:
        if id(value) in self._seen:
            return {"same": self._seen[id(value)]}
        self._seen[id(value)] = number = len(self._seen)
        # What is there as long as this writer is cannot lend its identity to another.
        self._kept.append(value)
        return {"map": [[self.written(key), self.written(item)] for key, item in value.items()], "number": number}

    def _collection(self, value: Any) -> Any:
        if isinstance(value, deque):
            return {"deque": [self.written(item) for item in value], "longest": value.maxlen}
        name = type(value).__name__
        return {name: [self.written(item) for item in value]} if name in _COLLECTIONS else None

    def _object(self, value: Any) -> Any:
        kind = type(value)
        if hasattr(value, "to_snapshot"):
            return {"own": self.written(value.to_snapshot())}
        if kind.__name__ not in CLASSES and kind.__name__ not in FIXED:
            raise SnapshotError(f"a {kind.__module__}.{kind.__qualname__} has no form in a snapshot")
        fixed = FIXED.get(kind.__name__, frozenset())
        return {"object": kind.__name__, "has": {name: self.written(getattr(value, name)) for name in _fields(value) if name not in fixed}}


class _Reader:
    def __init__(self) -> None:
        self._maps: dict[int, dict[Any, Any]] = {}

    def read(self, data: Any, existing: Any = None) -> Any:
        """Return what was written; `existing` is what the constructor put there."""
        if isinstance(data, list):
            return [self.read(item) for item in data]
        if not isinstance(data, dict):
            return data
        kind, content = next(iter(data.items()))
        if kind == "object":
            return self._object(content, data["has"], existing)
        if kind == "own":
            existing.from_snapshot(self.read, dict(content["map"]))
            return existing
        return self._plain(kind, content, data)

    def _plain(self, kind: str, content: Any, data: Mapping[str, Any]) -> Any:
        match kind:
            case "enum":
                return CLASSES[content](data["is"])
            case "fault":
                return BY_NAME[content]
            case "same":
                return self._maps[content]
            case "map":
                return self._mapping(content, data["number"])
            case "deque":
                return deque((self.read(item) for item in content), maxlen=data["longest"])
            case _:
                return _COLLECTIONS[kind](self.read(item) for item in content)

    def _mapping(self, content: Any, number: int) -> dict[Any, Any]:
        self._maps[number] = result = {}
        result.update({self.read(key): self.read(item) for key, item in content})
        return result

    def _object(self, kind: str, has: Mapping[str, Any], existing: Any) -> Any:
        made = CLASSES.get(kind)
        if made is not None and kind not in FIXED and is_dataclass(made):
            known = {item.name for item in fields(made)}
            return made(**{name: self.read(value) for name, value in has.items() if name in known})
        result = existing if type(existing).__name__ == kind else CLASSES[kind]()
        for name in _fields(result):
            if name in has:
                setattr(result, name, self.read(has[name], getattr(result, name)))
        return result


def _fields(value: Any) -> list[str]:
    return [item.name for item in fields(value)] if is_dataclass(value) else list(vars(value))
