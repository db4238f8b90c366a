"""`station bench limits`: the CSMS limits a session that runs, and the bus of the output shows when the current has followed.

The whole graph: simulated CSMS, ocpp_uplink, energy_manager, charge_sequencer, can_bridge, modules or board, vehicle.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from rich.console import Console

from evse_core.types import ChargeState
from evse_core.vehicle_link import PILOT
from evse_simulators.csms_control import ask
from evse_tools.bench_figures import figure, print_json, print_table
from evse_tools.demo_station import TOKENS, free_port
from evse_tools.graph_driver import Person
from evse_tools.graph_links import LINKS
from evse_tools.graph_scenarios import Rig
from evse_tools.graph_station import GraphStation, station

# A call of the CSMS changes the current within this (issue 6). [s]
ALLOWED = 2.0
# Longest wait for a session to charge, for a limit to be followed at all, and how long the current stands before each limit: an offer of an AC output has to
# stand for 5.2 s before the next one (charge_sequencer, offer_interval). [s]
START, FOLLOW, STEADY = 60.0, 15.0, 6.0
# The current may be above its limit by this: the meter's and the modules' error. [1]
ERROR = 1.03
# Current that counts as none. [A]
NONE = 1.0


@dataclass(frozen=True)
class Step:
    """A limit: name, purpose, connector, unit and value, None to clear all; the current that must follow is at most that, or at least `above` [A]."""

    name: str
    purpose: str
    connector: int
    unit: str
    limit: float | None
    above: float = 0.0


_DIRECT = (
    Step("TxDefaultProfile 10 kW", "TxDefaultProfile", 0, "W", 10_000.0),
    Step("TxProfile 5 kW", "TxProfile", 1, "W", 5_000.0),
    Step("ChargePointMaxProfile 0.2 kW: suspended", "ChargePointMaxProfile", 0, "W", 200.0),
    Step("all cleared", "", 0, "W", None, 30.0),
)
_ALTERNATING = (
    Step("TxDefaultProfile 10 A", "TxDefaultProfile", 0, "A", 10.0),
    Step("TxProfile 6 A", "TxProfile", 1, "A", 6.0),
    Step("ChargePointMaxProfile 5 A: suspended", "ChargePointMaxProfile", 0, "A", 5.0),
    Step("all cleared", "", 0, "A", None, 15.0),
)


@dataclass
class Row:
    """What came of a step: seconds to the current that it asks for, the current then [A], and what went wrong."""

    name: str
    took: float = inf
    current: float = inf
    problem: str = ""


class Session:
    """A driver who charges while the CSMS sets limits."""

    def __init__(self, made: GraphStation, control_port: int) -> None:
        self._station, self._control = made, control_port
        self._person = Person(TOKENS[0])

    def play(self, steps: tuple[Step, ...]) -> Iterator[Row]:
        """Yield what came of each step."""
        made = self._station
        if not self._until(lambda: made.track.session.state is ChargeState.CHARGING and made.power.current > made.link.charging, START):
            yield Row("charging", problem=f"not within {START:.0f} s: {made.unclean}")
            return
        for number, step in enumerate(steps, start=1):
            self._until(lambda: False, STEADY)
            yield self._measure(number, step)
        self._person.enough = self._person.leaving = True

    def _measure(self, number: int, step: Step) -> Row:
        row, begun = Row(step.name), time.monotonic()
        answer = self._call("ClearChargingProfile", {}) if step.limit is None else self._set(number, step)
        if answer != "Accepted":
            row.problem = f"answered {answer}"
        elif self._until(lambda: self._followed(step), FOLLOW):
            row.took = time.monotonic() - begun
            if step.limit is not None and row.took > ALLOWED:
                row.problem = f"took {row.took:.1f} s, allowed {ALLOWED:.0f} s"
        else:
            row.problem = f"{self._station.power.current:.1f} A after {FOLLOW:.0f} s"
        row.current = self._station.power.current
        if not self._station.track.session.session_active:
            row.problem = f"the session is over: {self._station.track.session.stop_detail}"
        return row

    def _followed(self, step: Step) -> bool:
        track, current = self._station.track, self._station.power.current
        if step.limit is None:
            return current >= step.above
        if "suspended" in step.name:
            return current < NONE
        most = step.limit if step.unit == "A" else step.limit / max(track.meter.voltage, 1.0)
        return current <= most * ERROR

    def _set(self, number: int, step: Step) -> str:
        schedule = {"chargingRateUnit": step.unit, "chargingSchedulePeriod": [{"startPeriod": 0, "limit": step.limit}]}
        profile = {"chargingProfileId": number, "stackLevel": 0, "chargingProfilePurpose": step.purpose, "chargingProfileKind": "Relative"}
        return self._call(
            "SetChargingProfile", {"connectorId": step.connector, "csChargingProfiles": profile | {"chargingSchedule": schedule}}
        )

    def _call(self, action: str, payload: dict[str, Any]) -> str:
        name = self._station.description.station["name"]
        answer = ask(self._control, "call", charge_point=name, action=action, payload=payload)
        return str(answer.get("code") or answer["payload"]["status"])

    def _until(self, condition: Any, limit: float) -> bool:
        def look() -> bool:
            made = self._station
            track, now = made.track, time.monotonic()
            if not made.watcher.is_busy(1) and (
                action := self._person.next(track.session, track.io, track.vehicle.plugged, made.online, now)
            ):
                made.watcher.call(1, action, lambda success, message: None)
            return bool(condition())

        return self._station.until(look, limit)


def play(link: str) -> list[Row]:
    """Return what came of the limits on one vehicle link."""
    control_port = free_port()
    with station(Rig.PLAIN, link, control_port) as made:
        if problem := made.clean():
            return [Row(link, problem=problem)]
        return list(Session(made, control_port).play(_ALTERNATING if link == PILOT else _DIRECT))


def run(links: tuple[str, ...], as_json: bool) -> int:
    """Play and print; returns 1 where a limit was not followed in time, 2 for a link that is not known."""
    console = Console(stderr=True, highlight=False)
    if unknown := [link for link in links if link not in LINKS]:
        console.print(f"--link {unknown[0]}: is none of {', '.join(LINKS)}", style="red")
        return 2
    rows = {link: play(link) for link in links or tuple(LINKS)}
    figures = [
        figure(f"{link}: {row.name} ({row.current:.1f} A)", [1e3 * row.took], "ms", digits=0)
        for link, found in rows.items()
        for row in found
        if isfinite(row.took)
    ]
    problems = [f"{link}: {row.name}: {row.problem}" for link, found in rows.items() for row in found if row.problem]
    if as_json:
        print_json("limits", figures, problems=problems)
    else:
        print_table("From the CSMS's call to the current on the bus", ("limit", "sessions", "highest"), figures)
    for problem in problems:
        console.print(problem, style="red")
    return 1 if problems else 0
