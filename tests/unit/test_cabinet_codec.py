"""Frames of the cabinet, both ways: what a wrong, old or short one must not bring about."""

from math import nan

import pytest

from evse_core.codecs.cabinet import CabinetReceiver, Duty, ModuleCommand, ModuleStatus, OutletStatus, command_frame
from evse_core.codecs.signals import Malformed, UnknownId
from evse_core.frame import Frame
from evse_nodes import databases

DATABASE = databases.load("cabinet")


def status(module: int, alive: int, **signals: float) -> Frame:
    values = {"Working": 1.0, "Duty": 2.0, "Voltage": 400.0, "Current": 31.5, "Temperature": 45.0, "Alive": float(alive)}
    return DATABASE.encode("Module_Status", values | signals, pistol=module)


def test_a_module_is_read() -> None:
    receiver = CabinetReceiver(DATABASE)
    assert receiver.receive(status(7, 1, Closed_2=1.0, Connected_To=2.0), 5.0)
    sample = receiver.modules[7]
    assert sample.received == 5.0
    assert sample.value == ModuleStatus(frozenset({2}), 2, True, Duty.RUN, False, 400.0, pytest.approx(31.5), 45.0)


def test_all_switches_that_are_closed_are_seen() -> None:
    receiver = CabinetReceiver(DATABASE)
    receiver.receive(status(1, 1, Closed_1=1.0, Closed_8=1.0), 0.0)
    assert receiver.modules[1].value.closed == {1, 8}


def test_a_counter_that_stands_is_no_sign_of_life() -> None:
    receiver = CabinetReceiver(DATABASE)
    receiver.receive(status(1, 1), 0.0)
    receiver.receive(status(1, 1, Closed_1=1.0), 1.0)
    assert receiver.modules[1].received == receiver.heard == 0.0
    assert receiver.modules[1].value.closed == frozenset()
    receiver.receive(status(1, 2), 2.0)
    assert receiver.modules[1].received == 2.0


def test_outlets_counters_and_refusals_are_read() -> None:
    receiver = CabinetReceiver(DATABASE)
    receiver.receive(
        DATABASE.encode("Outlet_Status", {"Voltage": 812.5, "Current": -0.5, "Current_Wanted": 90.0, "Alive": 1}, pistol=3), 1.0
    )
    receiver.receive(DATABASE.encode("Module_Counters", {"Running_Hours": 1234.567, "Switch_Operations": 89, "Alive": 1}, pistol=3), 1.0)
    receiver.receive(DATABASE.encode("Cabinet_Status", {"Module_Count": 12, "Refused_Outlets": 1, "Refused_Voltage": 3, "Alive": 1}), 1.0)
    assert receiver.outlets[3].value == OutletStatus(812.5, -0.5, 90.0)
    assert (receiver.counters[3].hours, receiver.counters[3].operations) == (pytest.approx(1234.567), 89)
    assert (receiver.state.modules, receiver.state.refused_outlets, receiver.state.refused_current, receiver.state.refused_voltage) == (
        12,
        1,
        0,
        3,
    )


def test_own_frames_are_nobodys_word() -> None:
    receiver = CabinetReceiver(DATABASE)
    assert not receiver.receive(command_frame(DATABASE, 1, ModuleCommand(2, Duty.RUN), 1), 0.0)
    assert receiver.heard < 0.0


@pytest.mark.parametrize(
    "frame", [status(0, 1), DATABASE.encode("Outlet_Status", {"Alive": 1}, pistol=9), Frame(status(1, 1).id, bytes(7), True)]
)
def test_what_is_no_module_or_too_short_is_refused(frame: Frame) -> None:
    receiver = CabinetReceiver(DATABASE)
    with pytest.raises(Malformed):
        receiver.receive(frame, 0.0)
    assert not receiver.modules
    assert not receiver.outlets


def test_an_unknown_identifier_is_told() -> None:
    with pytest.raises(UnknownId):
        CabinetReceiver(DATABASE).receive(Frame(0x1234567, bytes(8), True), 0.0)


def test_a_command_is_laid_out_as_documented() -> None:
    frame = command_frame(DATABASE, 12, ModuleCommand(3, Duty.RUN, 401.5), 257)
    assert (frame.id, frame.extended, frame.data.hex()) == (0x0CFF4000, True, "2300af0f00000001")


def test_a_voltage_that_nobody_knows_is_0() -> None:
    decoded = DATABASE.decode(command_frame(DATABASE, 1, ModuleCommand(0, voltage=nan), 1))
    assert decoded.signals["Voltage"] == 0.0
