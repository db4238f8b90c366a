"""The customer's side of the generic EVSE interface: what a charge controller says, what it is answered, and which versions are served."""

from dataclasses import replace
from math import isnan, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_core.can_bridge import CanBridgeConfig
from evse_core.charge_sequencer import ChargeSequencer, SequencerConfig
from evse_core.codecs.secc import EDGE_HOLD, EDGE_REPEAT, REPEAT_PERIOD, SeccStation
from evse_core.codecs.secc_heard import EMERGENCY_HOLD
from evse_core.codecs.signals import Malformed, UnknownId
from evse_core.frame import Frame
from evse_core.safety_monitor import SafetyConfig, SafetyMonitor
from evse_core.types import (
    OLD_INTERFACE,
    ControllerCommand,
    ControllerPhase,
    CutCause,
    EmergencyOrigin,
    Lamp,
    Plug,
    PowerFunction,
    PowerReport,
    VehicleCommand,
    VehicleLink,
    VehicleProtocol,
)
from evse_nodes import databases

DATABASE = databases.load("evse_v3")
TIMEOUT = 0.2
MODULES = PowerReport(
    complete=True,
    voltage=400.0,
    current=12.3,
    module_temperature=40.0,
    enclosure_temperature=30.0,
    enabled=True,
    insulation_resistance=300e3,
)


def station(pistol: int = 1) -> SeccStation:
    return SeccStation(DATABASE, pistol, TIMEOUT)


def said(found: SeccStation, name: str, now: float = 0.0, pistol: int = 1, length: int = 8, **signals: float) -> int | None:
    frame = DATABASE.encode(name, signals, pistol=pistol)
    return found.receive(Frame(frame.id, frame.data[:length], frame.extended), now)


def sent(found: SeccStation, now: float = 0.0, modules: PowerReport = MODULES, **controller: object) -> dict[str, dict[str, float]]:
    command = VehicleCommand(transmit=True, controller=ControllerCommand(**controller))  # type: ignore[arg-type]
    decoded = [DATABASE.decode(frame) for frame in found.frames(command, modules, now)]
    return {item.name: dict(item.signals) for item in decoded}


def announced(**signals: float) -> SeccStation:
    found = station()
    said(found, "Advantics_Controller_Status", State=3)
    said(found, "New_Charge_Session", **({"Communication_Protocol": 2, "Plug_and_pins": 0} | signals))
    return found


# What comes in


@pytest.mark.parametrize(
    ("number", "phase"), [(0, "INITIALISING"), (7, "CHARGING"), (11, "AUTHORISING"), (12, "NOT_AVAILABLE"), (13, "PAUSED"), (99, "UNKNOWN")]
)
def test_the_heartbeat_tells_the_phase_and_an_unknown_one_stops_nobody(number: int, phase: str) -> None:
    found = station()
    said(found, "Advantics_Controller_Status", 5.0, State=number)
    report = found.report(5.05)
    assert (report.link, report.complete) == (VehicleLink.SECC, True)
    assert report.age == pytest.approx(0.05)
    assert report.controller.phase is ControllerPhase[phase]
    assert report.controller.interface_version == 3


def test_nothing_is_known_before_the_first_heartbeat() -> None:
    report = station().report(1.0)
    assert not report.complete
    assert isnan(report.age)
    assert station().cut_cause(1.0) is CutCause.CONTROLLER_SILENT


@pytest.mark.parametrize(
    ("protocol", "plug", "expected"),
    [
        (0, 0, (VehicleProtocol.DIN_70121, Plug.CCS_CORE)),
        (2, 1, (VehicleProtocol.ISO_15118_2, Plug.CCS_EXTENDED)),
        (4, 2, (VehicleProtocol.CHADEMO_1, Plug.CHADEMO)),
        (7, 4, (VehicleProtocol.ISO_15118_20, Plug.MCS)),
        (8, 5, (VehicleProtocol.UNKNOWN, Plug.UNKNOWN)),
        (255, 255, (VehicleProtocol.UNKNOWN, Plug.UNKNOWN)),
    ],
)
def test_protocol_and_plug(protocol: int, plug: int, expected: tuple[VehicleProtocol, Plug]) -> None:
    controller = announced(Communication_Protocol=protocol, Plug_and_pins=plug).report(0.0).controller
    assert (controller.protocol, controller.plug) == expected
    assert controller.session_announced


