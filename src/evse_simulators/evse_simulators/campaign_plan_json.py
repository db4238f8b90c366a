"""A plan of the campaign to JSON and back: what is wrong in one is named."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from evse_core.types import ChargeState
from evse_simulators import campaign_plan_ac as ac
from evse_simulators.campaign_plan import (
    ACTIONS,
    CHADEMO_GIVING_FAULTS,
    FAULT,
    FOR_EVER,
    KINDS,
    KINDS_OF,
    LED_GIVING_FAULTS,
    LINK,
    LINK_MODES,
    LINKS,
    LONGEST_BOUNCE,
    POWER_FAILURE,
    RULE,
    RULE_MODES,
    RULES,
    TOPIC,
    TOPIC_MODES,
    TOPICS,
    Action,
    Disturbance,
    Plan,
    config,
)


def to_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON values."""
    return asdict(plan) | {"vehicle": dict(plan.vehicle), "station": dict(plan.station)}


def from_json(value: Any) -> Plan:
    """Return the plan that to_json wrote; ValueError names what is wrong."""
    if not isinstance(value, dict):
        raise ValueError("a plan is a JSON object")
    _known(value, Plan, "plan")
    if not isinstance(value.get("seed"), int):
        raise ValueError("plan: seed: an integer is needed")
    actions = tuple(_action(item) for item in value.get("actions", ()))
    disturbances = tuple(_read_disturbance(item) for item in value.get("disturbances", ()))
    link = value.get("link", "chademo")
    _one_of("plan: link", link, tuple(KINDS_OF))
    plan = Plan(value["seed"], value.get("number", 1), value.get("vehicle", {}), value.get("station", {}), actions, disturbances, link)
    try:
        config(plan)
    except TypeError as error:
        raise ValueError(f"plan: vehicle or station: {error}") from error
    return plan


def _known(value: Mapping[str, Any], kind: Any, name: str) -> None:
    unknown = set(value) - {item.name for item in fields(kind)}
    if unknown:
        raise ValueError(f"{name}: unknown key {', '.join(sorted(unknown))}")


def _action(value: Mapping[str, Any]) -> Action:
    _known(value, Action, "action")
    action = Action(**value)
    _one_of("action: name", action.name, ACTIONS)
    _check_moment("action", action)
    return action


def _read_disturbance(value: Mapping[str, Any]) -> Disturbance:
    _known(value, Disturbance, "disturbance")
    item = Disturbance(**value)
    _one_of("disturbance: kind", item.kind, KINDS)
    targets: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
        FAULT: (tuple(dict.fromkeys((*CHADEMO_GIVING_FAULTS, *LED_GIVING_FAULTS, *ac.AC_FAULTS))), ("",)),
        LINK: (LINKS, LINK_MODES),
        TOPIC: (TOPICS, TOPIC_MODES),
        RULE: (RULES, RULE_MODES),
        POWER_FAILURE: (("",), ("",)),
    }
    names, modes = targets[item.kind]
    _one_of("disturbance: target", item.target, names)
    _one_of("disturbance: mode", item.mode, modes)
    _check_moment("disturbance", item)
    _in_range("disturbance: duration", item.duration, 0.0, LONGEST_BOUNCE if item.kind == FAULT and item.share else FOR_EVER)
    _in_range("disturbance: share", item.share, 0.0, 1.0)
    return item


def _check_moment(name: str, item: Action | Disturbance) -> None:
    _one_of(f"{name}: when", item.when, ("", *(state.name for state in ChargeState)))
    _in_range(f"{name}: delay", item.delay, 0.0, FOR_EVER)


def _in_range(name: str, value: Any, low: float, high: float) -> None:
    if not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"{name}: {value!r} is not a number from {low:g} to {high:g}")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}: {value!r} is none of {', '.join(known)}")
