"""The controller's side of the generic EVSE interface v3: bytes by hand from ../shared/reference/can.md 1.3, and what goes out when."""

from dataclasses import replace
from math import inf, isnan, nan

import pytest
from can_bench import EVSE_V3, module_status

from evse_core.codecs.evse_v3 import (
    BANK_LIMIT,
    INFORMATION_PERIOD,
    LEAST_ANNOUNCEMENTS,
    STATES,
    ModulesReceiver,
    ModulesSender,
    PowerOutput,
)
from evse_core.codecs.signals import Malformed
from evse_core.frame import Frame
from evse_core.types import ControllerPhase, PowerCommand, PowerFunction, VehicleReport

TRANSFER = PowerCommand(function=PowerFunction.POWER_TRANSFER, voltage=410.0, current=12.5, session_announced=True)
IDLE = PowerCommand(function=PowerFunction.OFF)
VEHICLE = VehicleReport(complete=True, protocol_number=2, max_voltage=435.0, max_current=100.0, soc_percent=73.4, battery_capacity_kwh=24.0)


class Sender:
    """A ModulesSender with a clock of 0.1 s steps; returns frames by message name."""

    def __init__(self, pistol: int = 1) -> None:
        self.sender = ModulesSender(EVSE_V3, pistol)
        self.now = 0.0

    def send(self, command: PowerCommand, *, enabled: bool = False, **output: object) -> dict[str, Frame]:
        self.now += 0.1
        frames = self.sender.frames(PowerOutput(command, **output), enabled, self.now)  # type: ignore[arg-type]
        return {EVSE_V3.decode(frame).name: frame for frame in frames}


def control(command: PowerCommand, **output: object) -> bytes:
    return Sender().send(command, **output)["DC_Power_Control"].data


@pytest.mark.parametrize(
    ("command", "closed", "data"),
    [
        (TRANSFER, True, "04107d007d0048"),
        (TRANSFER, False, "04107d007d0008"),
        (replace(TRANSFER, function=PowerFunction.INSULATION_TEST, voltage=500.0, current=1.0), True, "88130a000a0042"),
        (replace(TRANSFER, function=PowerFunction.PRECHARGE, current=2.0), True, "04101400000064"),
        (replace(TRANSFER, function=PowerFunction.STANDBY), True, "00000000000041"),
        (replace(TRANSFER, function=PowerFunction.STANDBY, lower_output_voltage=True), False, "00000000000081"),
        (replace(TRANSFER, function=PowerFunction.OFF, lower_output_voltage=True), False, "00000000000000"),
        (replace(TRANSFER, lower_output_voltage=True), True, "04107d007d0048"),
        (replace(TRANSFER, function=PowerFunction.UNKNOWN), True, "00000000000040"),
        (replace(TRANSFER, current=-20.0), True, "041038ff38ff48"),
        (replace(TRANSFER, function=PowerFunction.PRECHARGE, current=-2.0), True, "04100000000064"),
        (replace(TRANSFER, function=PowerFunction.INSULATION_TEST, voltage=500.0, current=-1.0), True, "88130000000042"),
    ],
    ids=[
        "transfer",
        "open contactor",
        "insulation test",
        "precharge",
        "standby",
        "lowering",
        "no lowering in off",
        "nor in transfer",
        "unknown",
        "discharge",
        "no discharge in precharge",
        "nor in insulation test",
    ],
)
def test_power_control_is_laid_out_as_documented(command: PowerCommand, closed: bool, data: str) -> None:
    assert control(command, contactor_closed=closed).hex() == data


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_set_point_that_makes_no_sense_asks_for_nothing(value: float) -> None:
    assert control(replace(TRANSFER, voltage=value))[:2] == bytes(2)
    assert control(replace(TRANSFER, current=value))[2:6] == bytes(4)


def test_negative_voltage_asks_for_nothing() -> None:
    assert control(replace(TRANSFER, voltage=-1.0))[:2] == bytes(2)


def test_modules_take_power_back_only_where_they_have_named_a_current() -> None:
    receiver = ModulesReceiver(EVSE_V3, 1)
    offers = [(b"\0\0", nan), (b"\xe8\x03", 100.0), (b"\0\0", 0.0), (b"", 0.0)]
    assert isnan(receiver.report(0.0).max_discharge_current)
    for offer, current in offers:
        receiver.receive(Frame(0x01063001, bytes(4) + offer, True), 0.0)
        assert receiver.report(0.0).max_discharge_current == pytest.approx(current, nan_ok=True)


