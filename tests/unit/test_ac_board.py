"""The AC side of the simulated I/O board: levels of the control pilot, its own reactions within 100 ms, self test, phases, proximity, mains, faults."""

from math import isfinite, nan

import pytest
from unit.ac_bench import CLOSED, DATABASE, OFFER, AcBench

from evse_core.types import PilotFault, PilotState, SimVehicleLines

B, C, D = 2740.0, 882.0, 246.0


def cable(resistance: float = nan, diode: bool = True, plug: float = 220.0, **more: float) -> SimVehicleLines:
    return SimVehicleLines(plugged=True, pilot_resistance=resistance, pilot_diode=diode, cable_resistance=plug, **more)


def ready(resistance: float = C, board: dict | None = None) -> AcBench:
    """Return a bench whose contactor is closed for a vehicle that is only a resistor."""
    bench = AcBench(board)
    bench.forced = cable(B)
    bench.run(1.0).test_residual()
    bench.forced = cable(resistance)
    bench.command = dict(OFFER)
    bench.run(0.7)
    bench.command = dict(CLOSED)
    return bench.run(0.3)


@pytest.mark.parametrize(("resistance", "state", "level"), [(nan, "A", 12.0), (B, "B", 9.0), (C, "C", 6.0), (D, "D", 3.0)])
def test_the_vehicles_resistor_sets_the_level_and_the_state(resistance: float, state: str, level: float):
    bench = AcBench()
    bench.forced = cable(resistance)
    bench.run(1.0)
    assert bench.pilot["Pilot_High"] == pytest.approx(level, abs=0.15)
    assert PilotState(int(bench.pilot["Pilot_State"])).name == state
    bench.command = dict(OFFER)
    bench.run(0.1)
    assert bench.pilot["Pilot_High"] == pytest.approx(level, abs=0.15)
    assert bench.pilot["Pilot_Low"] == pytest.approx(-12.0, abs=0.05)
    assert bench.pilot["Pilot_Duty"] == pytest.approx(16.0 / 0.6, abs=0.01)


def test_a_vehicle_without_a_diode_shows_while_a_duty_cycle_is_on_and_not_before():
    bench = AcBench()
    bench.forced = cable(B, diode=False)
    bench.run(1.0)
    assert (bench.pilot["Pilot_State"], bench.said("IO_Inputs")["Pilot_Fault"]) == (float(PilotState.B), float(PilotFault.NONE))
    bench.command = dict(OFFER)
    bench.run(0.05)
    assert (bench.pilot["Pilot_State"], bench.said("IO_Inputs")["Pilot_Fault"]) == (float(PilotState.E), float(PilotFault.DIODE_MISSING))


def test_not_available_is_minus_12_volts_and_goes_before_a_current():
    bench = AcBench()
    bench.forced = cable(B)
    bench.command = OFFER | {"Pilot_Unavailable": 1}
    bench.run(0.1)
    assert (bench.pilot["Pilot_High"], bench.pilot["Pilot_Low"], bench.pilot["Pilot_Duty"]) == (-12.0, -12.0, 0.0)
    assert bench.pilot["Pilot_State"] == float(PilotState.F)
    assert bench.station.pilot_duty_percent == 0.0


def test_the_contactor_closes_in_c_with_a_current_signalled_after_the_self_test():
    bench = ready()
    assert (bench.board.contactor_closed, bench.pilot["Output_Live"], bench.pilot["Phases_2_3_Closed"]) == (True, 1.0, 1.0)


@pytest.mark.parametrize("missing", ["self_test", "state", "current", "diode", "ventilation", "fresh_commands"])
def test_the_contactor_stays_open_while_something_is_missing(missing: str):
    bench = AcBench()
    bench.forced = cable(B)
    bench.run(1.0)
    if missing != "self_test":
        bench.test_residual()
    bench.forced = cable(B if missing == "state" else D if missing == "ventilation" else C, diode=missing != "diode")
    bench.command = CLOSED | ({"Pilot_Current": 6553.5} if missing == "current" else {})
    if missing == "fresh_commands":
        bench.command = None
    bench.run(3.0)
    assert not bench.board.contactor_closed
    assert bench.pilot["Output_Live"] == 0.0


def test_state_d_is_served_where_there_is_ventilation():
    assert ready(D, {"ventilated": True}).board.contactor_closed


@pytest.mark.parametrize(
    "change",
    [
        cable(B),
        cable(nan),
        cable(C, diode=False),
        cable(D),
        SimVehicleLines(),
        "pilot_short",
        "pilot_broken",
        "pilot_diode",
        "residual_current",
    ],
    ids=str,
)
def test_the_board_opens_within_100_ms_by_itself(change: SimVehicleLines | str):
    bench = ready()
    if isinstance(change, str):
        bench.board.inject(change, True)
    else:
        bench.forced = change
    assert bench.seconds_until(lambda: not bench.board.contactor_closed) <= 0.1


