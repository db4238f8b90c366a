"""Plays one scenario of `station bench graph` on a running station, and judges what came of it."""

import json
import time
from dataclasses import dataclass, field
from math import inf, isfinite, nan
from typing import Any

from evse_core.types import ChargeRecord, ChargeState, RecordStatus, StopCause
from evse_tools import graph_disturbances
from evse_tools.demo_station import TOKENS
from evse_tools.graph_disturbances import Impossible
from evse_tools.graph_driver import AT_REST, Person
from evse_tools.graph_scenarios import Kind, Outcome, Scenario
from evse_tools.graph_station import VOICES, GraphStation

# Disturbances after which a new process has to come.
RESTARTED = (Kind.KILL, Kind.HANG)
# Charging before something is disturbed, after it where the session goes on, and in a session that is disturbed elsewhere. [s]
STEADY, ON, SHORT = 3.0, 4.0, 3.0
# Longest waits: for the phase, for the end after the disturbance, and for the bill. [s]
PHASE_TIME, END_TIME, BILL_TIME = 60.0, 75.0, 30.0
# Longest excess of the current over the vehicle's request: debounce 0.5 s, delay 0.5 s (docs/faults.md, over_current), two reports. [s]
EXCESS_TIME = 1.2
# Energy that two parties may differ by [Wh] and [1]; and the time whose energy nobody measures where can_bridge, which measures, is hit itself: the modules
# stop 200 ms after its last frame and ramp down, reports come every 100 ms. [s]
ROUNDING, SHARE, UNMEASURED = 1.0, 0.01, 0.7
# The same share where a flood of commands switches the power faster than it is measured. [1]
UNSTEADY = 0.1


@dataclass
class Row:
    """What happened in a scenario. Times in seconds after the disturbance, NaN where it did not happen."""

    scenario: str
    hit: str = ""
    withdrawn: float = nan
    off: float = nan
    end: str = ""
    faults: tuple[str, ...] = ()
    sessions: int = 0
    records: int = 0
    bills: int = 0
    record_wh: float = nan
    bill_wh: float = nan
    vehicle_wh: float = nan
    back: float = nan
    problems: list[str] = field(default_factory=list)
    skipped: str = ""
    # What became of a first try whose session ended before anything was disturbed.
    first_try: str = ""

    @property
    def verdict(self) -> str:
        """ok, skipped, or what is wrong."""
        if self.skipped:
            return f"skipped: {self.skipped}"
        return ("; ".join(self.problems) or "ok") + (f" (second try; the first: {self.first_try})" if self.first_try else "")

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        row = {name: (None if isinstance(value, float) and not isfinite(value) else value) for name, value in vars(self).items()}
        return row | {"verdict": self.verdict}


