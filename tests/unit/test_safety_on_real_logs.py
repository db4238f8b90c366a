"""The safety monitor on sessions of real chargers and cars: what they do every day must not be a fault."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path

import pytest
from safety_bench import STEP, Bench, inputs

pytest.importorskip("can")

from evse_core.codecs.chademo import ChademoStation
from evse_core.codecs.signals import Malformed, SignalDatabase, UnknownId
from evse_core.frame import Frame
from evse_core.safety_monitor import SafetyInputs
from evse_core.sample import Sample
from evse_core.types import ChargeState, PowerFunction, VehicleReport
from evse_nodes.databases import load
from evse_tools.can_log import read

LOGS = Path(__file__).resolve().parents[3] / "shared" / "can_logs"
S = ChargeState


@dataclass
class LoggedCharger:
    """What the charger of a log reported last (0x109), and the state of our sequence that this corresponds to."""

    voltage: float = 0.0
    current: float = 0.0
    received: float = -1.0
    charging: bool = False
    locked: bool = False
    charged: bool = False

    def take(self, frame: Frame, database: SignalDatabase, now: float) -> None:
        signals = database.decode(frame).signals
        self.voltage, self.current, self.received = signals["present_output_voltage"], signals["present_output_current"], now
        self.charging, self.locked = bool(signals["status_charging"]), bool(signals["status_connector_locked"])
        self.charged |= self.charging

    def state(self, vehicle: VehicleReport) -> ChargeState:
        if self.charging:
            return S.CHARGING
        if not self.locked:
            return S.FINISHED if self.charged else S.WAITING_FOR_PERMISSION
        if vehicle.contactor_open:
            return S.WELDING_DETECTION if self.charged else S.CABLE_CHECK
        return S.RAMPING_DOWN if self.charged else S.WAITING_FOR_REQUEST

    def inputs(self, report: VehicleReport, now: float) -> SafetyInputs:
        """Return what the monitor would see if this charger were ours."""
        state = self.state(report)
        closed = state not in (S.FINISHED, S.WAITING_FOR_PERMISSION, S.WELDING_DETECTION)
        request = report.current_request if state is S.CHARGING else 2.0
        function = {S.CHARGING: PowerFunction.POWER_TRANSFER, S.CABLE_CHECK: PowerFunction.INSULATION_TEST}.get(
            state, PowerFunction.STANDBY
        )
        io = {
            "connector_voltage": nan,
            "permission": report.charging_enabled,
            "plugged": True,
            "locked": self.locked,
            "contactor_closed": closed,
        }
        changes = {
            # 0x109 has a gap of 0.5 s in one log (can.md 2.1 names it), which says nothing about the modules behind it: their frames are on another bus.
            "power": {"voltage": self.voltage, "current": self.current, "age": min(now - self.received, 0.1), "enabled": True},
            # The log does not hold what the charger's modules were told: the test voltage is taken as what was asked for.
            "power_command": {"function": function, "current": request, "voltage": self.voltage},
            "io": io,
            "io_command": {"close_contactor": closed},
            "session": {"state": state},
        }
        return replace(inputs(state, now, changes), vehicle=Sample(report, now))


def steps(name: str) -> Iterator[tuple[float, SafetyInputs]]:
    """Yield time [s] and inputs every 50 ms from the first frames of both sides to the last."""
    path = LOGS / name
    if not path.exists():
        pytest.skip("the shared CAN logs are not here")
    database = load("chademo")
    vehicle, charger, due = ChademoStation(database), LoggedCharger(), 0.0
    for logged in read(path).frames:
        while due < logged.t:
            report = vehicle.report(due)
            if charger.received >= 0.0 and report.complete:
                yield due, charger.inputs(report, due)
            due += STEP
        try:
            if logged.frame.id == 0x109:
                charger.take(logged.frame, database, logged.t)
            vehicle.receive(logged.frame, logged.t)
        except (UnknownId, Malformed):
            continue


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("leaf_start_stop.csv", {S.CABLE_CHECK, S.WAITING_FOR_REQUEST, S.CHARGING, S.RAMPING_DOWN, S.WELDING_DETECTION}),
        ("leaf_ze1_charging.csv", {S.CHARGING}),
    ],
)
def test_a_real_session_raises_nothing_and_keeps_its_permit(name: str, states: set[ChargeState]) -> None:
    bench, seen, lost, highest = Bench(), set(), [], 0.0
    for now, given in steps(name):
        bench.now = now
        bench.step(given)
        assert given.session is not None
        assert given.power is not None
        state = given.session.value.state
        seen.add(state)
        highest = max(highest, given.power.value.current)
        if state is S.CHARGING and not bench.permit:
            lost.append((now, bench.outputs.state.detail))
    assert bench.events == []
    assert lost == []
    assert seen >= states
    assert highest >= 14.0
