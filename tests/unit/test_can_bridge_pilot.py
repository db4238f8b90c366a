"""can_bridge with a control pilot: one bus, the same permit, the same cut (docs/design.md, The permit)."""

from math import isnan, nan

import pytest
from can_bench import DATABASES, IO, PERMIT

from evse_core.can_bridge import CanBridge, CanBridgeConfig, Outgoing
from evse_core.types import BusLink, CutCause, IoCommand, PowerCommand, PowerFunction, SafetyState, VehicleCommand

OFFERED = IoCommand(pilot_current=16.0, phases=3, lock=True)
CHARGING = IoCommand(close_contactor=True, pilot_current=16.0, phases=3, lock=True)
OFF, TRANSFER = PowerCommand(function=PowerFunction.OFF), PowerCommand(function=PowerFunction.POWER_TRANSFER, voltage=230.0, current=48.0)


class Bench:
    """A bridge of an AC output with a sequencer and a monitor that speak every 50 ms unless a test silences them."""

    def __init__(self) -> None:
        self.bridge = CanBridge(CanBridgeConfig(vehicle_link="pilot"), {"io_board": IO})
        self.now = 100.0
        self.safety: SafetyState | None = PERMIT
        self.power: PowerCommand | None = OFF
        self.io: IoCommand | None = OFFERED
        self.sent: list[tuple[float, Outgoing]] = []
        self._word = self.now

    def run(self, seconds: float) -> "Bench":
        end = self.now + seconds
        while self.now < end - 1e-9:
            if self.now >= self._word - 1e-9:
                self._word = self.now + 0.05
                if self.safety:
                    self.bridge.on_safety(SafetyState(permit=self.safety.permit, reaction=self.safety.reaction, given=self.now), self.now)
                if self.power and self.io:
                    self.bridge.on_power_command(self.power, self.now)
                    self.bridge.on_io_command(self.io, self.now)
                    self.bridge.on_vehicle_command(VehicleCommand(), self.now)
            self.sent += [(self.now, item) for item in self.bridge.step(self.now)]
            self.now = round(self.now + 0.01, 6)
        return self

    def charge(self) -> "Bench":
        self.run(0.2)
        self.power, self.io = TRANSFER, CHARGING
        self.run(0.23)
        assert self.told == (1.0, 16.0)
        self.sent.clear()
        return self

    @property
    def told(self) -> tuple[float, float]:
        """Contactor and signalled current [A] of the last command, NaN for none."""
        signals = DATABASES[BusLink.IO].decode(self.sent[-1][1].frame).signals
        return signals["Close_Contactor"], signals["Pilot_Current"] if signals["Pilot_Current"] < 6553.0 else nan

    def first_cut(self) -> float:
        """When the contactor was first told to open."""
        return next(at for at, item in self.sent if not DATABASES[BusLink.IO].decode(item.frame).signals["Close_Contactor"])


def test_there_is_one_bus_and_one_report_of_each_kind() -> None:
    bench = Bench().run(1.0)
    assert {item.link for _, item in bench.sent} == {BusLink.IO}
    assert [bus.link for bus in bench.bridge.status().buses] == [BusLink.IO]
    assert {report.topic for report in bench.bridge.reports(bench.now)} == {"power_report", "io_report", "can_status"}


def test_a_revoked_permit_opens_the_contactor_and_takes_the_offer_back_in_the_next_frame() -> None:
    bench = Bench().charge()
    bench.safety = SafetyState(permit=False)
    start = bench.now
    bench.run(0.06)
    assert bench.first_cut() - start <= 0.05 + 1e-9
    assert bench.told[0] == 0.0
    assert isnan(bench.told[1])
    assert bench.bridge.status().cut_cause is CutCause.PERMIT_REVOKED


@pytest.mark.parametrize("silent", ["safety", "power"])
def test_silence_of_200_ms_cuts(silent: str) -> None:
    bench = Bench().charge()
    setattr(bench, silent, None)
    start = bench.now
    bench.run(0.3)
    assert bench.first_cut() - start <= 0.2 + 0.011
    assert isnan(bench.told[1])


def test_no_offer_without_a_permit() -> None:
    bench = Bench()
    bench.safety = SafetyState(permit=False)
    bench.run(0.5)
    assert isnan(bench.told[1])


def test_a_cut_holds_until_off_and_open_were_commanded_together() -> None:
    bench = Bench().charge()
    bench.safety = None
    bench.run(0.3)
    bench.safety = PERMIT
    bench.run(0.5)
    assert bench.told[0] == 0.0
    bench.power, bench.io = OFF, OFFERED
    bench.run(0.1)
    bench.power, bench.io = TRANSFER, CHARGING
    bench.run(0.1)
    assert bench.told[0] == 1.0


def test_the_last_words_of_a_process_open_everything_and_leave_the_lock() -> None:
    bench = Bench().charge()
    (last,) = bench.bridge.farewell(bench.now)
    signals = DATABASES[BusLink.IO].decode(last.frame).signals
    assert (signals["Close_Contactor"], signals["Lock_Command"]) == (0.0, 0.0)
    assert signals["Pilot_Current"] > 6553.0


def test_energy_is_counted_from_the_boards_powers() -> None:
    bench = Bench().charge()
    for number in range(100):
        for name, signals in (
            ("IO_Mains", {"Voltage_L1": 230, "Voltage_L2": 230, "Voltage_L3": 230, "Frequency": 50}),
            ("IO_Powers", {"Power_L1": 3600, "Power_L2": 3600, "Power_L3": 3600}),
        ):
            bench.bridge.on_frame(BusLink.IO, IO.encode(name, signals | {"Alive": number}), bench.now)
        bench.bridge.reports(bench.now)
        bench.run(0.1)
    bench.run(0.2)
    report = next(report.value for report in bench.bridge.reports(bench.now + 1.0) if report.topic == "power_report")
    assert report.energy_wh == pytest.approx(10_800.0 * 9.9 / 3600.0, rel=0.02)
