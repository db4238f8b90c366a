"""A tiny station around the charging sequence, for its tests: vehicle, modules, board, monitor, meter and back end as a few lines each.

The parts follow the sequence's outputs of the step before, in steps of 50 ms. `patch` overrides any field of any report, `silent` stops a report,
so that a test states only what is wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import nan
from typing import Any

from evse_core.charge_sequencer import Change, ChargeSequencer, SequencerConfig, SequencerInputs, SequencerOutputs
from evse_core.sample import Sample
from evse_core.types import (
    Authorization,
    CanStatus,
    ChargeRecord,
    ChargeState,
    IoReport,
    PowerBudget,
    PowerFunction,
    PowerReport,
    Reaction,
    RecordStatus,
    RequestKind,
    SafetyState,
    SessionRequest,
    StopCause,
    VehicleLink,
    VehicleReport,
    Verdict,
)

STEP = 0.05
# Delays of the parts [s]; battery voltage [V].
LOCK_TIME, CONTACTOR_TIME, THINKING, CLOSING, REQUESTING, OPENING = 0.2, 0.1, 3.0, 1.0, 1.7, 2.0
BATTERY = 380.0
S = ChargeState
# States that a session ends in, or that wait for the next one.
AT_REST = (S.FINISHED, S.FAULTED, S.AVAILABLE, S.UNAVAILABLE)
PERMIT_STATES = {
    S.LOCKING,
    S.CABLE_CHECK,
    S.LOWERING_OUTPUT,
    S.PRECHARGE,
    S.WAITING_FOR_CONTACTOR,
    S.WAITING_FOR_REQUEST,
    S.CHARGING,
    S.RAMPING_DOWN,
}


class Delay:
    """A line that follows another one after a time."""

    def __init__(self, time: float) -> None:
        self.time, self.value, self._wanted, self._since = time, False, False, 0.0

    def follow(self, wanted: bool, now: float) -> bool:
        """Take the wanted value, return the present one."""
        if wanted != self._wanted:
            self._wanted, self._since = wanted, now
        if now - self._since >= self.time - 1e-9:
            self.value = wanted
        return self.value


@dataclass
class Vehicle:
    """A vehicle of 1.0 and later that does what can.md 2.3 says; `wants` is the current that it takes [A]."""

    wants: float = 60.0
    permits: bool = True
    asks: bool = True
    closes: bool = True
    opens: bool = True
    reports_contactor: bool = True
    dynamic: bool = False
    stopping: bool = False
    request: float = 0.0
    closed: bool = False
    since: dict[str, float] | None = None

    def waited(self, name: str, condition: bool, time: float, now: float) -> bool:
        """Return whether a condition has held for a time."""
        since = self.since = self.since if self.since is not None else {}
        if not condition:
            since.pop(name, None)
            return False
        return now - since.setdefault(name, now) >= time - 1e-9

    def step(self, out: SequencerOutputs, current: float, now: float) -> tuple[VehicleReport, bool]:
        """Return the report and line k."""
        awake = self.waited("awake", out.io.sequence_1, 0.1, now)
        calculated = self.waited("calculated", awake and out.vehicle.transmit, THINKING, now)
        self.stopping = self.stopping or (self.closed and (out.vehicle.stop_control and self.request > 0.0 and not out.vehicle.charging))
        permits = calculated and self.permits and not self.stopping
        if not awake:
            self.stopping = False
        closes = self.waited("closed", permits and out.io.sequence_2 and out.vehicle.connector_locked and self.closes, CLOSING, now)
        opens = self.waited("open", self.stopping and current <= 5.0 and self.opens, 0.3, now) or not (
            out.io.sequence_1 and out.io.sequence_2
        )
        self.closed = (self.closed or closes) and not opens
        self._ask(out, now)
        shown_open = self.waited("shown", not self.closed, 0.1 if not self.stopping else OPENING, now) and awake
        report = VehicleReport(
            link=VehicleLink.CHADEMO,
            complete=awake,
            age=0.05 if awake else nan,
            protocol_number=2 if self.reports_contactor else 1,
            min_voltage=0.0,
            max_voltage=435.0,
            min_current=0.0,
            max_current=0.0,
            target_voltage=410.0,
            current_request=self.request,
            soc_percent=50.0,
            max_charging_time=3600.0 if calculated else nan,
            charging_enabled=permits,
            contactor_open=shown_open and self.reports_contactor,
            contactor_reported=awake and self.reports_contactor,
            dynamic_control=self.dynamic,
            extended_functions=self.dynamic,
        )
        return report, permits

    def _ask(self, out: SequencerOutputs, now: float) -> None:
        ready = self.waited("asking", self.closed and self.asks and not self.stopping, REQUESTING, now)
        limit = out.vehicle.available_current if self.dynamic or not out.vehicle.charging else 1000.0
        target = min(self.wants, limit) if ready else 0.0
        self.request = min(target, self.request + 20.0 * STEP) if target > self.request else target


class Rig:
    """The sequence and its surroundings. `run` goes on; `until` goes on to a state."""

    def __init__(self, **config: Any) -> None:
        self.config = SequencerConfig(**config)
        self.sequencer = ChargeSequencer(self.config)
        self.now = 100.0
        self.vehicle = Vehicle()
        self.patch: dict[str, dict[str, Any]] = {"vehicle": {}, "power": {}, "io": {}, "safety": {}, "can": {}}
        self.silent: set[str] = set()
        self.samples: dict[str, Sample[Any]] = {}
        self.board = IoReport(complete=True, age=0.02, earth_ok=True, connector_voltage=0.0, insulation_resistance=nan)
        self.lock, self.contactor = Delay(LOCK_TIME), Delay(CONTACTOR_TIME)
        self.module_voltage = self.connector_voltage = self.current = 0.0
        self.budget = 50_000.0
        self.verdict: Verdict | None = Verdict.ACCEPTED
        self.parent = ""
        self.requests: list[SessionRequest] = []
        self.changes: list[Change] = []
        self.steps: list[int] = []
        self.history: list[SequencerOutputs] = []
        self.ids = 0
        self.watchers: list[Callable[[Rig], None]] = []
        self.out = self.sequencer.step(SequencerInputs(), self.now)

    # The driver.

    def plug(self, there: bool = True) -> None:
        self.board = replace(self.board, plugged=there)

    def start(self) -> None:
        self.board = replace(self.board, start_count=(self.board.start_count + 1) % 256)

    def stop(self) -> None:
        self.board = replace(self.board, stop_count=(self.board.stop_count + 1) % 256)

    def token(self, token: str = "04AABBCC") -> None:
        self.board = replace(self.board, token=token, token_count=(self.board.token_count + 1) % 16)

    def ask(self, kind: RequestKind, token: str = "", cause: StopCause = StopCause.UNKNOWN, authorized: bool = False) -> None:
        self.requests.append(SessionRequest(kind=kind, token=token, stop_cause=cause, authorized=authorized))

    def begin(self) -> "Rig":
        """Bring everything that a session needs."""
        self.run(0.3)
        self.plug()
        self.start()
        self.run(0.2)
        self.token()
        return self

    # The surroundings.

    def _physics(self) -> None:
        """Voltages and current after the outputs of the step before."""
        power, closed = self.out.power, self.patch["io"].get("contactor_closed", self.contactor.value)
        transfers = power.function is PowerFunction.POWER_TRANSFER and closed and self.vehicle.closed
        self.current = power.current if transfers else 0.0
        if power.function is PowerFunction.INSULATION_TEST:
            self.module_voltage = power.voltage
        elif power.function is PowerFunction.POWER_TRANSFER:
            self.module_voltage = BATTERY
        elif power.lower_output_voltage:
            self.module_voltage *= 0.7
        if self.vehicle.closed:
            self.connector_voltage = BATTERY
        elif closed:
            self.connector_voltage = self.module_voltage
        else:
            self.connector_voltage *= 0.7

    def reports(self) -> dict[str, Any]:
        out, now = self.out, self.now
        vehicle, k = self.vehicle.step(out, self.current, now)
        self._physics()
        lock = self.lock.follow(out.io.lock, now) if out.publish_commands else self.lock.value
        contactor = self.contactor.follow(out.io.close_contactor, now)
        io = replace(self.board, permission=k, locked=lock, contactor_closed=contactor, connector_voltage=self.connector_voltage)
        insulation = 510_000.0 if out.power.function is PowerFunction.INSULATION_TEST else nan
        power = PowerReport(complete=True, age=0.05, voltage=self.module_voltage, current=self.current, enabled=out.power.session_announced)
        safety = SafetyState(permit=out.session.state in PERMIT_STATES, reaction=Reaction.NONE)
        return {
            "vehicle": replace(vehicle, **self.patch["vehicle"]),
            "power": replace(replace(power, insulation_resistance=insulation), **self.patch["power"]),
            "io": replace(io, **self.patch["io"]),
            "safety": replace(safety, **self.patch["safety"]),
            "can_status": replace(CanStatus(power_allowed=safety.permit), **self.patch["can"]),
            "budget": PowerBudget(power=self.budget, valid_for=3.0),
        }

    def back_end(self) -> None:
        session = self.out.session
        if session.state is S.AUTHORIZING and self.verdict is not None and "authorization" not in self.silent:
            self.samples["authorization"] = Sample(
                Authorization(token=session.token, verdict=self.verdict, parent_token=self.parent), self.now
            )
        if session.transaction_active and "record" not in self.silent:
            self.samples["record"] = Sample(ChargeRecord(status=RecordStatus.OPEN, session_id=session.session_id), self.now)

    def step(self) -> SequencerOutputs:
        """Go on by one step."""
        self.now += STEP
        reports = self.reports()
        self.back_end()
        self.samples |= {name: Sample(value, self.now) for name, value in reports.items() if name not in self.silent}
        self.ids += 1
        inputs = SequencerInputs(**self.samples, requests=tuple(self.requests), fresh_id=f"session-{self.ids}", stamp=self.now)
        self.requests = []
        self.out = self.sequencer.step(inputs, self.now)
        self.inputs = inputs
        self.history.append(self.out)
        self.changes += [self.out.change] if self.out.change else []
        for watcher in self.watchers:
            watcher(self)
        return self.out

    def run(self, seconds: float) -> "Rig":
        """Go on for a time [s]."""
        for _ in range(round(seconds / STEP)):
            self.step()
        return self

    def until(self, *states: ChargeState, limit: float = 60.0) -> "Rig":
        """Go on to one of some states; fails after limit [s]."""
        end = self.now + limit
        while self.state not in states:
            assert self.now < end, f"still in {self.state.name} after {limit} s: {self.path}"
            self.step()
        return self

    def settle(self, *states: ChargeState, limit: float) -> "Rig":
        """Go on until one of some states has held for 2 s, or for limit [s]."""
        held = 0
        for _ in range(round(limit / STEP)):
            self.step()
            held = held + 1 if self.state in states else 0
            if held * STEP >= 2.0:
                break
        return self

    @property
    def state(self) -> ChargeState:
        return self.out.session.state

    @property
    def path(self) -> list[str]:
        """Names of the states in their order."""
        return [change.target.name for change in self.changes]

    def to(self, state: ChargeState) -> "Rig":
        """Run a session as far as a state."""
        return self.begin().until(state)