def test_a_set_point_is_reported_with_its_range() -> None:
    found = announced()
    said(
        found, "DC_Power_Control", 0.1,
        Target_Voltage=410.5, Current_Range_Max=120.3, Current_Range_Min=-20.5, Power_Function=8, Setpoints_Mode=1, Output_Contactors=1,
    )  # fmt: skip
    report = found.report(0.1)
    controller = report.controller
    assert (controller.function, controller.range_mode, controller.close_contactor) == (PowerFunction.POWER_TRANSFER, True, True)
    assert (controller.voltage, controller.current_max, controller.current_min) == pytest.approx((410.5, 120.3, -20.5))
    assert (report.current_request, report.target_voltage) == pytest.approx((120.3, 410.5))


@pytest.mark.parametrize("function", [3, 5, 9, 15])
def test_an_undefined_function_is_none_that_may_be_carried_out(function: int) -> None:
    found = announced()
    said(found, "DC_Power_Control", Power_Function=function, Current_Range_Max=100.0)
    report = found.report(0.0)
    assert report.controller.function is PowerFunction.UNKNOWN
    assert report.current_request == 0.0


@pytest.mark.parametrize(("length", "present"), [(6, 400.0), (4, nan), (8, 400.0)])
def test_shorter_and_longer_frames_of_other_versions_are_read(length: int, present: float) -> None:
    found = announced()
    frame = DATABASE.encode(
        "EV_Information_Voltages", {"EV_Minimum_Voltage": 250, "EV_Maximum_Voltage": 435, "EV_Present_Voltage": 400}, pistol=1
    )
    found.receive(Frame(frame.id, (frame.data + bytes(2))[:length], frame.extended), 0.0)
    report = found.report(0.0)
    assert (report.min_voltage, report.max_voltage) == (250.0, 435.0)
    assert report.controller.vehicle_voltage == pytest.approx(present, nan_ok=True)


def test_a_set_point_that_is_cut_short_is_malformed() -> None:
    with pytest.raises(Malformed):
        said(announced(), "DC_Power_Control", length=5, Power_Function=8)


def test_what_the_vehicle_before_said_is_not_what_this_one_says() -> None:
    found = announced()
    said(found, "EV_Information_Voltages", EV_Maximum_Voltage=435)
    said(found, "DC_Power_Control", Power_Function=8, Target_Voltage=400, Current_Range_Max=50)
    said(found, "Charge_Session_Finished", State=1)
    over = found.report(0.0).controller
    assert (over.session_announced, over.session_finished, over.rushed_stop) == (False, True, True)
    said(found, "New_Charge_Session")
    report = found.report(0.0)
    assert isnan(report.max_voltage)
    assert report.controller.function is PowerFunction.UNKNOWN
    assert (report.controller.session_finished, report.controller.rushed_stop) == (False, False)


@pytest.mark.parametrize("state", [0, 1, 12])
def test_a_controller_that_is_idle_again_has_given_its_session_up(state: int) -> None:
    found = announced()
    said(found, "Advantics_Controller_Status", State=state)
    assert not found.report(0.0).controller.session_announced
    assert not found.report(0.0).controller.session_finished


def test_what_is_asked_for_outside_a_session_counts_nothing() -> None:
    found = announced()
    said(found, "DC_Power_Control", Power_Function=8, Target_Voltage=400, Current_Range_Max=50)
    said(found, "Charge_Session_Finished", State=0)
    assert found.report(0.0).controller.function is PowerFunction.UNKNOWN
    said(found, "DC_Power_Control", Power_Function=8, Target_Voltage=400, Current_Range_Max=50)
    said(found, "Charge_Status_Change", Vehicle_Ready_for_Charging=1)
    report = found.report(0.0)
    assert report.controller.function is PowerFunction.UNKNOWN
    assert not report.charging_enabled