def test_the_board_opens_200_ms_after_the_last_command():
    bench = ready()
    bench.command = None
    assert 0.2 <= bench.seconds_until(lambda: not bench.board.contactor_closed) <= 0.3
    assert bench.pilot["Pilot_Duty"] == 100.0


def test_a_command_frame_that_repeats_itself_is_no_sign_of_life():
    bench = ready()
    last, bench.command = DATABASE.encode("IO_Outputs", CLOSED | {"Alive": 7}), None
    bench.board.on_frame(last, bench.now)
    for _ in range(12):
        bench.run(0.025)
        bench.board.on_frame(last, bench.now)
    assert not bench.board.contactor_closed


def test_what_the_board_opened_by_itself_stays_open_until_the_command_was_taken_back():
    bench = ready()
    bench.forced = cable(B)
    bench.run(0.2)
    bench.forced = cable(C)
    bench.run(3.0)
    assert not bench.board.contactor_closed
    bench.command = CLOSED | {"Residual_Current_Test": 1}
    bench.run(0.5)
    bench.command = dict(CLOSED)
    assert not bench.run(1.0).board.contactor_closed
    bench.command = dict(OFFER)
    bench.run(0.1)
    bench.command = dict(CLOSED)
    assert bench.run(0.2).board.contactor_closed


def test_a_steady_pilot_opens_a_vehicle_that_does_not_stop_after_7_s_at_the_latest():
    bench = ready()
    bench.command = CLOSED | {"Pilot_Current": 6553.5}
    assert bench.run(6.5).board.contactor_closed
    assert not bench.run(1.0).board.contactor_closed


def test_a_change_from_b_to_c_and_back_within_the_debounce_closes_nothing():
    bench = AcBench()
    bench.forced = cable(B)
    bench.run(1.0).test_residual()
    bench.command = dict(CLOSED)
    for resistance in (C, B, C, B):
        bench.forced = cable(resistance)
        bench.run(0.4)
    assert not any(name == "IO_Inputs" and signals["Contactor_Closed"] for _, name, signals in bench.log)


def test_the_self_test_takes_its_time_and_needs_an_open_contactor():
    bench = AcBench()
    bench.forced = cable(B)
    bench.run(1.0)
    bench.command = {"Pilot_Current": 6553.5, "Residual_Current_Test": 1}
    assert bench.run(0.15).pilot["Residual_Current_Tested"] == 0.0
    assert bench.run(0.15).pilot["Residual_Current_Tested"] == 1.0
    closed = ready()
    assert closed.pilot["Residual_Current_Tested"] == 0.0, "closing begins the time until the next test"
    closed.command = CLOSED | {"Residual_Current_Test": 1}
    assert closed.run(0.5).pilot["Residual_Current_Tested"] == 0.0
    closed.command = OFFER | {"Residual_Current_Test": 1}
    assert closed.run(0.4).pilot["Residual_Current_Tested"] == 1.0, "asked for while the contactor was about to open"


@pytest.mark.parametrize("fault", ["residual_test_fails", "residual_current"])
def test_a_self_test_that_fails_keeps_the_contactor_open(fault: str):
    bench = AcBench()
    bench.board.inject(fault, True)
    bench.forced = cable(B)
    bench.run(1.0).test_residual()
    bench.forced = cable(C)
    bench.command = dict(CLOSED)
    bench.run(2.0)
    assert (bench.board.contactor_closed, bench.pilot["Residual_Current_Tested"]) == (False, 0.0)


def test_each_closing_needs_a_self_test_of_its_own():
    bench = ready()
    bench.command = {"Pilot_Current": 6553.5}
    bench.forced = SimVehicleLines()
    bench.run(1.0)
    bench.forced = cable(C)
    bench.command = dict(OFFER)
    bench.run(1.0)
    bench.command = dict(CLOSED)
    assert not bench.run(1.0).board.contactor_closed


def test_phases_change_only_while_the_contactor_is_open():
    bench = ready()
    bench.command = CLOSED | {"Phases": 1}
    assert (bench.run(0.5).station.phases, bench.pilot["Phases_2_3_Closed"]) == (3, 1.0)
    bench.command = OFFER | {"Phases": 1, "Residual_Current_Test": 1}
    bench.run(0.5)
    bench.command = CLOSED | {"Phases": 1}
    bench.run(0.3)
    assert (bench.board.contactor_closed, bench.station.phases, bench.pilot["Phases_2_3_Closed"]) == (True, 1, 0.0)


def test_a_board_of_one_phase_never_connects_three():
    assert ready(board={"ac_phases": 1}).station.phases == 1


@pytest.mark.parametrize(("plug", "shown"), [(220.0, 220.0), (1500.0, 1500.0), (nan, 65535.0)])
def test_a_socket_outlet_knows_a_plug_by_its_resistor(plug: float, shown: float):
    bench = AcBench()
    bench.forced = cable(B, plug=plug)
    bench.run(1.0)
    assert (bench.pilot["Proximity_Resistance"], bench.said("IO_Inputs")["Plugged"]) == (shown, float(isfinite(plug)))


