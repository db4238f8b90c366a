"""Finds the shortest plan that still breaks the same invariant: leaves things out, one after the other, then makes times short and round."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from evse_simulators.campaign_cabinet_plan import CabinetPlan
from evse_simulators.campaign_plan import FOR_EVER, Plan

# Both kinds of plans: disturbances and actions with a delay, station and vehicle as mappings.
P = TypeVar("P", bound=Plan | CabinetPlan)

# Plays that the search may cost; most plans are small after half of them. [1]
BUDGET = 80
# Delays and durations that are tried, the simplest first; then half of what is there. [s]
SIMPLE_DELAYS = (0.0, 0.5, 1.0)
SIMPLE_DURATIONS = (FOR_EVER, 0.5, 1.0)


def shrink(plan: P, fails: Callable[[P], bool], budget: int = BUDGET) -> P:
    """Return a plan that fails and of which, within the budget, no simpler one was found to fail; the same plan gives the same answer."""
    found = True
    while found and budget > 0:
        found = False
        for candidate in _simpler(plan):
            if budget <= 0:
                break
            budget -= 1
            if fails(candidate):
                plan, found = candidate, True
                break
    return plan


def _simpler(plan: P) -> Iterator[P]:
    """Yield simpler plans, the much simpler first."""
    for name in ("disturbances", "actions"):
        items: tuple[Any, ...] = getattr(plan, name)
        for index in range(len(items)):
            yield _changed(plan, name, items[:index] + items[index + 1 :])
    for name in ("station", "vehicle"):
        values = getattr(plan, name)
        for key in values:
            yield _changed(plan, name, {other: value for other, value in values.items() if other != key})
    for name in ("disturbances", "actions"):
        for index, item in enumerate(getattr(plan, name)):
            yield from (_with(plan, name, index, simple) for simple in _simpler_times(item))


def _simpler_times(item: Any) -> Iterator[Any]:
    """Yield the same with a simpler delay or duration."""
    for delay in SIMPLE_DELAYS:
        # Of the simple times each is simpler than the ones after it, and than all others.
        if delay == item.delay:
            break
        yield replace(item, delay=delay)
    duration = getattr(item, "duration", None)
    if duration is None:
        return
    for simple in SIMPLE_DURATIONS[1:] if item.kind in {"rule", "power_failure"} or item.share > 0.0 else SIMPLE_DURATIONS:
        if simple == duration:
            break
        yield replace(item, duration=simple)


def _with(plan: P, name: str, index: int, item: Any) -> P:
    items: tuple[Any, ...] = getattr(plan, name)
    return _changed(plan, name, (*items[:index], item, *items[index + 1 :]))


def _changed(plan: P, name: str, value: Any) -> P:
    changes: dict[str, Any] = {name: value}
    return replace(plan, **changes)
