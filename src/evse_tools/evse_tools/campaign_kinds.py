"""The two kinds of campaigns behind `./station campaign`: sessions of one EVSE on a vehicle link, and runs of EVSEs that share a cabinet of power modules.

Both have plans of the same shape, so that one command plays, shortens and prints them.
"""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from evse_core.codecs.signals import SignalDatabase
from evse_simulators import campaign_cabinet_plan, campaign_cabinet_play, campaign_plan, campaign_plan_json, campaign_play
from evse_simulators.campaign_cabinet_plan import CabinetPlan
from evse_simulators.campaign_cabinet_play import CabinetResult
from evse_simulators.campaign_plan import KINDS_OF

AnyPlan = campaign_plan.Plan | CabinetPlan
AnyResult = campaign_play.Result | CabinetResult
# Name of the cabinet's campaign in the place of a vehicle link, in plans and summaries.
CABINET = "cabinet"
# Links of a vehicle that the world knows.
LINKS = tuple(KINDS_OF)


def random_plan(seed: int, number: int, link: str) -> AnyPlan:
    """Return session or run `number` of a campaign."""
    return campaign_cabinet_plan.random_plan(seed, number) if link == CABINET else campaign_plan.random_plan(seed, number, link)


def play(plan: AnyPlan, databases: Mapping[str, SignalDatabase], until: str = "") -> AnyResult:
    """Play a plan, or as much of it as breaks the invariant `until`; the same plan gives the same result."""
    if isinstance(plan, CabinetPlan):
        return campaign_cabinet_play.play(plan, databases, until)
    return campaign_play.play(plan, databases, until)


def from_json(value: Any) -> AnyPlan:
    """Return the plan that to_json wrote; ValueError names what is wrong."""
    of_cabinet = isinstance(value, dict) and value.get("link") == CABINET
    return campaign_cabinet_plan.from_json(value) if of_cabinet else campaign_plan_json.from_json(value)


def to_json(plan: AnyPlan) -> dict[str, Any]:
    """Return a plan as JSON values."""
    return campaign_cabinet_plan.to_json(plan) if isinstance(plan, CabinetPlan) else campaign_plan_json.to_json(plan)


def option(link: str) -> str:
    """Return what the command line needs to play this kind again; "" for the default."""
    return " --cabinet" if link == CABINET else "" if link == LINKS[0] else f" --link {link}"


def cabinet_figures(results: list[AnyResult]) -> dict[str, float]:
    """Return what a campaign of the cabinet tells at its end: sums over all runs, and the largest spread of hours in one. [Ah], [1], [s]"""
    figures = [result.figures for result in results if isinstance(result, CabinetResult)]
    wanted, sessions = sum(item.wanted for item in figures), sum(item.sessions for item in figures)
    operations = sum(item.operations for item in figures)
    return {
        "sessions": sessions,
        "sessions_charged": sum(item.charged for item in figures),
        "switch_operations": operations,
        "switch_operations_per_session": round(operations / max(sessions, 1), 2),
        "demand_met_share": round(sum(item.given for item in figures) / wanted, 4) if wanted else 1.0,
        "hours_spread_seconds": round(3600.0 * max((item.hours_spread for item in figures), default=0.0), 1),
        "refused_outlets": sum(item.refused_outlets for item in figures),
        "refused_current": sum(item.refused_current for item in figures),
        "refused_voltage": sum(item.refused_voltage for item in figures),
    }


def cabinet_table(figures: Mapping[str, float], violations: int) -> Table:
    """Return the figures as a table."""
    rows = (
        ("sessions that began, and that charged", f"{figures['sessions']:.0f}, {figures['sessions_charged']:.0f}"),
        (
            "switch operations, and per session",
            f"{figures['switch_operations']:.0f}, {figures['switch_operations_per_session']:.1f}",
        ),
        ("share of the wanted charge that was given, ramps and shortage included", f"{100 * figures['demand_met_share']:.1f} %"),
        ("largest spread of running hours in one run", f"{figures['hours_spread_seconds']:.0f} s"),
        ("commands that the interlock refused: two outlets", f"{figures['refused_outlets']:.0f}"),
        ("commands that the interlock refused: under current", f"{figures['refused_current']:.0f}"),
        ("commands that the interlock refused: unequal voltage", f"{figures['refused_voltage']:.0f}"),
        ("violations", f"{violations}"),
    )
    table = Table("cabinet", "", box=None)
    for row in rows:
        table.add_row(*row)
    return table