def test_the_vehicle_s_information_with_its_units() -> None:
    found = announced()
    said(
        found,
        "EV_Information_Battery",
        Battery_Capacity=77,
        Present_State_of_Charge=42,
        Minimum_State_of_Charge=10,
        Target_State_of_Charge=80,
    )
    said(found, "EV_Information_Charge_Limits", EV_Minimum_Charge_Current=2, EV_Maximum_Charge_Current=250, EV_Maximum_Charge_Power=150)
    said(found, "EV_Information_Discharge_Limits", EV_Maximum_Discharge_Current=30, EV_Maximum_Discharge_Power=11)
    said(found, "EV_Information_Energy", EV_Target_Energy_Request=-5)
    said(found, "EV_ID_CCS_Part2_DIN", Byte0=0x02, Byte5=0xFF)
    said(found, "ADM_CS_SECC_Inputs", Digital_Input2=1, CPU_Temperature=50, Pistol_PTC1=61, Pistol_PTC2=-40)
    said(found, "OCPP_Control", Dynamic_Target_Current=-12.5)
    report = found.report(0.0)
    controller = report.controller
    assert (report.battery_capacity_kwh, report.soc_percent, report.min_current, report.max_current) == (77.0, 42.0, 2.0, 250.0)
    assert report.discharge_compatible
    assert (report.max_discharge_current, report.max_discharge_power, report.min_discharge_soc_percent) == (30.0, 11e3, 10.0)
    assert (controller.max_power, controller.max_discharge_current, controller.max_discharge_power) == (150e3, 30.0, 11e3)
    assert (controller.min_soc_percent, controller.target_soc_percent) == (10.0, 80.0)
    assert (controller.target_energy_request_wh, controller.vehicle_id, controller.inputs) == (-5e3, "0200000000FF", 2)
    assert (controller.connector_temperature, controller.controller_temperature, controller.dynamic_current) == (61.0, 50.0, -12.5)


@pytest.mark.parametrize(
    ("name", "signals"),
    [
        ("CCS_Extra_Information", {"CP_State": 9.0}),
        ("CCS_Extra_Information", {"CP_State": 6.0}),
        ("MCS_Extra_Information", {"ID_State": 1.0}),
    ],
)
def test_a_pilot_tells_of_a_vehicle_before_the_controller_speaks_with_it(name: str, signals: dict[str, float]) -> None:
    found = station()
    said(found, "Advantics_Controller_Status", State=12)
    assert not found.report(0.0).controller.plugged
    said(found, name, 0.0, **signals)
    assert found.report(0.4).controller.plugged
    assert not found.report(0.6).controller.plugged


def test_a_pilot_in_state_a_is_no_vehicle() -> None:
    found = station()
    said(found, "Advantics_Controller_Status", State=1)
    said(found, "CCS_Extra_Information", CP_State=12.0, CP_Duty_Cycle=100.0)
    assert not found.report(0.0).controller.plugged


# Versions and other pistols


@pytest.mark.parametrize("identifier", [0x68000, 0x68003, 0x0106800D, 0x60010])
def test_a_controller_of_v3_0_or_before_is_recognised_and_not_served(identifier: int) -> None:
    found = station()
    with pytest.raises(UnknownId):
        found.receive(Frame(identifier, bytes(8), True), 1.0)
    report = found.report(1.0)
    assert report.complete
    assert report.controller.interface_version == OLD_INTERFACE
    assert found.cut_cause(1.0) is CutCause.CONTROLLER_SILENT


def test_one_old_frame_does_not_make_a_served_controller_old() -> None:
    found = announced()
    with pytest.raises(UnknownId):
        found.receive(Frame(0x68000, bytes(8), True), 1.0)
    assert found.report(1.0).controller.interface_version == 3


