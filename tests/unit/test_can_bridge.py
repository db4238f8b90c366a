"""The bridge on a clock: who is told what and when, with the permit, without it, and with nobody there."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import inf, isnan, nan

import pytest
from can_bench import (
    CHADEMO,
    CHARGING,
    CONTACTOR,
    EVSE_V3,
    IO,
    LINES_OFF,
    NO_PERMIT,
    PERMIT,
    POWER_OFF,
    TO_VEHICLE,
    Bench,
    board_inputs,
    module_status,
    vehicle_frames,
)

from evse_core.can_bridge import Outgoing
from evse_core.codecs.io_board import NO_CURRENT
from evse_core.frame import Frame
from evse_core.types import (
    BusHealth,
    BusLink,
    CanBusStatus,
    CutCause,
    IoCommand,
    Lamp,
    PowerFunction,
    Reaction,
    SafetyState,
)

HOLD, LOCK, UNLOCK = 0, 1, 2


def feed(bench: Bench, current: float = 50.0) -> None:
    """Let all devices speak once."""
    for frame in vehicle_frames():
        bench.bridge.on_frame(BusLink.VEHICLE, frame, bench.now)
    bench.bridge.on_frame(BusLink.POWER, module_status(current=current), bench.now)


# Sending


def test_frames_go_out_in_their_periods() -> None:
    bench = Bench()
    bench.run(2.0)
    for name, period in (("Advantics_Controller_Status", 0.1), ("DC_Power_Control", 0.1), ("IO_Outputs", 0.05), ("SE_Status", 0.1)):
        times = [at for at, _ in bench.decoded(name)]
        gaps = [after - before for before, after in pairwise(times)]
        assert gaps == pytest.approx([period] * (round(2.0 / period) - 1), abs=1e-6), name


@pytest.mark.parametrize("name", ["DC_Power_Control", "IO_Outputs", "SE_Status"])
def test_periods_do_not_drift_when_the_caller_is_late(name: str) -> None:
    bench = Bench()
    bench.run(3.0, step=0.033)
    period = 0.05 if name == "IO_Outputs" else 0.1
    assert len(bench.decoded(name)) >= 3.0 / period - 2


def test_vehicle_frames_keep_the_order_of_a_charger() -> None:
    bench = Bench()
    bench.bridge.on_frame(BusLink.VEHICLE, CHADEMO.encode("EV_ExtendedFunction", {}), bench.now)
    bench.run(0.05)
    assert [item.frame.id for _, item in bench.sent if item.link is BusLink.VEHICLE] == [0x108, 0x109, 0x118]


def test_alive_counter_of_the_board_counts_frames() -> None:
    bench = Bench()
    bench.run(14.0)
    values = [item.signals["Alive"] for _, item in bench.decoded("IO_Outputs")]
    assert all((after - before) % 256 == 1 for before, after in pairwise(values))


@pytest.mark.parametrize(
    ("change", "link"),
    [
        (lambda bench: bench.bridge.on_safety(NO_PERMIT, bench.now), BusLink.POWER),
        (lambda bench: bench.bridge.on_safety(NO_PERMIT, bench.now), BusLink.IO),
        (lambda bench: bench.bridge.on_safety(NO_PERMIT, bench.now), BusLink.VEHICLE),
        (lambda bench: bench.bridge.on_power_command(replace(CHARGING, function=PowerFunction.STANDBY), bench.now), BusLink.POWER),
        (lambda bench: bench.bridge.on_io_command(replace(CONTACTOR, close_contactor=False), bench.now), BusLink.IO),
        (lambda bench: bench.bridge.on_io_command(replace(CONTACTOR, close_contactor=False), bench.now), BusLink.POWER),
        (lambda bench: bench.bridge.on_vehicle_command(replace(TO_VEHICLE, stop_control=True), bench.now), BusLink.VEHICLE),
    ],
    ids=["permit to modules", "permit to contactor", "permit to vehicle", "function", "contactor", "its mirror", "flag to vehicle"],
)
def test_what_cannot_wait_goes_out_at_once(change: Callable[[Bench], None], link: BusLink) -> None:
    bench = Bench()
    bench.charge()
    bench.now += 0.001
    assert not bench.step()
    change(bench)
    assert link in [item.link for item in bench.step()]
    assert not bench.step()


def test_new_set_point_waits_for_its_period() -> None:
    bench = Bench()
    bench.charge()
    bench.now += 0.001
    bench.bridge.on_power_command(replace(CHARGING, current=51.0), bench.now)
    assert not bench.step()


def test_cut_reaches_the_modules_before_the_contactor() -> None:
    bench = Bench()
    bench.charge()
    bench.now += 0.001
    bench.bridge.on_safety(NO_PERMIT, bench.now)
    links = [item.link for item in bench.step()]
    assert list(dict.fromkeys(links)) == [BusLink.POWER, BusLink.IO, BusLink.VEHICLE]


def test_frames_that_a_bus_refuses_are_sent_again_soon() -> None:
    bench = Bench()
    bench.charge()
    bench.now += 0.001
    bench.bridge.on_safety(NO_PERMIT, bench.now)
    bench.step()
    bench.bridge.on_refused(BusLink.POWER, bench.now)
    bench.now = bench.bridge.next_wake(bench.now)
    outgoing = bench.step()
    assert {item.link for item in outgoing} == {BusLink.POWER}
    bench.sent = [(bench.now, item) for item in outgoing]
    assert bench.last("DC_Power_Control")["Power_Function"] == 0


# The permit


@pytest.mark.parametrize("silence", [0.199, 0.201])
@pytest.mark.parametrize("silent", ["safety", "power", "io"])
def test_power_ends_when_permit_or_command_is_older_than_200_ms(silent: str, silence: float) -> None:
    bench = Bench()
    bench.charge()
    bench.speak()
    last_word = bench.now
    setattr(bench, silent, None)
    while bench.now < last_word + silence - 1e-9:
        bench.now = min(bench.now + 0.02, last_word + silence)
        bench.speak()
        bench.step()
    assert bench.energised is (silence < 0.2)


@pytest.mark.parametrize(("late", "energised"), [(0.0, True), (0.19, True), (0.21, False), (-0.01, False), (nan, False)])
def test_a_permit_is_as_old_as_it_says_however_it_was_delivered(late: float, energised: bool) -> None:
    """One that was held up counts no longer than any other; one of an unknown or a future time does not count at all."""
    bench = Bench()
    bench.charge()
    bench.bridge.on_safety(replace(PERMIT, given=bench.now - late), bench.now)
    bench.step()
    assert bench.bridge.status().power_allowed is energised


def test_power_ends_200_ms_after_a_late_permit_was_given() -> None:
    bench = Bench()
    bench.charge()
    given, bench.safety = bench.now - 0.15, None
    bench.bridge.on_safety(replace(PERMIT, given=given), bench.now)
    bench.run(0.045)
    assert bench.bridge.status().power_allowed
    assert bench.bridge.next_wake(bench.now) <= given + 0.202
    bench.run(0.02)
    assert not bench.energised


def test_cut_modules_get_off_zero_and_an_emergency_stop() -> None:
    bench = Bench()
    bench.charge()
    bench.safety = NO_PERMIT
    bench.run(0.06)
    control = bench.last("DC_Power_Control")
    assert (control["Power_Function"], control["Target_Voltage"], control["Current_Range_Max"]) == (0, 0, 0)
    assert control["Output_Contactors"] == 0
    assert bench.last("Emergency_Stop") == {"Origin": 1}


def test_cut_vehicle_is_told_that_charging_has_stopped() -> None:
    bench = Bench()
    bench.charge()
    bench.safety = NO_PERMIT
    bench.run(0.06)
    status = bench.last("SE_Status")
    assert (status["status_charging"], status["status_stop_control"]) == (0, 1)


def test_cut_leaves_lines_and_lock_to_the_sequencer() -> None:
    bench = Bench()
    bench.charge()
    bench.safety = NO_PERMIT
    bench.run(1.0)
    outputs = bench.last("IO_Outputs")
    assert (outputs["Sequence_1"], outputs["Sequence_2"], outputs["Lock_Command"]) == (1, 1, LOCK)


def test_cut_takes_the_signalled_current_from_the_control_pilot() -> None:
    bench = Bench()
    bench.charge()
    bench.io = replace(CONTACTOR, pilot_current=16.0)
    bench.run(0.1)
    assert bench.last("IO_Outputs")["Pilot_Current"] == 16.0
    bench.safety = NO_PERMIT
    bench.run(0.1)
    assert bench.last("IO_Outputs")["Pilot_Current"] == NO_CURRENT
    bench.safety, bench.io = PERMIT, None
    bench.run(0.5)
    assert bench.last("IO_Outputs")["Pilot_Current"] == NO_CURRENT


def test_permit_that_comes_back_does_not_bring_power_back() -> None:
    bench = Bench()
    bench.charge()
    bench.safety = NO_PERMIT
    bench.run(0.1)
    bench.safety = SafetyState(permit=True, reaction=Reaction.NONE)
    bench.run(2.0)
    assert not bench.energised
    assert bench.bridge.status().cut_cause is CutCause.PERMIT_REVOKED
    bench.power, bench.io = POWER_OFF, LINES_OFF
    bench.run(0.2)
    bench.power, bench.io = CHARGING, CONTACTOR
    bench.run(0.2)
    assert bench.energised
    assert bench.bridge.status().cut_count == 1


@pytest.mark.parametrize("function", [PowerFunction.STANDBY, PowerFunction.OFF])
def test_output_may_be_lowered_without_a_permit(function: PowerFunction) -> None:
    bench = Bench()
    bench.safety = NO_PERMIT
    bench.power = replace(POWER_OFF, function=function, lower_output_voltage=True)
    bench.run(0.2)
    control = bench.last("DC_Power_Control")
    assert (control["Power_Function"], control["Lower_Output_Voltage"]) == ((1, 1) if function is PowerFunction.STANDBY else (0, 0))


@pytest.mark.parametrize(("announced", "sent"), [(True, True), (False, False)])
def test_emergency_of_the_monitor_reaches_modules_that_are_in_a_session(announced: bool, sent: bool) -> None:
    bench = Bench()
    bench.safety = SafetyState(permit=False, reaction=Reaction.EMERGENCY)
    bench.power = replace(POWER_OFF, session_announced=announced)
    bench.run(0.2)
    assert bool(bench.decoded("Emergency_Stop")) is sent
    assert not bench.bridge.status().cut_count


def test_status_says_whether_power_passes() -> None:
    bench = Bench()
    bench.charge()
    status = bench.bridge.status()
    assert (status.power_allowed, status.cut_cause, status.cut_count) == (True, CutCause.NONE, 0)
    bench.safety = NO_PERMIT
    bench.run(0.1)
    status = bench.bridge.status()
    assert (status.power_allowed, status.cut_cause, status.cut_count) == (False, CutCause.PERMIT_REVOKED, 1)


# Nobody commands


def silence_sequencer(bench: Bench) -> float:
    """Let the sequencer fall silent while it charges; return when the bridge finds out."""
    bench.charge()
    bench.speak()
    found_out = bench.now + 0.2
    bench.power = bench.io = bench.vehicle = None
    return found_out


def test_silent_sequencer_is_replaced_by_an_orderly_end() -> None:
    """Rule 4 with current that does not fall: d2 goes 0.5 s after the silence was found, d1 another 0.5 s later, the lock stays."""
    bench = Bench()
    found_out = silence_sequencer(bench)
    for _ in range(200):
        bench.bridge.on_frame(BusLink.POWER, module_status(current=30.0), bench.now)
        bench.run(0.01)
    history = [(at - found_out, item.signals) for at, item in bench.decoded("IO_Outputs")]
    opened = next(at for at, signals in history if not signals["Close_Contactor"])
    no_2 = next(at for at, signals in history if not signals["Sequence_2"])
    no_1 = next(at for at, signals in history if not signals["Sequence_1"])
    assert opened == pytest.approx(0.0, abs=0.02)
    assert no_2 == pytest.approx(0.5, abs=0.02)
    assert no_1 == pytest.approx(1.0, abs=0.03)
    assert {signals["Lock_Command"] for at, signals in history if at > 0.02} == {HOLD}
    assert {signals["Lamp"] for at, signals in history if at > 0.02} == {Lamp.FAULT}


@pytest.mark.parametrize(("current", "waits"), [(5.0, 0.0), (-5.0, 0.0), (5.1, 0.5), (None, 0.5)])
def test_signal_2_goes_as_soon_as_the_current_is_known_to_be_small(current: float | None, waits: float) -> None:
    bench = Bench()
    found_out = silence_sequencer(bench)
    for _ in range(120):
        if current is not None:
            bench.bridge.on_frame(BusLink.POWER, module_status(current=current), bench.now)
        bench.run(0.01)
    no_2 = next(at for at, item in bench.decoded("IO_Outputs") if not item.signals["Sequence_2"])
    assert no_2 - found_out == pytest.approx(waits, abs=0.02)


def test_old_reading_of_a_small_current_takes_signal_2_away_no_earlier() -> None:
    bench = Bench()
    bench.charge()
    bench.bridge.on_frame(BusLink.POWER, module_status(current=0.0), bench.now)
    bench.run(0.15)
    bench.speak()
    found_out = bench.now + 0.2
    bench.power = bench.io = bench.vehicle = None
    bench.run(1.2)
    no_2 = next(at for at, item in bench.decoded("IO_Outputs") if not item.signals["Sequence_2"])
    assert no_2 - found_out == pytest.approx(0.5, abs=0.02)


def test_vehicle_hears_stop_and_malfunction_until_its_line_goes() -> None:
    bench = Bench()
    found_out = silence_sequencer(bench)
    for _ in range(150):
        feed(bench, current=30.0)
        bench.run(0.01)
    heard = [(at - found_out, item.signals) for at, item in bench.decoded("SE_Status") if at > found_out + 0.02]
    assert all(signals["status_stop_control"] and signals["status_charger_malfunction"] for _, signals in heard)
    assert not any(signals["status_charging"] for _, signals in heard)
    assert all(signals["status_connector_locked"] for _, signals in heard)
    assert {signals["present_output_current"] for _, signals in heard} == {30.0}
    assert heard[-1][0] == pytest.approx(1.0, abs=0.12)


def test_sequencer_that_comes_back_is_obeyed_but_gets_no_power() -> None:
    bench = Bench()
    silence_sequencer(bench)
    bench.run(0.4)
    bench.power, bench.io, bench.vehicle = CHARGING, CONTACTOR, TO_VEHICLE
    bench.run(0.2)
    outputs = bench.last("IO_Outputs")
    assert (outputs["Sequence_1"], outputs["Sequence_2"], outputs["Close_Contactor"], outputs["Lock_Command"]) == (1, 1, 0, LOCK)
    assert bench.last("DC_Power_Control")["Power_Function"] == 0
    assert bench.bridge.status().cut_cause is CutCause.COMMAND_STALE


def test_without_any_command_everything_is_off_and_the_lock_is_left_alone() -> None:
    bench = Bench()
    bench.power = bench.io = bench.vehicle = None
    bench.run(1.0)
    outputs = bench.last("IO_Outputs")
    assert {name: outputs[name] for name in ("Sequence_1", "Sequence_2", "Close_Contactor", "Lock_Command")} == {
        "Sequence_1": 0, "Sequence_2": 0, "Close_Contactor": 0, "Lock_Command": HOLD,
    }  # fmt: skip
    assert not bench.decoded("DC_Power_Control")
    assert not bench.decoded("SE_Status")
    assert bench.last("Advantics_Controller_Status") == {"State": 0}


def test_vehicle_that_speaks_to_a_bridge_without_sequencer_is_told_to_stop() -> None:
    bench = Bench()
    bench.power = bench.io = bench.vehicle = None
    feed(bench)
    bench.run(0.5)
    status = bench.last("SE_Status")
    assert (status["status_stop_control"], status["status_charger_malfunction"], status["status_charging"]) == (1, 1, 0)
    assert bench.last("SE_Capability")["available_output_current"] == 0


@pytest.mark.parametrize(("lock", "command"), [(True, LOCK), (False, UNLOCK)])
def test_lock_follows_the_sequencer_while_it_speaks(lock: bool, command: int) -> None:
    bench = Bench()
    bench.io = IoCommand(lock=lock)
    bench.run(0.2)
    assert bench.last("IO_Outputs")["Lock_Command"] == command
    bench.power = bench.io = bench.vehicle = None
    bench.run(5.0)
    assert bench.last("IO_Outputs")["Lock_Command"] == HOLD


# Receiving


def test_whatever_comes_is_counted_by_its_kind() -> None:
    bench = Bench()
    on_frame = bench.bridge.on_frame
    for frame in vehicle_frames():
        assert on_frame(BusLink.VEHICLE, frame, bench.now)
    assert on_frame(BusLink.VEHICLE, Frame(0x521, bytes(6)), bench.now)
    assert on_frame(BusLink.VEHICLE, Frame(0x102, b"\x01"), bench.now)
    assert on_frame(BusLink.VEHICLE, Frame(0x102, bytes([9, 0, 0, 0, 0, 0, 0, 0])), bench.now)
    assert not on_frame(BusLink.VEHICLE, CHADEMO.encode("SE_Status", {}), bench.now)
    assert not on_frame(BusLink.IO, IO.encode("IO_Outputs", {}), bench.now)
    vehicle, _, io = bench.bridge.status().buses
    assert (vehicle.received, vehicle.unknown_id, vehicle.malformed, vehicle.unknown_value) == (4, 1, 1, 1)
    assert (io.received, io.unknown_id, io.malformed, io.unknown_value) == (0, 0, 0, 0)


def test_status_joins_counters_of_port_and_decoder() -> None:
    bench = Bench()
    bench.bridge.on_bus(CanBusStatus(link=BusLink.IO, health=BusHealth.ERROR, detail="tx full", sent=7, errors=2, dropped=1, load=0.25))
    bench.bridge.on_frame(BusLink.IO, board_inputs(), bench.now)
    found = bench.bridge.status().buses[2]
    assert found == CanBusStatus(
        link=BusLink.IO, health=BusHealth.ERROR, detail="tx full", received=1, sent=7, errors=2, dropped=1, load=0.25
    )


@pytest.mark.parametrize(
    ("health", "sends"),
    [(BusHealth.OK, True), (BusHealth.ERROR, True), (BusHealth.BUS_OFF, False), (BusHealth.CLOSED, False), (BusHealth.UNKNOWN, False)],
)
@pytest.mark.parametrize("link", [BusLink.VEHICLE, BusLink.POWER, BusLink.IO])
def test_link_whose_receive_path_does_not_work_falls_silent_alone(link: BusLink, health: BusHealth, sends: bool) -> None:
    """So modules and board stop by their own timeouts of 200 ms instead of obeying somebody deaf."""
    bench = Bench()
    bench.charge()
    bench.bridge.on_bus(CanBusStatus(link=link, health=health))
    bench.run(0.3)
    assert (link in {item.link for _, item in bench.sent}) is sends
    assert len({item.link for _, item in bench.sent}) == 2 + sends


def test_unplugging_forgets_the_vehicle() -> None:
    bench = Bench()
    feed(bench)
    bench.bridge.on_frame(BusLink.IO, board_inputs(1), bench.now)
    assert reports(bench)["vehicle_report"].complete
    bench.bridge.on_frame(BusLink.IO, board_inputs(2, Plugged=0), bench.now)
    assert not reports(bench, later=0.2)["vehicle_report"].complete


def test_end_of_transmission_forgets_the_vehicle() -> None:
    bench = Bench()
    bench.run(0.1)
    feed(bench)
    bench.vehicle = replace(TO_VEHICLE, transmit=False)
    bench.run(0.1)
    assert not reports(bench)["vehicle_report"].complete


# Reporting


def reports(bench: Bench, later: float = 0.0) -> dict[str, object]:
    bench.now += later
    return {report.topic: report.value for report in bench.bridge.reports(bench.now)}


def test_every_topic_is_reported_from_the_start() -> None:
    assert set(reports(Bench())) == {"vehicle_report", "power_report", "io_report", "can_status"}


def test_quiet_topics_repeat_at_their_period() -> None:
    bench, counts = Bench(), dict.fromkeys(("vehicle_report", "power_report", "io_report", "can_status"), 0)
    for _ in range(1000):
        for topic in reports(bench, later=0.002):
            counts[topic] += 1
    assert set(counts.values()) <= set(range(16, 21))


@pytest.mark.parametrize(
    ("topic", "link", "frame"),
    [
        ("io_report", BusLink.IO, board_inputs(2, Emergency_Stop=1)),
        ("io_report", BusLink.IO, board_inputs(2, Permission_K=1)),
        ("io_report", BusLink.IO, board_inputs(2, Stop_Count=1)),
        ("vehicle_report", BusLink.VEHICLE, vehicle_frames(request=51)[2]),
        ("vehicle_report", BusLink.VEHICLE, vehicle_frames(status_charging_system_fault=1)[2]),
        ("power_report", BusLink.POWER, module_status(enable=0)),
        ("io_report", BusLink.IO, board_inputs(2, Tilted=1)),
        ("io_report", BusLink.IO, board_inputs(2, Pilot_Fault=2)),
        ("power_report", BusLink.POWER, EVSE_V3.encode("Module_Bank", {"Module_Count": 4, "Modules_Working": 0, "Alive": 1}, pistol=1)),
    ],
)
def test_news_are_reported_at_once_and_once(topic: str, link: BusLink, frame: Frame) -> None:
    bench = Bench()
    feed(bench)
    bench.bridge.on_frame(BusLink.IO, board_inputs(1), bench.now)
    reports(bench)
    assert not reports(bench, later=0.01)
    bench.bridge.on_frame(link, frame, bench.now)
    assert list(reports(bench)) == [topic]
    assert not reports(bench, later=0.01)


def test_flood_of_news_does_not_become_a_flood_of_reports() -> None:
    bench, count = Bench(), 0
    for index in range(2000):
        bench.bridge.on_frame(BusLink.IO, board_inputs(index, Emergency_Stop=index % 2), bench.now)
        count += "io_report" in reports(bench, later=0.0005)
    assert 100 <= count <= 201


def test_readings_are_reported_with_the_frame_that_brings_them() -> None:
    bench = Bench()
    found = []
    for index in range(100):
        if index % 10 == 0:
            bench.bridge.on_frame(BusLink.POWER, module_status(voltage=index), bench.now)
        report = reports(bench).get("power_report")
        if report is not None:
            found.append((index, report.voltage))  # type: ignore[attr-defined]
        bench.now += 0.01
    assert found == [(index, pytest.approx(index)) for index in range(0, 100, 10)]


def offered(bench: Bench, current: float) -> float:
    """Let modules offer a current [A]; return what the bridge reports."""
    frame = EVSE_V3.encode("DC_Power_Parameters", {"Maximum_Charge_Current": current}, pistol=1)
    bench.bridge.on_frame(BusLink.POWER, frame, bench.now)
    return reports(bench, later=0.2)["power_report"].max_current  # type: ignore[attr-defined, no-any-return]


def test_zero_is_an_offer_only_from_modules_that_have_offered_something_in_this_session() -> None:
    bench = Bench()
    bench.bridge.on_power_command(replace(POWER_OFF, session_announced=True), bench.now)
    assert [offered(bench, current) for current in (100.0, 0.0, 80.0)] == [100.0, 0.0, 80.0]
    bench.bridge.on_power_command(replace(POWER_OFF, session_announced=True), bench.now)
    assert [offered(bench, current) for current in (0.0, 80.0)] == [0.0, 80.0]
    bench.bridge.on_power_command(replace(POWER_OFF, session_announced=False), bench.now)
    bench.bridge.on_power_command(replace(POWER_OFF, session_announced=True), bench.now)
    assert isnan(offered(bench, 0.0))


def test_age_of_silent_modules_grows_in_the_reports() -> None:
    bench = Bench()
    feed(bench)
    ages = [reports(bench, later=0.2)["power_report"].age for _ in range(4)]  # type: ignore[attr-defined]
    assert ages == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_node_that_sleeps_until_the_next_wake_cuts_in_time() -> None:
    bench = Bench()
    bench.charge()
    bench.speak()
    last_word, bench.safety = bench.now, None
    wakes = 0
    while bench.now < last_word + 0.3:
        bench.step()
        bench.bridge.reports(bench.now)
        wake = bench.bridge.next_wake(bench.now)
        assert wake > bench.now
        bench.now, wakes = min(wake, bench.now + 0.04), wakes + 1
        if bench.now - last_word > 0.04:
            for value, take in ((bench.power, bench.bridge.on_power_command), (bench.io, bench.bridge.on_io_command)):
                take(value, bench.now)  # type: ignore[arg-type]
    cut = next(at for at, item in bench.decoded("DC_Power_Control") if item.signals["Power_Function"] == 0)
    assert cut - last_word == pytest.approx(0.2, abs=0.002)
    assert wakes < 60


# The end


def test_bridge_works_until_everything_is_commanded_off_and_free() -> None:
    bench = Bench()
    bench.charge()
    assert not bench.bridge.idle(bench.now)
    stages = [
        {"power": POWER_OFF, "io": replace(CONTACTOR, close_contactor=False)},
        {"power": replace(POWER_OFF, session_announced=False)},
        {"vehicle": replace(TO_VEHICLE, transmit=False)},
        {"io": LINES_OFF},
        {"io": IoCommand()},
    ]
    found = []
    for stage in stages:
        for name, value in stage.items():
            setattr(bench, name, value)
        bench.run(0.1)
        found.append(bench.bridge.idle(bench.now))
    assert found == [False, False, False, False, True]


def test_bridge_waits_for_the_lock_to_open() -> None:
    bench = Bench()
    bench.power, bench.io, bench.vehicle = replace(POWER_OFF, session_announced=False), IoCommand(), replace(TO_VEHICLE, transmit=False)
    bench.bridge.on_frame(BusLink.IO, board_inputs(1, Locked=1), bench.now)
    bench.bridge.on_frame(BusLink.IO, IO.encode("IO_Measurements", {}), bench.now)
    bench.bridge.on_frame(BusLink.IO, IO.encode("IO_Token", {}), bench.now)
    bench.run(0.1)
    assert not bench.bridge.idle(bench.now)
    bench.bridge.on_frame(BusLink.IO, board_inputs(2, Locked=0), bench.now)
    assert bench.bridge.idle(bench.now)


def test_bridge_without_sequencer_ends_when_the_lines_are_down() -> None:
    bench = Bench()
    silence_sequencer(bench)
    bench.run(0.9)
    assert not bench.bridge.idle(bench.now)
    bench.run(0.5)
    assert bench.bridge.idle(bench.now)


def test_last_frames_switch_everything_off_and_leave_the_lock() -> None:
    bench = Bench()
    bench.charge()
    bench.sent = [(bench.now, item) for item in bench.bridge.farewell(bench.now)]
    assert not bench.energised
    outputs = bench.last("IO_Outputs")
    assert (outputs["Sequence_1"], outputs["Sequence_2"], outputs["Lock_Command"]) == (0, 0, HOLD)
    status = bench.last("SE_Status")
    assert (status["status_charging"], status["status_stop_control"]) == (0, 1)


def test_the_power_report_counts_the_energy_for_a_meter_that_is_away() -> None:
    bench = Bench()
    for _ in range(101):
        bench.now += 0.1
        bench.bridge.on_frame(BusLink.POWER, module_status(voltage=400, current=90), bench.now)
        found = reports(bench)["power_report"].energy_wh  # type: ignore[attr-defined]
    assert found == pytest.approx(100.0, rel=0.01)


@pytest.mark.parametrize("silenced", ["safety", "power", "io", "vehicle", "nobody"])
def test_a_step_that_only_devices_brought_about_skips_nothing_that_is_due(silenced: str) -> None:
    """On a full bus most steps end early; a bridge that decides everything anew in each of them sends the same frames at the same times."""

    def play(in_full: bool) -> list[tuple[float, Outgoing]]:
        bench = Bench()
        bench.charge()
        for number in range(400):
            if number == 100:
                setattr(bench, silenced, None)
            if number == 300:
                # A permit that was held up on its way: its end is nearer than that of the one before it.
                bench.bridge.on_safety(replace(PERMIT, given=bench.now - 0.15), bench.now)
            if number % 25 == 0:
                bench.speak()
            bench.bridge.on_frame(BusLink.POWER, module_status(current=50.0 + number % 7), bench.now)
            bench.bridge.on_frame(BusLink.VEHICLE, vehicle_frames(request=50.0 + number % 5)[0], bench.now)
            if bench.bridge.needs_step(bench.now):
                if in_full:
                    bench.bridge._wake = -inf
                bench.step()
                bench.bridge.reports(bench.now)
                bench.bridge.next_wake(bench.now)
            bench.now = round(bench.now + 0.002, 6)
        return bench.sent

    sent = play(in_full=False)
    assert sent == play(in_full=True)
    assert len(sent) > 30


def test_without_a_sequencer_a_current_that_is_gone_drops_signal_2_at_once() -> None:
    bench = Bench()
    bench.charge()
    bench.power = bench.io = bench.vehicle = None
    start = bench.now
    while bench.now < start + 0.3:
        bench.bridge.on_frame(BusLink.POWER, module_status(current=50.0), bench.now)
        bench.step()
        bench.now = round(bench.now + 0.01, 6)
    assert bench.last("IO_Outputs")["Sequence_2"] == 1
    bench.bridge.reports(bench.now)
    assert bench.bridge.next_wake(bench.now) > bench.now + 0.002
    bench.now += 0.001
    bench.bridge.on_frame(BusLink.POWER, module_status(current=1.0), bench.now)
    assert bench.bridge.needs_step(bench.now)
    assert BusLink.IO in [item.link for item in bench.step()]
    assert bench.last("IO_Outputs")["Sequence_2"] == 0
