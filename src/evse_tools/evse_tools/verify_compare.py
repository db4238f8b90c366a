"""Whether a message that today's rules would publish is the one that was recorded: exactly, as far as the message could carry it."""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from math import isnan
from operator import attrgetter
from typing import Any

from evse_core import types
from evse_core.trace import as_sent
from evse_tools.bag_codec import TIME, Slot

Layouts = Mapping[str, Sequence[Slot]]


@dataclass(frozen=True, slots=True)
class Change:
    """One field: its path in the message, what was recorded, what today's rules say."""

    field: str
    recorded: Any
    now: Any


class Comparer:
    """Compares values of one message type, by the fields that the recording had for it. A stamp of 0 is one that the publisher gives."""

    def __init__(self, type_name: str, layouts: Layouts) -> None:
        known = {item.name for item in fields(getattr(types, type_name.rpartition("/")[2]))}
        slots = [slot for slot in layouts[type_name] if slot.name in known]
        single = {slot.name: slot.type_name for slot in slots if not slot.array}
        self._layouts = layouts
        self._narrow = _group([name for name, kind in single.items() if kind == "float32"])
        self._wide = _group([name for name, kind in single.items() if kind == "float64"])
        self._times = [name for name, kind in single.items() if kind == TIME]
        self._inner = {name: Comparer(kind, layouts) for name, kind in single.items() if kind in layouts and kind != TIME}
        self._exact = _group([name for name in single if name not in {*self._narrow[0], *self._wide[0], *self._times, *self._inner}])
        self._lists = {slot.name: slot.type_name for slot in slots if slot.array}
        self._pack = struct.Struct(f"<{len(self._narrow_names)}f{len(self._wide_names)}d").pack

    @property
    def _narrow_names(self) -> list[str]:
        return self._narrow[0]

    @property
    def _wide_names(self) -> list[str]:
        return self._wide[0]

    def same(self, recorded: Any, now: Any) -> bool:
        """Return whether nothing differs."""
        if self._exact[1](recorded) != self._exact[1](now):
            return False
        try:
            if self._packed(recorded) != self._packed(now):
                return not self.changes(recorded, now)
        except (OverflowError, struct.error):
            return not self.changes(recorded, now)
        if any(_time_differs(getattr(recorded, name), getattr(now, name), name) for name in self._times):
            return False
        if any(not inner.same(getattr(recorded, name), getattr(now, name)) for name, inner in self._inner.items()):
            return False
        return not self._lists or not self.changes(recorded, now)

    def _packed(self, value: Any) -> bytes:
        return self._pack(*self._narrow[1](value), *self._wide[1](value))

    def changes(self, recorded: Any, now: Any, path: str = "") -> list[Change]:
        """Return what differs."""
        found = []
        for name in (*self._exact[0], *self._narrow_names, *self._wide_names, *self._times):
            left, right = getattr(recorded, name), getattr(now, name)
            if self._differs(name, left, right):
                found.append(Change(path + name, left, right))
        for name, inner in self._inner.items():
            found += inner.changes(getattr(recorded, name), getattr(now, name), f"{path}{name}.")
        for name, kind in self._lists.items():
            found += self._list_changes(path + name, kind, getattr(recorded, name), getattr(now, name))
        return found

    def _differs(self, name: str, left: Any, right: Any) -> bool:
        if name in self._times:
            return _time_differs(left, right, name)
        if name in self._narrow_names:
            right = _narrowed(right)
        if isinstance(left, float) and isinstance(right, float) and isnan(left) and isnan(right):
            return False
        return bool(left != right)

    def _list_changes(self, path: str, kind: str, left: Any, right: Any) -> list[Change]:
        if len(left) != len(right) or kind not in self._layouts:
            return [] if tuple(left) == tuple(right) else [Change(path, left, right)]
        inner = Comparer(kind, self._layouts)
        pairs = enumerate(zip(left, right, strict=True))
        return [change for number, (one, other) in pairs for change in inner.changes(one, other, f"{path}[{number}].")]


def _group(names: list[str]) -> tuple[list[str], Callable[[Any], tuple[Any, ...]]]:
    """Return the names with what takes all of their values at once."""
    if not names:
        return names, lambda value: ()
    get = attrgetter(*names)
    return names, get if len(names) > 1 else lambda value: (get(value),)


def _narrowed(value: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return value


def _time_differs(left: float, right: float, name: str) -> bool:
    return bool(left != as_sent(right)) and not (name == "stamp" and right == 0.0)


def facts(value: Any) -> dict[str, Any]:
    """Return the fields of a message that are not as they are by default, for people."""
    if not is_dataclass(value) or isinstance(value, type):
        return {}
    default = value.__class__()
    return {item.name: getattr(value, item.name) for item in fields(value) if getattr(value, item.name) != getattr(default, item.name)}


def plain(value: Any) -> Any:
    """Return a value as JSON and people read it: enumerations by name."""
    return value.name if hasattr(value, "name") and hasattr(value, "value") else value
