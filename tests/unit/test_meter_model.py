"""The simulated meter: it counts what flows, in steps and with its error, and each fault is seen as what it is by the meter's judgement."""

from math import isnan

import pytest

from evse_core.energy_meter import MeterConfig
from evse_core.energy_meter_read import ReadMeter
from evse_core.meter_link import CAN, MeterLinkConfig
from evse_core.types import MeterStatus, PowerReport, SimPower, SimStationLines, SimVehicleLines
from evse_nodes.databases import load
from evse_simulators.faults import METER, of
from evse_simulators.memory_ledger import MemoryLedger
from evse_simulators.meter_model import CanMeterModel, MeterModel, SimulatedMeterConfig

STEP = 0.1


def flow(model: MeterModel, seconds: float, current: float, begin: float = 0.0) -> float:
    """Let 400 V flow; return the time."""
    now = begin
    for _ in range(round(seconds / STEP)):
        now += STEP
        model.on_power(SimPower(1.0, 400.0, 400.0, current), now)
        model.step(now)
    return now


def test_it_counts_what_flows_with_its_error_in_steps_each_way() -> None:
    model = MeterModel(SimulatedMeterConfig(error_percent=1.0, noise_percent=0.0, step_wh=10.0, first_wh=100.0))
    flow(model, 360.0, 100.0)
    flow(model, 360.0, -50.0, 360.0)
    report = model.step(720.0).report
    assert report is not None
    assert model.register_wh == pytest.approx(100.0 + 4000.0 * 1.01, abs=10.0)
    assert report.import_wh in (4130.0, 4140.0, 4150.0)
    assert model.register_wh - 10.0 < report.import_wh <= model.register_wh
    assert report.export_wh == pytest.approx(2000.0 * 1.01, abs=11.0)
    assert report.power == pytest.approx(-20_000.0 * 1.01, rel=0.001)


def test_nothing_flows_that_nobody_tells_of() -> None:
    model = MeterModel(SimulatedMeterConfig())
    now = flow(model, 1.0, 100.0)
    before = model.register_wh
    for step in range(100):
        model.step(now + STEP * step)
    assert model.register_wh - before < 400.0 * 100.0 * 0.7 / 3600.0


def test_an_ac_meter_has_the_phases_that_are_connected() -> None:
    model = MeterModel(SimulatedMeterConfig(vehicle_link="pilot", noise_percent=0.0, error_percent=0.0))
    model.on_station_lines(SimStationLines(contactor_closed=True, phases=3, mains_voltage=230.0), 0.0)
    model.on_vehicle_lines(SimVehicleLines(plugged=True, ac_current=16.0, ac_phases=3), 0.0)
    report = model.step(0.1).report
    assert report is not None
    assert (report.voltage_l2, report.current_l3, report.power_l1, report.power) == pytest.approx((230.0, 16.0, 3680.0, 11_040.0))
    assert report.frequency == 50.0
    model.on_vehicle_lines(SimVehicleLines(plugged=True, ac_current=16.0, ac_phases=1), 0.1)
    report = model.step(0.2).report
    assert report is not None
    assert (report.current_l1, report.current_l2, report.power) == pytest.approx((16.0, 0.0, 3680.0))


def test_a_meter_on_the_bus_sends_its_frames_every_200_ms_unless_it_is_silent() -> None:
    model = CanMeterModel(SimulatedMeterConfig(), load("meter"))
    assert sum(bool(model.step(number * STEP).frames) for number in range(100)) == pytest.approx(50, abs=1)
    model.inject("meter_silent", True)
    assert not model.step(100.0).frames


SEEN = {
    "meter_stuck": MeterStatus.STUCK,
    "meter_backwards": MeterStatus.BACKWARDS,
    "meter_exchanged": MeterStatus.EXCHANGED,
    "meter_wrong_scale": MeterStatus.JUMPED,
    "meter_counts_too_little": MeterStatus.GOOD,
    "meter_disturbed": MeterStatus.DISTURBED,
    "meter_silent": MeterStatus.TIMEOUT,
}


@pytest.mark.parametrize("fault", of(METER))
def test_each_fault_of_the_meter_is_seen(fault: str) -> None:
    model, now = MeterModel(SimulatedMeterConfig()), 0.0
    meter = ReadMeter(MeterConfig(), MeterLinkConfig(kind=CAN), MemoryLedger())

    def run(seconds: float) -> None:
        nonlocal now
        for _ in range(round(seconds / STEP)):
            now += STEP
            model.on_power(SimPower(1.0, 400.0, 400.0, 100.0), now)
            meter.on_report(PowerReport(complete=True, age=0.0, voltage=400.0, current=100.0), now)
            report = model.step(now).report
            if report is not None:
                meter.on_sample(report, now, now)

    run(10.0)
    assert meter.status(now) is MeterStatus.GOOD
    meter.begin()
    meter.in_session(True)
    begun = meter.register_wh
    model.inject(fault, True)
    # A register that fell is where it was after 9 s at this power: by then the session has ended.
    run(5.0 if fault == "meter_backwards" else 120.0)
    assert meter.status(now) is SEEN[fault]
    details = meter.details(now)
    if fault == "meter_counts_too_little":
        assert meter.register_wh - begun < 0.75 * details["session_reference_wh"], "safety_monitor sees it: test_meter_faults.py"
    else:
        assert details["meter_detail"]
        assert isnan(details["meter_clock"])