def test_modules_are_told_what_the_vehicle_gives() -> None:
    vehicle = replace(VEHICLE, max_discharge_current=30.0, max_discharge_power=11_400.0)
    assert Sender().send(TRANSFER, vehicle=vehicle)["EV_Information_Discharge_Limits"].data.hex() == "00002c0100000b00"


@pytest.mark.parametrize("phase", list(STATES))
def test_heartbeat_carries_the_state(phase: ControllerPhase) -> None:
    frame = Sender().send(replace(IDLE, phase=phase))["Advantics_Controller_Status"]
    assert (frame.id, frame.extended) == (0x0106B000, True)
    # The protocol's numbers are those of ControllerPhase less one, from Initialising to Closing_Communication (can.md 1.3).
    assert frame.data == bytes([int(phase) - 1])


def test_idle_controller_sends_its_heartbeat_alone() -> None:
    sender = Sender()
    for _ in range(3):
        assert list(sender.send(IDLE)) == ["Advantics_Controller_Status"]


@pytest.mark.parametrize("pistol", [1, 15])
def test_every_frame_carries_the_pistol_index(pistol: int) -> None:
    frames = Sender(pistol).send(TRANSFER, vehicle=VEHICLE, emergency=True)
    assert len(frames) > 6
    assert {frame.id >> 24 for frame in frames.values()} == {pistol}


@pytest.mark.parametrize(("generation", "protocol"), [(0, 3), (1, 3), (2, 4), (3, 5), (9, 5)])
def test_session_is_announced_with_the_vehicles_generation(generation: int, protocol: int) -> None:
    frame = Sender().send(TRANSFER, vehicle=VehicleReport(protocol_number=generation))["New_Charge_Session"]
    assert frame.data == bytes([protocol, 2])


def test_session_is_announced_until_the_modules_allow_power() -> None:
    sender = Sender()
    seen = ["New_Charge_Session" in sender.send(TRANSFER, enabled=index >= 5) for index in range(10)]
    assert seen == [True] * 5 + [False] * 5


def test_modules_that_are_still_awake_hear_of_the_new_session_all_the_same() -> None:
    sender = Sender()
    seen = ["New_Charge_Session" in sender.send(TRANSFER, enabled=True) for _ in range(10)]
    assert seen == [True] * LEAST_ANNOUNCEMENTS + [False] * (10 - LEAST_ANNOUNCEMENTS)


def test_permission_that_falls_during_a_session_announces_nothing_again() -> None:
    sender = Sender()
    for _ in range(5):
        sender.send(TRANSFER, enabled=True)
    assert "New_Charge_Session" not in sender.send(TRANSFER, enabled=False)


@pytest.mark.parametrize(("clean", "state"), [(True, 0), (False, 1)])
def test_session_ends_with_one_last_off_and_one_word(clean: bool, state: int) -> None:
    sender = Sender()
    sender.send(TRANSFER)
    last = sender.send(replace(IDLE, clean_stop=clean))
    assert last["DC_Power_Control"].data == bytes(7)
    assert last["Charge_Session_Finished"].data == bytes([state])
    assert list(sender.send(replace(IDLE, clean_stop=clean))) == ["Advantics_Controller_Status"]


def test_second_session_is_announced_again() -> None:
    sender = Sender()
    for _ in range(5):
        sender.send(TRANSFER, enabled=True)
    sender.send(IDLE)
    assert "New_Charge_Session" in sender.send(TRANSFER, enabled=True)


def test_readiness_of_the_vehicle_goes_out_on_change_only() -> None:
    sender, phases = (
        Sender(),
        [ControllerPhase.CONNECTED, ControllerPhase.WAITING_FOR_CHARGE, ControllerPhase.CHARGING, ControllerPhase.ENDING],
    )
    seen = []
    for phase in phases:
        for _ in range(2):
            frame = sender.send(replace(TRANSFER, phase=phase)).get("Charge_Status_Change")
            seen.append(None if frame is None else frame.data[0])
    assert seen == [None, None, 1, None, None, None, 0, None]