def test_other_pistols_and_own_frames_say_nothing() -> None:
    found = station(pistol=2)
    assert said(found, "Advantics_Controller_Status", State=7) is None
    assert said(found, "Power_Modules_Status", pistol=2) is None
    assert not found.report(0.0).complete
    assert said(found, "Advantics_Controller_Status", pistol=2, State=7) == 0


# What cuts power


def test_a_silence_of_200_ms_cuts() -> None:
    found = station()
    said(found, "Advantics_Controller_Status", 1.0, State=7)
    assert found.cut_cause(1.2) is CutCause.NONE
    assert found.cut_cause(1.201) is CutCause.CONTROLLER_SILENT
    assert 1.2 in found.times()


@pytest.mark.parametrize(
    ("origin", "expected"), [(1, EmergencyOrigin.STATION), (3, EmergencyOrigin.VEHICLE), (77, EmergencyOrigin.UNKNOWN)]
)
def test_an_emergency_stop_cuts_as_long_as_it_is_repeated(origin: int, expected: EmergencyOrigin) -> None:
    found = station()
    said(found, "Advantics_Controller_Status", 1.0, State=7)
    said(found, "Emergency_Stop", 1.0, Origin=origin)
    assert found.report(1.0).controller.emergency is expected
    assert found.cut_cause(1.0) is CutCause.CONTROLLER_EMERGENCY
    said(found, "Advantics_Controller_Status", 1.4, State=7)
    assert found.report(1.0 + EMERGENCY_HOLD + 0.01).controller.emergency is EmergencyOrigin.NONE
    assert found.cut_cause(1.4) is CutCause.NONE


# What goes out


def test_the_modules_readings_are_relayed_with_the_permission() -> None:
    status = sent(station(), enabled=True)["Power_Modules_Status"]
    assert (status["Present_Voltage"], status["Present_Current"]) == pytest.approx((400.0, 12.3))
    assert (status["System_Enable"], status["Insulation_Resistance"]) == (1.0, 300.0)
    assert (status["Power_Modules_Temperature"], status["Enclosure_Temperature"]) == (40.0, 30.0)


@pytest.mark.parametrize(
    ("enabled", "modules"),
    [(False, MODULES), (True, replace(MODULES, enabled=False)), (True, replace(MODULES, complete=False)), (True, PowerReport())],
)
def test_nothing_is_allowed_that_station_or_modules_do_not_allow(enabled: bool, modules: PowerReport) -> None:
    assert sent(station(), modules=modules, enabled=enabled)["Power_Modules_Status"]["System_Enable"] == 0.0


def test_insulation_above_what_the_frame_carries_is_its_highest_value() -> None:
    assert sent(station(), modules=replace(MODULES, insulation_resistance=5e6))["Power_Modules_Status"]["Insulation_Resistance"] == 510.0


def test_limits_go_out_on_change_and_nothing_to_give_is_never_the_default() -> None:
    found = announced()
    first = sent(found, 0.0, max_voltage=500.0, max_current=125.26)["DC_Power_Parameters"]
    assert (first["Maximum_Voltage"], first["Maximum_Charge_Current"]) == pytest.approx((500.0, 125.2))
    assert first["Maximum_Discharge_Current"] == 0.0
    assert "DC_Power_Parameters" not in sent(found, 0.1, max_voltage=500.0, max_current=125.26)
    assert sent(found, 0.2, max_voltage=500.0, max_current=0.0)["DC_Power_Parameters"]["Maximum_Charge_Current"] == pytest.approx(0.1)
    assert "DC_Power_Parameters" in sent(found, 0.2 + REPEAT_PERIOD, max_voltage=500.0, max_current=0.0)


