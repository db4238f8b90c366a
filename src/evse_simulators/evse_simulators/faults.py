"""Everything that can be made to break in a simulated EVSE, as one table, and the set of what is broken in one simulator.

`station sim fault NAME`, the demo's `--fault NAME`, the InjectFault services and the campaign of tests/unit/test_world.py read the same rows.
"""

from dataclasses import dataclass
from typing import Any

from evse_core.vehicle_link import PILOT

VEHICLE = "vehicle_simulator"
SECC = "secc_simulator"
AC_VEHICLE = "ac_vehicle_simulator"
MODULES = "power_module_simulator"
BOARD = "io_board_simulator"
# The mains in place of power modules: nothing is injected there.
MAINS = "mains"
CABINET = "power_cabinet_simulator"
METER = "meter_simulator"


@dataclass(frozen=True, slots=True)
class SimulatedFault:
    """One row: the simulator that it is injected into, what happens, in a line, and the vehicle link that alone has it (empty: all)."""

    simulator: str
    text: str
    link: str = ""

    @property
    def node(self) -> str:
        """Name of the node that shows it: whatever plays the vehicle is vehicle_simulator, and an outlet of a cabinet is power_module_simulator."""
        return {SECC: VEHICLE, AC_VEHICLE: VEHICLE, CABINET: MODULES}.get(self.simulator, self.simulator)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service of a simulator answers."""

    success: bool
    message: str = ""


FAULTS = {
    "vehicle_silent": SimulatedFault(VEHICLE, "the vehicle stops sending CAN frames; its lines and contactor stay as they are"),
    "vehicle_fault": SimulatedFault(VEHICLE, "the vehicle finds a fault in its charging system (102.5.2)"),
    "vehicle_fault_overvoltage": SimulatedFault(VEHICLE, "the battery monitor measures more than the highest battery voltage (102.4.0)"),
    "vehicle_fault_undervoltage": SimulatedFault(VEHICLE, "the battery monitor measures less than the lowest battery voltage (102.4.1)"),
    "vehicle_fault_current_deviation": SimulatedFault(VEHICLE, "the vehicle's current sensor reads 30 A too much (102.4.2 after 5 s)"),
    "vehicle_fault_temperature": SimulatedFault(VEHICLE, "the battery is hotter than it may be (102.4.3)"),
    "vehicle_fault_voltage_deviation": SimulatedFault(VEHICLE, "the vehicle's voltage sensor reads 20 % too little (102.4.4 after 5 s)"),
    "vehicle_shift": SimulatedFault(VEHICLE, "the shifter leaves park (102.5.1)"),
    "vehicle_stops_permission": SimulatedFault(VEHICLE, "switch k opens while the vehicle still sends its permission"),
    "vehicle_contactor_opens": SimulatedFault(VEHICLE, "the vehicle's contactor drops out"),
    "vehicle_contactor_welded": SimulatedFault(VEHICLE, "the vehicle's contactor does not open any more: the connector stays live"),
    "vehicle_no_request": SimulatedFault(VEHICLE, "the vehicle requests 0 A"),
    "vehicle_incompatible": SimulatedFault(VEHICLE, "the vehicle has an 800 V battery"),
    "vehicle_stops_discharge": SimulatedFault(VEHICLE, "the vehicle gives no more power (102.5.7, 200.0) but closes its contactor on"),
    "vehicle_lies_about_charge": SimulatedFault(VEHICLE, "the vehicle tells a state of charge of 90 %, whatever it is"),
    "plug_lost": SimulatedFault(VEHICLE, "the connector comes out of the inlet although it is locked"),
    "controller_silent": SimulatedFault(SECC, "the charge controller stops sending CAN frames; the vehicle's contactor stays as it is"),
    "controller_emergency": SimulatedFault(SECC, "the charge controller's own emergency stop (origin EVSE)"),
    "controller_restarts": SimulatedFault(SECC, "the charge controller starts anew and forgets its session"),
    "controller_skips_test": SimulatedFault(SECC, "the charge controller asks for power without an insulation test"),
    "controller_ignores_stop": SimulatedFault(SECC, "the charge controller does not follow the stop button"),
    "controller_keeps_asking": SimulatedFault(SECC, "the charge controller goes on asking for power after its vehicle has stopped"),
    "ccs_vehicle_emergency": SimulatedFault(SECC, "the vehicle stops in an emergency (origin PEV) and opens its contactor"),
    "ccs_no_request": SimulatedFault(SECC, "the vehicle asks for 0 A"),
    "ccs_stops_discharge": SimulatedFault(SECC, "the vehicle gives no more power: its range begins at 0 A"),
    "ccs_lies_about_charge": SimulatedFault(SECC, "the vehicle tells a state of charge of 90 %, whatever it is"),
    "ccs_contactor_welded": SimulatedFault(SECC, "the vehicle's contactor does not open any more: the connector stays live"),
    "ccs_contactor_opens": SimulatedFault(SECC, "the vehicle's contactor drops out, and it tells an emergency (origin PEV)"),
    "ccs_plug_lost": SimulatedFault(SECC, "the connector comes out of the inlet although it is locked"),
    "ac_ignores_limit": SimulatedFault(AC_VEHICLE, "the vehicle draws a third more than the control pilot offers"),
    "ac_ignores_stop": SimulatedFault(AC_VEHICLE, "the vehicle goes on charging although the control pilot offers nothing any more"),
    "ac_stays_in_c": SimulatedFault(AC_VEHICLE, "the vehicle stops charging but stays in state C"),
    "ac_drops_out": SimulatedFault(AC_VEHICLE, "the vehicle leaves state C at once, under current, and stays in B"),
    "ac_current_in_b": SimulatedFault(AC_VEHICLE, "the vehicle shows state B and goes on drawing current"),
    "ac_diode_missing": SimulatedFault(AC_VEHICLE, "the vehicle has no diode in the control pilot"),
    "ac_sleeps": SimulatedFault(AC_VEHICLE, "the vehicle falls asleep in state B until the control pilot wakes it"),
    "ac_plug_lost": SimulatedFault(AC_VEHICLE, "the connector comes out of the inlet although it is locked"),
    "emergency_stop": SimulatedFault(BOARD, "the emergency stop button is pressed"),
    "door_open": SimulatedFault(BOARD, "the cabinet door is open"),
    "tilted": SimulatedFault(BOARD, "the cabinet leans"),
    "impact": SimulatedFault(BOARD, "something hits the cabinet"),
    "earth_lost": SimulatedFault(BOARD, "the protective conductor is interrupted"),
    "residual_current": SimulatedFault(BOARD, "the residual current device has tripped"),
    "proximity_fault": SimulatedFault(BOARD, "the proximity circuit reads outside both valid bands"),
    "pilot_short": SimulatedFault(BOARD, "the control pilot is shorted to earth, where one is fitted"),
    "pilot_diode": SimulatedFault(BOARD, "the diode behind the control pilot is missing, where one is fitted"),
    "pilot_broken": SimulatedFault(BOARD, "the wire of the control pilot is broken: the board sees no vehicle", PILOT),
    "pilot_noise": SimulatedFault(BOARD, "the level of the control pilot swings by more than its bands are wide", PILOT),
    "latch_pressed": SimulatedFault(BOARD, "the latch of a tethered connector is pressed", PILOT),
    "cable_coding_wrong": SimulatedFault(BOARD, "the resistor in the cable's plug stands for no cable, with a socket outlet", PILOT),
    "residual_test_fails": SimulatedFault(BOARD, "the residual current device fails its self test", PILOT),
    "mains_lost": SimulatedFault(BOARD, "the mains before the contactor fail; the board goes on", PILOT),
    "mains_low": SimulatedFault(BOARD, "the mains before the contactor are at 0.8 times their voltage", PILOT),
    "pole_welded": SimulatedFault(BOARD, "one pole of the contactor does not open any more; its feedback does not show it", PILOT),
    "output_sensor_live": SimulatedFault(BOARD, "the sensor behind the contactor shows voltage where there is none", PILOT),
    "ac_over_current": SimulatedFault(BOARD, "the AC current is 1.3 times the signalled one and 1 A, where one is signalled"),
    "ac_current_lost": SimulatedFault(BOARD, "the board stops measuring the AC current, where it does"),
    "lock_stuck": SimulatedFault(BOARD, "the lock does not move"),
    "lock_lost": SimulatedFault(BOARD, "the lock springs open"),
    "contactor_stuck_open": SimulatedFault(BOARD, "the output contactor drops out and does not close again"),
    "contactor_welded": SimulatedFault(BOARD, "the output contactor does not open any more"),
    "connector_hot": SimulatedFault(BOARD, "a contact of the connector burns while current flows"),
    "connector_worn": SimulatedFault(BOARD, "a contact of the connector is worn and gets warm under current"),
    "coolant_pump_fails": SimulatedFault(BOARD, "the coolant of a liquid-cooled cable stands still"),
    "coolant_unknown": SimulatedFault(BOARD, "the sensors of the coolant of a liquid-cooled cable fail"),
    "io_board_silent": SimulatedFault(BOARD, "the board's processor stops: no frames, and its watchdog opens the outputs"),
    "module_hot": SimulatedFault(MODULES, "the power modules lose their coolant"),
    "module_failed": SimulatedFault(MODULES, "one of the power modules fails; the others go on"),
    "modules_failed": SimulatedFault(MODULES, "all power modules fail; what speaks for them goes on"),
    "modules_disagree": SimulatedFault(MODULES, "the power modules no longer share the current: one gives twice what its neighbour gives"),
    "module_bank_silent": SimulatedFault(MODULES, "the power modules no longer tell how many of them work, where they did"),
    "modules_offer_nothing": SimulatedFault(MODULES, "the power modules take back all current that they offered: 0 A"),
    "modules_silent": SimulatedFault(MODULES, "the power modules stop sending CAN frames but go on as commanded"),
    "module_refuses": SimulatedFault(MODULES, "the power modules withdraw System_Enable and stop"),
    "module_runaway": SimulatedFault(MODULES, "the power modules ignore every command to stop, whichever way the current flows"),
    "over_voltage": SimulatedFault(MODULES, "the voltage control fails: the output rises to 1.2 times its rating"),
    "over_current": SimulatedFault(MODULES, "the current control fails: 1.3 times the set point and 15 A flow"),
    "cabinet_module_dies": SimulatedFault(CABINET, "a module of the cabinet dies that serves this EVSE"),
    "cabinet_switch_welded": SimulatedFault(CABINET, "the switch of a module of the cabinet welds that serves this EVSE"),
    "cabinet_switch_stuck_open": SimulatedFault(
        CABINET, "the switches of a module of the cabinet do not close any more that does not serve this EVSE yet"
    ),
    "cabinet_status_frozen": SimulatedFault(CABINET, "a module of the cabinet that serves this EVSE repeats its last status for ever"),
    "cabinet_silent": SimulatedFault(CABINET, "the cabinet stops telling of its modules and switches; the power links go on"),
    "meter_silent": SimulatedFault(METER, "the energy meter stops answering"),
    "meter_stuck": SimulatedFault(METER, "the registers of the energy meter stand still; its power goes on"),
    "meter_backwards": SimulatedFault(METER, "the register of the energy meter falls by 100 Wh"),
    "meter_exchanged": SimulatedFault(METER, "another energy meter answers, with another serial number and register"),
    "meter_wrong_scale": SimulatedFault(METER, "the energy meter counts ten times what flows"),
    "meter_counts_too_little": SimulatedFault(METER, "the energy meter counts 30 % less than what flows"),
    "meter_disturbed": SimulatedFault(METER, "the energy meter says that it does not measure right, where it can say so"),
    "insulation_low": SimulatedFault(MODULES, "the cable's insulation is damaged: 20 kohm to earth"),
}


# Faults of vehicles that give power.
DISCHARGE = frozenset({"vehicle_stops_discharge", "vehicle_lies_about_charge", "ccs_stops_discharge", "ccs_lies_about_charge"})
# What a vehicle tells that lies about its charge. [%]
PRETENDED_CHARGE = 90.0


def of(*simulators: str, link: str = "") -> tuple[str, ...]:
    """Return the names of the faults of some simulators, in the order of the table; without a link only those that all links have."""
    return tuple(name for name, row in FAULTS.items() if row.simulator in simulators and row.link in {"", link})


class FaultSet(set[str]):
    """The names of the faults that one simulator shows now. Models ask it some hundred times a second, so it is a set and does not only hold one."""

    def __init__(self, simulator: str) -> None:
        super().__init__()
        self.simulator = simulator
        self.known = tuple(name for name, row in FAULTS.items() if row.simulator == simulator)

    def __deepcopy__(self, memo: dict[int, Any]) -> "FaultSet":
        clone = FaultSet(self.simulator)
        clone.update(self)
        return clone

    @property
    def active(self) -> tuple[str, ...]:
        """Names of all active faults."""
        return tuple(sorted(self))

    def set(self, name: str, active: bool) -> Answer:
        """Break or heal; an unknown name is answered with all known ones."""
        if name not in self.known:
            return Answer(False, f"unknown fault {name!r}; known here: {', '.join(self.known)}")
        (self.add if active else self.discard)(name)
        return Answer(True, FAULTS[name].text if active else f"{name} healed")