def test_emergency_is_repeated_while_it_holds_and_ends_readiness() -> None:
    sender, charging = Sender(), replace(TRANSFER, phase=ControllerPhase.CHARGING)
    sender.send(charging)
    first, second = (sender.send(charging, emergency=True) for _ in range(2))
    assert first["Emergency_Stop"].data == second["Emergency_Stop"].data == bytes([1])
    assert first["Charge_Status_Change"].data == bytes([0])
    assert "Emergency_Stop" not in sender.send(charging)


def test_vehicle_information_goes_out_once_and_on_change() -> None:
    sender = Sender()
    first = sender.send(TRANSFER, vehicle=VEHICLE)
    assert first["EV_Information_Battery"].data.hex() == "180049000000"
    assert first["EV_Information_Voltages"].data.hex() == "0000fe100000"
    assert first["EV_Information_Charge_Limits"].data.hex() == "0000e80300002b00"
    assert first["EV_Information_Discharge_Limits"].data == bytes(8)
    assert not [name for name in sender.send(TRANSFER, vehicle=VEHICLE) if name.startswith("EV_")]
    changed = sender.send(TRANSFER, vehicle=replace(VEHICLE, soc_percent=74.0))
    assert [name for name in changed if name.startswith("EV_")] == ["EV_Information_Battery"]


def test_vehicle_information_that_was_lost_comes_again() -> None:
    sender = Sender()
    sender.send(TRANSFER, vehicle=VEHICLE)
    sender.now += INFORMATION_PERIOD
    assert len([name for name in sender.send(TRANSFER, vehicle=VEHICLE) if name.startswith("EV_")]) == 4


def test_vehicle_that_is_not_known_yet_is_not_described() -> None:
    assert not [name for name in Sender().send(TRANSFER, vehicle=replace(VEHICLE, complete=False)) if name.startswith("EV_")]


def test_status_bytes_become_the_report() -> None:
    receiver = ModulesReceiver(EVSE_V3, 1)
    # 400.5 V, -1.2 A, 55 and 30 degC, allowed, 510 kOhm.
    assert receiver.receive(Frame(0x01063000, bytes.fromhex("a50ff4ff5f4601ff"), True), 1.0) == 0
    assert receiver.receive(Frame(0x01063001, bytes.fromhex("8813e80300000000"), True), 1.1) == 0
    report = receiver.report(1.25)
    assert report.complete
    assert report.age == pytest.approx(0.25)
    assert (report.voltage, report.current) == (pytest.approx(400.5), pytest.approx(-1.2))
    assert (report.module_temperature, report.enclosure_temperature) == (55.0, 30.0)
    assert report.enabled
    assert report.insulation_resistance == 510e3
    assert (report.max_voltage, report.max_current) == (500.0, 100.0)


def test_nothing_is_known_before_the_first_status() -> None:
    report = ModulesReceiver(EVSE_V3, 1).report(9.0)
    assert not report.complete
    assert not report.enabled
    assert all(isnan(value) for value in (report.age, report.voltage, report.current, report.insulation_resistance, report.max_voltage))


def offer(receiver: ModulesReceiver, current: float) -> float:
    """Let modules offer a current [A]; return what the report makes of it."""
    receiver.receive(EVSE_V3.encode("DC_Power_Parameters", {"Maximum_Voltage": 500, "Maximum_Charge_Current": current}, pistol=1), 0.0)
    return receiver.report(0.0).max_current


def test_limit_of_zero_is_no_limit_said() -> None:
    receiver = ModulesReceiver(EVSE_V3, 1)
    receiver.receive(Frame(0x01063001, bytes(8), True), 0.0)
    assert isnan(receiver.report(0.0).max_voltage)
    assert isnan(receiver.report(0.0).max_current)


def test_modules_that_have_named_a_limit_mean_zero_when_they_say_zero() -> None:
    receiver = ModulesReceiver(EVSE_V3, 1)
    receiver.begin_session()
    assert isnan(offer(receiver, 0.0))
    assert [offer(receiver, current) for current in (100.0, 0.0, 0.0, 40.0, 0.0)] == [100.0, 0.0, 0.0, 40.0, 0.0]


def test_new_session_makes_zero_the_default_again_but_not_a_zero_that_still_holds() -> None:
    receiver = ModulesReceiver(EVSE_V3, 1)
    offer(receiver, 100.0)
    receiver.begin_session()
    assert receiver.report(0.0).max_current == 100.0
    assert isnan(offer(receiver, 0.0))
    offer(receiver, 100.0)
    offer(receiver, 0.0)
    receiver.begin_session()
    assert receiver.report(0.0).max_current == 0.0
    assert offer(receiver, 0.0) == 0.0
    assert offer(receiver, 60.0) == 60.0


