"""Any field of any report with a value that it should not have: for state machines that spoil inputs. New fields are covered by themselves."""

from dataclasses import fields, is_dataclass, replace
from enum import IntEnum
from math import inf, nan
from typing import Any, get_type_hints

from hypothesis import strategies as st

NUMBERS = (nan, inf, -inf, -1.0, 0.0, 0.04, 1.0, 9.0, 20.0, 61.0, 126.0, 390.0, 410.0, 501.0, 510_000.0, 1e30)
COUNTS = (0, 1, 2, 3, 15, 200, 255)
TEXTS = ("", "A", "04AABBCC", "é\n", "x" * 100)


def changes(value: Any, without: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    """Return (field, value) for every field of a dataclass instance but those of `without`, with each value that its type makes interesting."""
    hints = get_type_hints(type(value))
    return [(item.name, new) for item in fields(value) if item.name not in without for new in _values(hints[item.name])]


def _values(hint: Any) -> tuple[Any, ...]:
    if hint is bool:
        return False, True
    if hint is float:
        return NUMBERS
    if hint is str:
        return TEXTS
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return tuple(hint)
    if is_dataclass(hint):
        return tuple(replace(hint(), **{name: new}) for name, new in changes(hint()))  # type: ignore[arg-type, type-var]
    return COUNTS if hint is int else ((),)


def spoiled(parts: dict[str, Any], without: tuple[str, ...] = ()) -> st.SearchStrategy[tuple[str, str, Any]]:
    """Return a strategy for (part, field, value); each field is as likely as any other."""
    by_field: dict[tuple[str, str], list[Any]] = {}
    for part, value in parts.items():
        for name, new in changes(value, without):
            by_field.setdefault((part, name), []).append(new)
    pairs = st.sampled_from(sorted(by_field))
    return pairs.flatmap(lambda pair: st.sampled_from(by_field[pair]).map(lambda new: (*pair, new)))


def with_changes(value: Any, patch: dict[str, Any]) -> Any:
    """Return the value with fields replaced."""
    return replace(value, **patch)
