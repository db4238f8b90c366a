"""The vehicle links by name, as descriptions and parameters have them: what the vehicle of an EVSE hangs on (docs/design.md, Vehicle links)."""

from typing import Any

from evse_core.parameter import parameter

CHADEMO = "chademo"
SECC = "secc"
PILOT = "pilot"
# In the order in which documents show them; the first is the default.
NAMES = (CHADEMO, SECC, PILOT)


def link_parameter() -> Any:
    """Return the field `vehicle_link` of a configuration."""
    return parameter(
        CHADEMO,
        "",
        "what the vehicle hangs on: chademo, secc for a charge controller, or pilot for AC by its control pilot",
        "docs/design.md, Vehicle links",
    )


def check(name: str) -> None:
    """Raise ValueError where a name is none of the links."""
    if name not in NAMES:
        raise ValueError(f"vehicle_link: {name!r} is none of {', '.join(NAMES)}")
