"""The meter on the bus of the I/O board: frames to a report and back, through the bridge, and what is not said is not invented."""

from dataclasses import fields, replace
from math import isnan, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_core.can_bridge import CanBridge, CanBridgeConfig
from evse_core.codecs.meter import BoardAndMeter, CanMeter, frames
from evse_core.codecs.signals import Malformed, UnknownId
from evse_core.frame import Frame
from evse_core.types import BusLink, MeterReport
from evse_nodes.databases import load

DATABASE = load("meter")
PHASES: dict[str, Any] = {
    f"{what}_l{n}": value for n in (1, 2, 3) for what, value in (("voltage", 230.5), ("current", -10.25), ("power", -2300.0))
}
TOLD = MeterReport(
    import_wh=1234567.8, export_wh=12.3, voltage=400.1, current=-50.2, power=-20_080.0, clock=1_700_000_000.0, serial="4000000001"
)


def heard(report: MeterReport, now: float = 1.0) -> MeterReport:
    meter = CanMeter(DATABASE)
    for frame in frames(DATABASE, report, 7, simulated=False):
        meter.receive(frame, now)
    return meter.report(now)


@pytest.mark.parametrize("report", [TOLD, replace(TOLD, **PHASES, frequency=49.98)])
def test_what_a_meter_says_is_heard(report: MeterReport) -> None:
    found = heard(report)
    assert found.complete
    assert found.age == 0.0
    for name in ("import_wh", "export_wh", "voltage", "current", "power", "frequency", "clock", *PHASES):
        assert getattr(found, name) == pytest.approx(getattr(report, name), nan_ok=True)
    assert (found.serial, found.fault) == ("4000000001", "")


def test_a_simulated_meter_says_so_and_a_disturbed_one_too() -> None:
    meter = CanMeter(DATABASE)
    for frame in frames(DATABASE, replace(TOLD, fault="x"), 1):
        meter.receive(frame, 1.0)
    assert (meter.report(1.0).model, meter.report(1.0).fault) == ("SIMULATED", "it does not measure right")


@pytest.mark.parametrize("name", ["import_wh", "export_wh", "voltage", "current", "power"])
def test_what_a_meter_does_not_know_is_no_value(name: str) -> None:
    assert isnan(getattr(heard(replace(TOLD, **{name: nan})), name))


def test_a_report_is_as_old_as_the_oldest_of_registers_values_and_state() -> None:
    meter = CanMeter(DATABASE)
    assert not meter.report(0.0).complete
    for frame in frames(DATABASE, TOLD, 1):
        meter.receive(frame, 1.0)
    values = next(frame for frame in frames(DATABASE, TOLD, 2) if frame.id == 545)
    meter.receive(values, 5.0)
    assert meter.report(5.5).age == pytest.approx(4.5)
    assert meter.report(7.0).age == pytest.approx(6.0)
    assert isnan(meter.report(7.0).power)


def test_a_counter_that_stands_is_an_old_frame() -> None:
    meter = CanMeter(DATABASE)
    for now in (1.0, 2.0, 3.0):
        for frame in frames(DATABASE, TOLD, 1):
            meter.receive(frame, now)
    assert meter.report(3.0).age == pytest.approx(2.0)


def test_a_frame_that_is_too_short_is_malformed() -> None:
    with pytest.raises(Malformed):
        CanMeter(DATABASE).receive(Frame(544, bytes(3)), 1.0)


def test_board_and_meter_share_a_bus() -> None:
    meter, taken = CanMeter(DATABASE), list[int]()

    def board(frame: Frame, now: float) -> int:
        taken.append(frame.id)
        if frame.id == 0x7FF:
            raise UnknownId("0x7FF")
        return 0

    both = BoardAndMeter(DATABASE, meter, board)
    assert both.receive(Frame(513, bytes(8)), 1.0) == 0
    assert both.receive(frames(DATABASE, TOLD, 1)[0], 1.0) == 0
    with pytest.raises(UnknownId):
        both.receive(Frame(0x7FF, b""), 1.0)
    assert taken == [513, 0x7FF]


def test_the_bridge_reports_a_meter_where_there_is_one() -> None:
    databases = {name: load(name) for name in ("chademo", "evse_v3", "io_board", "meter")}
    bridge = CanBridge(CanBridgeConfig(has_meter=True), databases)
    for frame in frames(DATABASE, TOLD, 1):
        bridge.on_frame(BusLink.IO, frame, 1.0)
    (report,) = [report.value for report in bridge.reports(1.0) if report.topic == "meter_report"]
    assert report.import_wh == pytest.approx(TOLD.import_wh)
    assert bridge.status().buses[0].unknown_id == 0
    without = CanBridge(CanBridgeConfig(), databases)
    assert not [report for report in without.reports(1.0) if report.topic == "meter_report"]


@given(st.lists(st.tuples(st.integers(540, 555), st.binary(max_size=8)), max_size=20))
def test_whatever_frames_come_no_value_is_none_of_a_measurement(received: list[tuple[int, bytes]]) -> None:
    meter = CanMeter(DATABASE)
    for now, (number, data) in enumerate(received):
        try:
            meter.receive(Frame(number, data), float(now))
        except (UnknownId, Malformed):
            continue
    report = meter.report(float(len(received)))
    assert report.complete or isnan(report.age)
    assert {item.name for item in fields(report)} >= {"import_wh", "serial"}
    assert isnan(report.import_wh) or 0.0 <= report.import_wh < 2.9e13