def test_levels_are_kept_and_buttons_are_pressed_once() -> None:
    found = announced()
    wish = {"start_authorised": True, "authorisation_done": True, "authorisation_valid": True, "parameters_done": True, "stop_button": True}
    first = sent(found, 0.0, **wish)["Sequence_Control"]
    assert first == {
        "Start_Charge_Authorisation": 1.0,
        "CHAdeMO_Start_Button": 0.0,
        "CCS_Authorisation_Done": 1.0,
        "CCS_Authorisation_Valid": 1.0,
        "Charge_Parameters_Done": 1.0,
        "User_Stop_Button": 1.0,
    }
    assert "Sequence_Control" not in sent(found, 0.1, **wish)
    later = sent(found, EDGE_HOLD, **wish)["Sequence_Control"]
    assert (later["User_Stop_Button"], later["CCS_Authorisation_Valid"]) == (0.0, 1.0)
    assert sent(found, 1.9, **wish)["Sequence_Control"]["User_Stop_Button"] == 0.0
    assert sent(found, EDGE_REPEAT, **wish)["Sequence_Control"]["User_Stop_Button"] == 1.0
    assert sent(found, 5.0, **wish)["Sequence_Control"]["User_Stop_Button"] == 0.0
    sent(found, 6.0, **(wish | {"stop_button": False}))
    assert sent(found, 7.0, **wish)["Sequence_Control"]["User_Stop_Button"] == 1.0


@pytest.mark.parametrize(
    ("lamps", "lamp", "message", "lit"),
    [
        ("secc", Lamp.AVAILABLE, "ADM_CS_SECC_Outputs", {"Led1"}),
        ("secc", Lamp.CHARGING, "ADM_CS_SECC_Outputs", {"Led2"}),
        ("secc", Lamp.FAULT, "ADM_CS_SECC_Outputs", {"Led3"}),
        ("spcc", Lamp.BUSY, "ADM_CS_SPCC_Outputs", {"Led2"}),
        ("spcc", Lamp.FAULT, "ADM_CS_SPCC_Outputs", {"Led1", "Led2"}),
        ("secc", Lamp.UNKNOWN, "ADM_CS_SECC_Outputs", set()),
    ],
)
def test_the_station_s_lamp_is_shown_on_the_controller_s_leds(lamps: str, lamp: Lamp, message: str, lit: set[str]) -> None:
    found = SeccStation(DATABASE, 1, TIMEOUT, lamps)
    shown = {item.name: item.signals for item in map(DATABASE.decode, found.frames(VehicleCommand(), MODULES, 0.0, lamp))}[message]
    assert {name for name, value in shown.items() if value} == lit
    assert all(shown[name] == 255.0 for name in lit)


def test_a_board_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="controller_lamps: 'cui' is none of secc, spcc"):
        CanBridgeConfig(controller_lamps="cui")
    with pytest.raises(ValueError, match="vehicle_link: 'mains' is none of chademo, secc, pilot"):
        CanBridgeConfig(vehicle_link="mains")
    with pytest.raises(ValueError, match="vehicle_link"):
        SafetyMonitor(SafetyConfig(vehicle_link="ccs"))
    with pytest.raises(ValueError, match="vehicle_link"):
        ChargeSequencer(SequencerConfig(vehicle_link="ccs"))


# Whatever comes

identifiers = st.one_of(
    st.integers(0, 0x1FFFFFFF),
    st.sampled_from(
        [0x0106B000, 0x0106B001, 0x0106B002, 0x0106B003, 0x0106B004, 0x0106B005, 0x0106B100, 0x0106B105, 0x0106B203, 0x0106B300, 0x68003]
    ),
)
frames = st.builds(Frame, identifiers, st.binary(max_size=12), st.booleans())


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(frames, st.floats(0.0, 0.3)), max_size=40))
def test_no_frame_makes_the_codec_fall_over_or_give_an_unknown_value_a_meaning(traffic: list[tuple[Frame, float]]) -> None:
    found, now = station(), 0.0
    for frame, pause in traffic:
        now += pause
        try:
            found.receive(frame, now)
        except (UnknownId, Malformed):
            continue
        report = found.report(now)
        assert report.controller.function in PowerFunction
        assert report.controller.session_announced or report.controller.function is PowerFunction.UNKNOWN
        assert found.cut_cause(now) in CutCause
        assert sent(found, now)["Power_Modules_Status"]["System_Enable"] == 0.0