def bank(alive: int, working: int = 3, pistol: int = 1) -> Frame:
    """Return 4 modules, so many of which work and give 20.0 to 21.5 A: bytes by hand from config/can/module_bank.dbc."""
    return Frame(pistol << 24 | 0x00FF3000, bytes([4, working]) + bytes.fromhex("c800d70000") + bytes([alive]), True)


def test_single_modules_become_part_of_the_report() -> None:
    receiver = ModulesReceiver(EVSE_V3, 1)
    assert receiver.receive(bank(1), 0.0) == 0
    report = receiver.report(0.0)
    assert (report.module_count, report.modules_working) == (4, 3)
    assert (report.module_current_min, report.module_current_max) == (pytest.approx(20.0), pytest.approx(21.5))
    assert not report.complete


def test_single_modules_of_another_pistol_are_not_ours() -> None:
    receiver = ModulesReceiver(EVSE_V3, 1)
    assert receiver.receive(bank(1, pistol=2), 0.0) is None
    assert receiver.report(0.0).module_count == 0


def test_single_modules_that_are_silent_or_repeat_an_old_frame_are_not_known() -> None:
    receiver = ModulesReceiver(EVSE_V3, 1)
    receiver.receive(bank(1), 0.0)
    assert receiver.report(BANK_LIMIT).module_count == 4
    receiver.receive(bank(1), 0.4)
    late = receiver.report(BANK_LIMIT + 0.01)
    assert (late.module_count, late.modules_working) == (0, 0)
    assert isnan(late.module_current_min)
    assert isnan(late.module_current_max)
    receiver.receive(bank(2), 0.6)
    assert receiver.report(0.7).module_count == 4


def test_only_a_change_of_what_works_is_news() -> None:
    receiver = ModulesReceiver(EVSE_V3, 1)
    receiver.receive(bank(1), 0.0)
    before = receiver.changes
    receiver.receive(bank(2), 0.1)
    assert receiver.changes == before
    receiver.receive(bank(3, working=2), 0.2)
    assert receiver.changes == before + 1


@pytest.mark.parametrize("length", [0, 1, 2, 5, 7])
def test_truncated_frame_of_single_modules_is_malformed(length: int) -> None:
    receiver = ModulesReceiver(EVSE_V3, 1)
    with pytest.raises(Malformed):
        receiver.receive(Frame(0x01FF3000, bank(1).data[:length], True), 0.0)
    assert receiver.report(0.0).module_count == 0


@pytest.mark.parametrize(("enable", "enabled", "unknown"), [(0, False, 0), (1, True, 0), (2, False, 1), (255, False, 1)])
def test_only_one_is_a_permission(enable: int, enabled: bool, unknown: int) -> None:
    receiver = ModulesReceiver(EVSE_V3, 1)
    assert receiver.receive(module_status(enable=enable), 0.0) == unknown
    assert receiver.report(0.0).enabled is enabled


def test_modules_of_another_pistol_are_not_ours() -> None:
    receiver = ModulesReceiver(EVSE_V3, 1)
    assert receiver.receive(module_status(pistol=2), 0.0) is None
    assert not receiver.report(0.0).complete


def test_own_frames_that_come_back_are_no_news() -> None:
    receiver = ModulesReceiver(EVSE_V3, 1)
    frames = ModulesSender(EVSE_V3, 1).frames(PowerOutput(TRANSFER, vehicle=VEHICLE), False, 0.0)
    assert {receiver.receive(frame, 0.0) for frame in frames} == {None}


@pytest.mark.parametrize("length", [0, 1, 4, 7])
def test_truncated_status_is_malformed_and_no_sign_of_life(length: int) -> None:
    receiver = ModulesReceiver(EVSE_V3, 1)
    receiver.receive(module_status(voltage=400.0), 0.0)
    with pytest.raises(Malformed):
        receiver.receive(Frame(0x01063000, bytes(length), True), 0.4)
    report = receiver.report(0.5)
    assert report.age == pytest.approx(0.5)
    assert report.voltage == pytest.approx(400.0)