class Play:
    """One scenario on one station."""

    def __init__(self, scenario: Scenario, station: GraphStation) -> None:
        self._scenario, self._station = scenario, station
        self._row = Row(scenario.name)
        self._person = Person(TOKENS[0])
        self._bills = {int(item["transaction_id"]) for item in self._transactions()}
        self._charging = self._over = inf
        self._began = self._ended = inf
        self._power = 0.0
        self._was_powered = False
        self._victim: int | None = None
        self._lives = inf

    @property
    def too_early(self) -> bool:
        """The session ended before anything was disturbed: nothing has been tried."""
        return self._began == inf and not self._row.skipped

    def run(self) -> Row:
        """Play and judge."""
        station, row = self._station, self._row
        for child in station.supervisor.children:
            child.back_off.begin_anew()
        if problem := station.clean():
            row.problems.append(f"the station was not ready: {problem}")
            return row
        station.relay.begin()
        try:
            self._play()
        except Impossible as error:
            row.skipped = str(error)
        finally:
            graph_disturbances.end(station.place)
            self._leave()
        if not row.skipped and not self.too_early:
            self._judge()
        return row

    def _play(self) -> None:
        if not self._turn_until(self._phase_is_there, PHASE_TIME):
            track = self._station.track
            why = track.session.stop_detail or track.safety.first_fault or "nothing is said"
            self._row.problems.append(f"{self._scenario.phase.name} was not reached; the station is in {track.session.state.name}: {why}")
            return
        self._disturb()
        if not self._turn_until(self._settled, END_TIME):
            self._row.problems.append(f"no end within {END_TIME:.0f} s; {self._station.track.session.state.name}, {self._station.unclean}")

    def _turn_until(self, condition: Any, limit: float) -> bool:
        def look() -> bool:
            self._act()
            return bool(condition())

        return self._station.until(look, limit)

    def _act(self) -> None:
        """Let the driver act, and take the disturbance back when it is time."""
        station, now = self._station, time.monotonic()
        track = station.track
        self._power = max(self._power, track.meter.power if isfinite(track.meter.power) else 0.0)
        if self._began < inf and self._ended == inf and now >= self._end_due(now):
            graph_disturbances.end(station.place)
            self._ended = now
        self._listen(now)
        welcome = station.online or (self._scenario.kind is Kind.CSMS_GONE and self._began < inf)
        if not station.watcher.is_busy(1) and (action := self._person.next(track.session, track.io, track.vehicle.plugged, welcome, now)):
            station.watcher.call(1, action, lambda success, message: None)

    def _end_due(self, now: float) -> float:
        if not self._scenario.until_over:
            return self._began + self._scenario.hold
        if self._over == inf and self._station.relay.sessions and self._at_rest:
            self._over = now
        return self._over + self._scenario.hold

    def _listen(self, now: float) -> None:
        """Note when the node that was disturbed speaks again."""
        if self._began == inf or isfinite(self._row.back) or self._scenario.kind not in (*RESTARTED, Kind.STOP):
            return
        node, station = self._scenario.target, self._station
        pid = next((pid for name, pid in station.supervisor.pids().items() if name.endswith(f"/{node}")), None)
        if self._scenario.kind in RESTARTED and pid not in (None, self._victim):
            self._lives = min(self._lives, now)
        elif self._scenario.kind is Kind.STOP:
            self._lives = self._ended
        if station.heard(node) > self._lives or (node not in VOICES and now > self._lives):
            self._row.back = now - self._began

    @property
    def _at_rest(self) -> bool:
        session = self._station.track.session
        return session.state in (*AT_REST, ChargeState.AVAILABLE) and not session.transaction_active

    def _phase_is_there(self) -> bool:
        station, now = self._station, time.monotonic()
        state = station.track.session.state
        charging = state is ChargeState.CHARGING and station.power.current > station.link.charging
        self._charging = min(self._charging, now) if charging else self._charging
        if self._scenario.phase is ChargeState.CHARGING:
            return charging and now - self._charging > STEADY
        self._person.enough = now - self._charging > SHORT
        return state is self._scenario.phase

    def _disturb(self) -> None:
        station, row = self._station, self._row
        row.hit = station.track.session.state.name
        self._was_powered = station.power.powered
        station.power.mark()
        pids = station.supervisor.pids()
        self._victim = next((pid for name, pid in pids.items() if name.endswith(f"/{self._scenario.target}")), None)
        self._began = time.monotonic()
        graph_disturbances.begin(self._scenario, station.place)

    def _settled(self) -> bool:
        """The disturbance is over, the session too, and it is billed."""
        station, now = self._station, time.monotonic()
        charging = station.track.is_charging and station.power.current > station.link.charging
        self._charging = min(self._charging, now) if charging else self._charging
        # Where the session goes on, the driver waits until what was disturbed is back.
        back = self._row.back if isfinite(self._row.back) else inf
        undisturbed = max(self._ended, self._began + (back if self._scenario.kind in RESTARTED else 0.0))
        calm = now - (self._began if self._scenario.until_over else undisturbed)
        self._person.enough = now - self._charging > SHORT and calm > ON
        restarted = self._scenario.kind not in RESTARTED or isfinite(self._row.back)
        if now - self._began < ON or self._ended == inf or not restarted:
            return False
        over = bool(station.relay.sessions) and self._at_rest
        return over and self._is_billed()

    def _own_records(self) -> list[ChargeRecord]:
        return [record for session, record in self._station.relay.records.items() if session in self._station.relay.sessions]

    def _is_billed(self) -> bool:
        records = self._own_records()
        closed = all(record.status is not RecordStatus.OPEN for record in records)
        return closed and self._station.online and len(self._new_bills()) >= len(records)

    def _leave(self) -> None:
        """Unplug; a station that keeps the plug is asked to reset its faults first."""
        station, next_reset = self._station, 0.0
        self._person.leaving = True
        end = time.monotonic() + BILL_TIME
        while station.track.vehicle.plugged and time.monotonic() < end:
            self._act()
            station.turn()
            if station.track.session.state is ChargeState.FAULTED and time.monotonic() > next_reset:
                next_reset = time.monotonic() + 2.0
                station.watcher.reset_faults()
        if station.track.vehicle.plugged:
            self._row.problems.append(f"the plug stays in: {station.track.session.state.name}, {station.track.safety.detail}")

    # The verdict

    def _transactions(self) -> list[dict[str, Any]]:
        try:
            found: list[dict[str, Any]] = json.loads((self._station.description.data_dir / "csms_simulator.json").read_text())[
                "transactions"
            ]
        except (OSError, ValueError, KeyError):
            return []
        return found

    def _new_bills(self) -> list[dict[str, Any]]:
        new = [item for item in self._transactions() if item["transaction_id"] not in self._bills]
        return [item for item in new if item["energy_wh"] is not None]

    def _judge(self) -> None:
        row, station, expected = self._row, self._station, self._scenario.expected
        track, power, records, bills = station.track, station.power, self._own_records(), self._new_bills()
        row.sessions, row.records, row.bills = len(station.relay.sessions), len(records), len(bills)
        row.record_wh = sum(record.end_register_wh - record.begin_register_wh for record in records)
        row.bill_wh, row.vehicle_wh = sum(item["energy_wh"] for item in bills), track.vehicle_energy_wh
        row.withdrawn = power.withdrawn - power.since if self._was_powered else nan
        row.off = power.off - power.since if power.level > 5.0 else nan
        row.faults = tuple(dict.fromkeys(event.fault for event in track.faults if event.active))
        causes = [self._cause(session_id) for session_id in station.relay.sessions]
        row.end = ", ".join(cause.name for cause in causes) or "no session"
        row.problems += [*self._session_problems(causes), *self._energy_problems(records)]
        if expected.outcome is Outcome.ENDS or (causes and causes[0] is not StopCause.LOCAL):
            row.problems += self._power_problems()
        if power.excess > EXCESS_TIME:
            row.problems.append(f"{power.excess:.1f} s of more current than the vehicle asked for")
        if problem := station.clean():
            row.problems.append(f"the station does not recover: {problem}")

    def _cause(self, session_id: str) -> StopCause:
        """Return why a session ended: as its record says, else as the sequencer said last."""
        record = self._station.relay.records.get(session_id)
        if record is not None and record.status is not RecordStatus.OPEN:
            return record.stop_cause
        cause = self._station.relay.sessions[session_id].stop_cause
        # A sequencer that was restarted does not know the session any more.
        return StopCause.RESTART if cause is StopCause.NONE else cause

    def _session_problems(self, causes: list[StopCause]) -> list[str]:
        expected, found = self._scenario.expected, []
        if expected.outcome in (Outcome.GOES_ON, Outcome.BEGINS_LATER):
            allowed: tuple[StopCause, ...] = (StopCause.LOCAL,)
        elif expected.outcome is Outcome.EITHER:
            allowed = (StopCause.LOCAL, *expected.causes)
        else:
            allowed = expected.causes
        if not causes or any(cause not in allowed for cause in causes[-1:]):
            found.append(f"ended as {self._row.end}, expected {' or '.join(cause.name for cause in allowed)}")
        ended_by_it = causes and causes[-1] is not StopCause.LOCAL
        if expected.faults and ended_by_it and not set(expected.faults) & set(self._row.faults):
            found.append(f"none of the faults {', '.join(expected.faults)}")
        return found

    def _power_problems(self) -> list[str]:
        row, expected, found = self._row, self._scenario.expected, []
        if row.withdrawn > expected.withdrawn:
            found.append(f"power withdrawn after {1e3 * row.withdrawn:.0f} ms, allowed {1e3 * expected.withdrawn:.0f} ms")
        if self._station.power.level > 5.0 and not row.off <= expected.off:
            found.append(f"current gone after {1e3 * row.off:.0f} ms, allowed {1e3 * expected.off:.0f} ms")
        # A stranger's commands and the sequencer's take turns; a cut by the permit does not come back.
        if self._station.power.came_back and self._scenario.kind is not Kind.FLOOD:
            found.append("current flowed again")
        return found

    def _energy_problems(self, records: list[ChargeRecord]) -> list[str]:
        row, found = self._row, []
        if row.records != row.bills or any(record.status is RecordStatus.OPEN for record in records):
            found.append(f"{row.records} records and {row.bills} bills")
        if abs(row.record_wh - row.bill_wh) > ROUNDING * max(row.records, 1):
            found.append(f"the record says {row.record_wh:.1f} Wh, the CSMS {row.bill_wh:.1f} Wh")
        delivered = row.vehicle_wh if isfinite(row.vehicle_wh) else 0.0
        measures = self._scenario.target == "can_bridge" or self._scenario.kind in (Kind.CAN_GONE, Kind.CAN_FLOOD)
        lost = delivered - row.record_wh
        share = UNSTEADY if self._scenario.kind is Kind.FLOOD else SHARE
        allowed = ROUNDING + share * delivered + (self._power * UNMEASURED / 3600.0 if measures else 0.0)
        if lost > allowed or -lost > ROUNDING + share * delivered:
            found.append(f"the vehicle got {delivered:.1f} Wh, the record says {row.record_wh:.1f} Wh")
        return found