def test_a_tethered_connector_knows_a_vehicle_by_the_pilot_also_while_state_f_hides_it():
    bench = AcBench({"socket_outlet": False})
    bench.run(0.5)
    assert bench.said("IO_Inputs")["Plugged"] == 0.0
    bench.forced = cable(B)
    bench.run(0.5)
    assert (bench.said("IO_Inputs")["Plugged"], bench.pilot["Proximity_Resistance"]) == (1.0, 65535.0)
    bench.command = {"Pilot_Unavailable": 1, "Pilot_Current": 6553.5}
    assert bench.run(0.5).said("IO_Inputs")["Plugged"] == 1.0


def test_currents_and_powers_are_those_of_the_connected_phases():
    bench = ready()
    bench.forced = cable(C, ac_current=16.0, ac_phases=3)
    bench.run(0.2)
    assert [bench.said("IO_Currents")[f"AC_Current_L{n}"] for n in (1, 2, 3)] == [16.0, 16.0, 16.0]
    assert [bench.said("IO_Powers")[f"Power_L{n}"] for n in (1, 2, 3)] == [3680.0, 3680.0, 3680.0]
    bench.forced = cable(C, ac_current=16.0, ac_phases=1)
    bench.run(0.2)
    assert [bench.said("IO_Currents")[f"AC_Current_L{n}"] for n in (1, 2, 3)] == [16.0, 0.0, 0.0]


def test_a_board_of_one_phase_says_that_it_does_not_measure_the_others():
    bench = ready(board={"ac_phases": 1, "phase_voltage": 240.0})
    mains, powers = bench.said("IO_Mains"), bench.said("IO_Powers")
    assert (mains["Voltage_L1"], mains["Voltage_L2"], powers["Power_L3"]) == (240.0, 6553.5, -32768.0)


def test_what_fails_in_the_mains_shows():
    bench = ready()
    bench.board.inject("mains_low", True)
    assert bench.run(0.2).said("IO_Mains")["Voltage_L2"] == pytest.approx(184.0)
    bench.board.inject("mains_lost", True)
    bench.forced = cable(C, ac_current=16.0, ac_phases=3)
    bench.run(0.2)
    assert (bench.said("IO_Mains")["Voltage_L1"], bench.said("IO_Mains")["Frequency"], bench.pilot["Output_Live"]) == (0.0, 65.5, 0.0)
    assert bench.said("IO_Powers")["Power_L1"] == 0.0


def test_a_welded_pole_shows_at_the_output_and_not_in_the_feedback():
    bench = ready()
    bench.board.inject("pole_welded", True)
    bench.command = dict(OFFER)
    bench.run(0.3)
    assert (bench.said("IO_Inputs")["Contactor_Closed"], bench.pilot["Output_Live"]) == (0.0, 1.0)
    assert (bench.station.contactor_closed, bench.station.phases) == (True, 1)


def test_other_faults_of_the_board_show():
    bench = AcBench()
    bench.forced = cable(C)
    bench.command = dict(OFFER)
    bench.run(1.0)
    bench.board.inject("cable_coding_wrong", True)
    assert bench.run(0.1).pilot["Proximity_Resistance"] == 400.0
    bench.board.inject("output_sensor_live", True)
    assert bench.run(0.1).pilot["Output_Live"] == 1.0
    bench.board.inject("pilot_noise", True)
    assert bench.run(1.0).said("IO_Inputs")["Pilot_Fault"] == float(PilotFault.OUT_OF_BAND)
    tethered = AcBench({"socket_outlet": False})
    tethered.board.inject("latch_pressed", True)
    assert tethered.run(0.1).pilot["Latch_Pressed"] == 1.0


def test_contacts_warm_with_the_drawn_current():
    bench = ready()
    bench.board.inject("connector_worn", True)
    bench.forced = cable(C, ac_current=32.0, ac_phases=3)
    cool = bench.board.temperature
    assert bench.run(60.0).board.temperature > cool + 2.0


def test_the_pilot_comes_every_50_ms_and_on_change():
    bench = AcBench()
    bench.run(2.0)
    assert len([1 for _, name, _ in bench.log if name == "IO_Pilot"]) == pytest.approx(40, abs=2)
    bench.forced = cable(B)
    at = bench.now
    bench.run(0.025)
    assert [name for moment, name, _ in bench.log if moment > at and name == "IO_Pilot"]


def test_a_board_of_a_dc_station_sends_no_ac_frames():
    bench = AcBench({"vehicle_link": "chademo", "ac_phases": 0})
    bench.run(1.0)
    assert {name for _, name, _ in bench.log} == {"IO_Inputs", "IO_Measurements", "IO_Token"}
