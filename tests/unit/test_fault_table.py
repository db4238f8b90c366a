"""Every row of the fault table: raised by its cause, debounced, not just below the limit, latched, cleared by nothing but its reset kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from math import inf

import pytest
from safety_bench import MODULES, STEP, TEST_VOLTAGE, Bench, Changes, healthy_ac, inputs

from evse_core.fault_table import BY_NAME, FAULTS, Effect, Fault, Reset
from evse_core.safety_inputs import PERMIT_STATES
from evse_core.safety_monitor import SafetyConfig
from evse_core.safety_trends import WINDOW
from evse_core.sample import Sample
from evse_core.types import (
    BusHealth,
    BusLink,
    CanBusStatus,
    ChargeState,
    ControllerReport,
    EmergencyOrigin,
    PilotFault,
    PilotState,
    PowerBudget,
    PowerFunction,
    Reaction,
)

S = ChargeState
GOOD_BUSES = tuple(CanBusStatus(link=link, health=BusHealth.OK) for link in (BusLink.VEHICLE, BusLink.POWER, BusLink.IO))


def buses(health: BusHealth) -> Changes:
    return {"can_status": {"buses": (*GOOD_BUSES[:2], CanBusStatus(link=BusLink.IO, health=health, detail="test"))}}


@dataclass(frozen=True)
class Case:
    """A fault in one state: what causes it, what only just does not, and which other faults the cause explains."""

    fault: str
    state: ChargeState
    wrong: Changes = field(default_factory=dict)
    ages: Mapping[str, float] = field(default_factory=dict)
    near: Changes = field(default_factory=dict)
    near_ages: Mapping[str, float] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    extra_time: float = 0.0  # [s] besides the debounce time
    lag: float = 0.0  # [s] for which it is still seen after its end
    config: SafetyConfig = field(default_factory=SafetyConfig)

    @property
    def row(self) -> Fault:
        return BY_NAME[self.fault]

    @property
    def energised(self) -> bool:
        return self.state in PERMIT_STATES

    @property
    def effect(self) -> Effect:
        effect = self.row.energised if self.energised else self.row.idle
        assert effect is not None
        return effect

    @property
    def time(self) -> float:
        return (getattr(SafetyConfig(), self.effect.debounce) if self.effect.debounce else 0.0) + self.extra_time


def io(**change: object) -> Changes:
    return {"io": change}


def power(**change: object) -> Changes:
    return {"power": change}


def counting(link: BusLink, **per_second: float) -> Changes:
    """Return buses of which one counts so many events per second."""

    def buses_at(now: float) -> tuple[CanBusStatus, ...]:
        counts = {name: round(rate * max(now - 1002.0, 0.0)) for name, rate in per_second.items()}
        return tuple(replace(bus, **counts) if bus.link is link else bus for bus in GOOD_BUSES)  # type: ignore[arg-type]

    return {"can_status": {"buses": buses_at}}


def controller(**change: object) -> Changes:
    """Return a charge controller without a session that says something else."""
    healthy: dict[str, object] = {"interface_version": 3, "plugged": True, "emergency": EmergencyOrigin.NONE}
    return {"vehicle": {"controller": ControllerReport(**(healthy | change))}}  # type: ignore[arg-type]


def swinging(size: float) -> Changes:
    """Return a clock that is set back and forth all the time."""
    return {"inputs": {"stamp": lambda now: now + (size if round(now / STEP) % 2 else 0.0)}}


def ac(*amperes: float, signalled: float = 16.0) -> Changes:
    """Return a signalled AC current and what the phases draw [A]."""
    return {"io_command": {"pilot_current": signalled}, **io(**{f"ac_current_l{number}": value for number, value in enumerate(amperes, 1)})}


def falling(wh: float) -> Changes:
    """Return a register that falls by so much in each step of 50 ms."""
    return {"meter": {"register_wh": lambda now: 1000.0 - wh * round((now - 1002.0) / STEP)}}


def started_again(node: str, most: int) -> Changes:
    """Return a node that is started again with every step of 50 ms, at most so often."""
    return {node: {"started": lambda now: 500.0 + min(max(round((now - 1002.0) / STEP) + 1, 0), most)}}


def loaded(load: float) -> Changes:
    return {"can_status": {"buses": (GOOD_BUSES[0], replace(GOOD_BUSES[1], load=load), GOOD_BUSES[2])}}


def at_output(state: ChargeState, change: Mapping[str, object], **command: object) -> Changes:
    """Return an AC output of which the board sees something else, and another command."""
    return {"io": {"ac": replace(healthy_ac(state), **change)}, "io_command": dict(command)}  # type: ignore[arg-type]


def closed(pilot_state: PilotState = PilotState.C) -> Changes:
    """Return an output whose contactor is closed while the vehicle is in a state."""
    found = at_output(S.CHARGING, {"pilot_state": pilot_state})
    return found | {"io": found["io"] | {"contactor_closed": True}}  # type: ignore[operator]


LED, AC = SafetyConfig(vehicle_link="secc"), SafetyConfig(vehicle_link="pilot")


def giving(current: float = -20.0, soc: float = 60.0, **vehicle: object) -> Changes:
    """Return a discharge of 20 A that station, vehicle and site agree upon; current is what flows."""
    said = {"discharge_compatible": True, "max_discharge_current": 40.0, "soc_percent": soc, "current_request": 0.0}
    return {
        **power(current=current),
        "power_command": {"current": -20.0},
        "vehicle": said | vehicle,
        "inputs": {"budget": Sample(PowerBudget(power=0.0, valid_for=1e6, discharge_power=7600.0), 1000.0)},
    }


TAKING = SafetyConfig(max_discharge_current=50.0, max_discharge_power=20e3)
OTHER = "e" * 64  # digest
# The modules were told to make a voltage for one step of 50 ms.
CHARGED_BEFORE: Changes = {"power_command": {"function": lambda now: PowerFunction.POWER_TRANSFER if now < 1002.04 else PowerFunction.OFF}}
LATE_SEQUENCER = {"power_command": 0.21, "io_command": 0.21, "session": 0.21}
DEAD_SEQUENCER = {"power_command": 2.0, "io_command": 2.0, "session": 2.0}
PRECHARGE: Changes = {"power_command": {"function": PowerFunction.PRECHARGE, "voltage": 380.0, "current": 2.0}}
WINDOW_OF_RESTARTS = SafetyConfig().restart_window
LAG = WINDOW + 2 * STEP  # [s] for which a rate still tells what was
FLAGS = {
    "vehicle_fault": "system_fault",
    "vehicle_battery_over_voltage": "fault_battery_overvoltage",
    "vehicle_battery_under_voltage": "fault_battery_undervoltage",
    "vehicle_current_deviation": "fault_current_deviation",
    "vehicle_battery_temperature": "fault_battery_temperature",
    "vehicle_voltage_deviation": "fault_voltage_deviation",
    "vehicle_not_parked": "shift_not_parked",
}
COOLED = SafetyConfig(uncooled_current=60.0)
CABINET = SafetyConfig(has_cabinet=True, module_count=1)
BANK, PILOT = SafetyConfig(module_count=MODULES), SafetyConfig(has_control_pilot=True)
CASES = (
    Case("emergency_stop", S.CHARGING, io(emergency_stop=True)),
    Case("emergency_stop", S.AVAILABLE, io(emergency_stop=True)),
    Case("door_open", S.CHARGING, io(door_open=True)),
    Case("door_open", S.AVAILABLE, io(door_open=True)),
    Case("tilted", S.CHARGING, io(tilted=True)),
    Case("tilted", S.AVAILABLE, io(tilted=True)),
    Case("impact", S.LOCKING, io(impact=True)),
    Case("impact", S.AVAILABLE, io(impact=True)),
    Case("earth_lost", S.CABLE_CHECK, io(earth_ok=False)),
    Case("earth_lost", S.AVAILABLE, io(earth_ok=False)),
    Case("residual_current", S.CHARGING, io(residual_current_trip=True)),
    Case("residual_current", S.AVAILABLE, io(residual_current_trip=True)),
    Case(
        "insulation_fault", S.CHARGING, power(insulation_resistance=98e3), near=power(insulation_resistance=100e3), also=("insulation_warning",)
    ),
    Case("insulation_fault", S.CHARGING, io(insulation_resistance=50e3), near=io(insulation_resistance=101e3), also=("insulation_warning",)),
    Case("insulation_fault", S.CHARGING, power(insulation_resistance=float("nan"))),
    Case("insulation_fault", S.CHARGING, {**power(insulation_resistance=120e3), **io(insulation_resistance=98e3)},
         near={**power(insulation_resistance=120e3), **io(insulation_resistance=100e3)}, also=("insulation_warning",)),
    Case("insulation_fault", S.CHARGING, power(insulation_resistance=148e3), near=power(insulation_resistance=150e3), also=("insulation_warning",),
         config=SafetyConfig(max_voltage=1500.0)),
    Case("insulation_warning", S.CHARGING, power(insulation_resistance=248e3), near=power(insulation_resistance=250e3)),
    Case("insulation_warning", S.CHARGING, io(insulation_resistance=248e3), near=io(insulation_resistance=250e3)),
    Case("insulation_warning", S.CHARGING, power(insulation_resistance=498e3), near={**power(insulation_resistance=500e3), **io(insulation_resistance=500e3)},
         config=SafetyConfig(max_voltage=1000.0)),
    Case("insulation_warning", S.CHARGING, {**power(insulation_resistance=510e3), **io(insulation_resistance=740e3)}, near=power(insulation_resistance=510e3),
         config=SafetyConfig(max_voltage=1500.0)),
    Case(
        "over_voltage_emergency", S.CABLE_CHECK, power(voltage=551.0), near=power(voltage=549.0)
    ),
    Case(
        "over_voltage_emergency", S.CHARGING, {**power(voltage=551.0), **io(connector_voltage=551.0)},
        near={**power(voltage=439.0), **io(connector_voltage=439.0)}, also=("over_voltage",),
    ),
    Case("over_voltage_emergency", S.AVAILABLE, power(voltage=551.0), near=power(voltage=549.0)),
    Case("over_voltage", S.CHARGING, io(connector_voltage=441.0), near=io(connector_voltage=439.0)),
    Case("over_voltage", S.WAITING_FOR_REQUEST, {**io(connector_voltage=float("nan")), **power(voltage=441.0)},
         near={**io(connector_voltage=float("nan")), **power(voltage=439.0)}),
    Case("over_voltage", S.CHARGING, {"vehicle": {"max_voltage": 0.0, "target_voltage": 0.0}}),
    Case("under_voltage", S.CHARGING, {**io(connector_voltage=49.0), **power(voltage=49.0)}, near={**io(connector_voltage=51.0), **power(voltage=51.0)}),
    Case("under_voltage", S.CHARGING, {**io(connector_voltage=float("nan")), **power(voltage=20.0)},
         near={**io(connector_voltage=float("nan")), **power(voltage=20.0, current=9.0)}),
    Case("over_current", S.CHARGING, power(current=91.0), near=power(current=89.0)),
    Case("over_current", S.CABLE_CHECK, power(current=13.0), near=power(current=11.0)),
    Case("over_current", S.CHARGING, {**power(current=140.0), "vehicle": {"current_request": 200.0}, "power_command": {"current": 200.0}},
         near={**power(current=137.0), "vehicle": {"current_request": 200.0}, "power_command": {"current": 200.0}}),
    Case("reverse_current", S.CHARGING, power(current=-11.0), near=power(current=-9.0), also=("vehicle_stop_not_followed",)),
    Case("reverse_current", S.CHARGING, giving(current=-31.0), near=giving(current=-29.0), config=TAKING),
    Case("reverse_current", S.CHARGING, giving() | {"inputs": {}}, near=giving(), config=TAKING),
    Case("reverse_current", S.CHARGING, giving(soc=float("nan")), near=giving(), config=TAKING),
    Case("over_discharge", S.CHARGING, giving(soc=49.0), near=giving(soc=50.0), config=TAKING),
    Case("over_discharge", S.CHARGING, giving(min_discharge_soc_percent=70.0), near=giving(min_discharge_soc_percent=60.0), config=TAKING),
    Case("discharge_under_voltage", S.CHARGING, giving(min_discharge_voltage=386.0), near=giving(min_discharge_voltage=384.0), config=TAKING),
    Case("vehicle_stop_not_followed", S.CHARGING, giving(discharge_compatible=False), near=giving(), also=("reverse_current",), config=TAKING),
    Case("current_without_session", S.AVAILABLE, power(current=11.0), near=power(current=8.0)),
    Case("current_without_session", S.WELDING_DETECTION, power(current=-11.0), near=power(current=-8.0)),
    Case("voltage_on_unlocked_connector", S.AVAILABLE, io(connector_voltage=61.0), near=io(connector_voltage=59.0)),
    Case("voltage_on_unlocked_connector", S.LOCKING, io(connector_voltage=61.0), near=io(connector_voltage=61.0, locked=True)),
    Case("voltage_before_connection", S.LOCKING, io(connector_voltage=11.0, locked=True), near=io(connector_voltage=10.0, locked=True)),
    Case("voltage_not_falling", S.LOWERING_OUTPUT, power(voltage=61.0), near=power(voltage=60.0)),
    Case("voltage_not_falling", S.CLOSING, power(voltage=300.0), near=power(voltage=60.0)),
    Case("voltage_not_falling", S.AVAILABLE, {**CHARGED_BEFORE, **power(voltage=61.0)}, near={**CHARGED_BEFORE, **power(voltage=60.0)}, extra_time=STEP),
    Case("cable_check_too_long", S.CABLE_CHECK, {"session": {"time_in_state": 30.1}}, near={"session": {"time_in_state": 30.0}}),
    Case("cable_check_voltage", S.CABLE_CHECK, power(voltage=TEST_VOLTAGE - 11.0), near=power(voltage=TEST_VOLTAGE - 10.0)),
    Case("cable_check_voltage", S.CABLE_CHECK, power(voltage=TEST_VOLTAGE + 11.0), near=power(voltage=TEST_VOLTAGE + 10.0)),
    Case("precharge_failed", S.WAITING_FOR_CONTACTOR, {**PRECHARGE, **power(voltage=359.0)}, near={**PRECHARGE, **power(voltage=361.0)}),
    Case("precharge_failed", S.WAITING_FOR_CONTACTOR, {**PRECHARGE, **power(voltage=401.0)}, near={**PRECHARGE, **power(voltage=399.0)}),
    Case("voltage_spread", S.CHARGING, io(connector_voltage=329.0), near=io(connector_voltage=331.0)),
    Case("current_spread", S.CHARGING, {"meter": {"current": 90.1}}, near={"meter": {"current": 90.0}}),
    Case("current_spread", S.CHARGING, {"meter": {"current": 69.9}}, near={"meter": {"current": 70.0}}),
    Case("current_spread", S.CHARGING, power(module_current_min=22.6, module_current_max=22.6), near=power(module_current_min=22.5, module_current_max=22.5)),
    Case("current_spread", S.CHARGING, power(module_current_min=10.0, module_current_max=17.4), near=power(module_current_min=10.0, module_current_max=17.5)),
    Case("contactor_stuck_open", S.CHARGING, io(contactor_closed=False)),
    Case("contactor_welded", S.AVAILABLE, io(contactor_closed=True)),
    Case("contactor_welded", S.CHARGING, {"io_command": {"close_contactor": False}}),
    Case("contactor_welded", S.EMERGENCY, {**io(contactor_closed=True), "can_status": {"power_allowed": False}, "io_command": {"close_contactor": True}}),
    Case("vehicle_contactor_welded", S.CLOSING, io(connector_voltage=380.0, locked=True), near=io(connector_voltage=59.0, locked=True)),
    Case("vehicle_contactor_welded", S.FAULTED, io(connector_voltage=61.0, locked=True), near=io(connector_voltage=59.0, locked=True)),
    Case("vehicle_contactor_welded", S.PREPARING, io(plugged=True, connector_voltage=380.0), near=io(plugged=True, connector_voltage=59.0),
         also=("voltage_on_unlocked_connector",)),
    Case("lock_lost", S.CHARGING, io(locked=False), also=("voltage_on_unlocked_connector",)),
    Case("lock_failed", S.LOCKING, {"io_command": {"lock": True}}, near={"io_command": {"lock": True}, **io(locked=True)}),
    Case("lock_failed", S.UNLOCKING, {"io_command": {"lock": False}, **io(locked=True)}, near={"io_command": {"lock": True}, **io(locked=True)}),
    Case("plug_lost", S.CHARGING, io(plugged=False)),
    Case("proximity_fault", S.CHARGING, io(proximity_fault=True)),
    Case("proximity_fault", S.PREPARING, io(proximity_fault=True)),
    Case("supply_without_vehicle", S.CHARGING, closed(PilotState.B), near=closed(PilotState.D), config=AC),
    Case("supply_without_vehicle", S.CHARGING, closed(PilotState.UNKNOWN), config=AC),
    Case("supply_without_vehicle", S.AVAILABLE, io(contactor_closed=True), also=("contactor_welded",), config=AC),
    Case("output_live", S.WAITING_FOR_REQUEST, at_output(S.WAITING_FOR_REQUEST, {"output_live": True}), config=AC),
    Case("output_live", S.AVAILABLE, at_output(S.AVAILABLE, {"output_live": True}), config=AC),
    Case("phases_wrong", S.CHARGING, at_output(S.CHARGING, {"phases_closed": 1}), config=AC),
    Case("phases_wrong", S.CHARGING, {"io_command": {"phases": 1}}, config=AC),
    Case(
        "pilot_offer_wrong",
        S.CHARGING,
        at_output(S.CHARGING, {"pilot_duty_percent": 27.8}),
        near=at_output(S.CHARGING, {"pilot_duty_percent": 27.6}),
        config=AC,
    ),
    Case("pilot_offer_wrong", S.CHARGING, {"io_command": {"pilot_current": float("nan")}}, config=AC),
    Case(
        "pilot_offer_wrong",
        S.PREPARING,
        at_output(S.PREPARING, {"pilot_duty_percent": 10.0}),
        near=at_output(S.PREPARING, {"pilot_duty_percent": 0.9}),
        config=AC,
    ),
    Case(
        "residual_current_test_failed",
        S.LOCKING,
        at_output(S.LOCKING, {"residual_current_tested": False}, residual_current_test=True),
        near=at_output(S.LOCKING, {"residual_current_tested": True}, residual_current_test=True),
        config=AC,
    ),
    Case("mains_low", S.CHARGING, at_output(S.CHARGING, {"voltage_l2": 195.0}), near=at_output(S.CHARGING, {"voltage_l2": 196.0}), config=AC),
    Case("mains_low", S.CHARGING, at_output(S.CHARGING, {"voltage_l3": float("nan")}), config=AC),
    Case("mains_low", S.AVAILABLE, at_output(S.AVAILABLE, {"voltage_l1": 0.0}), near=at_output(S.AVAILABLE, {"voltage_l1": 196.0}), config=AC),
    Case("mains_high", S.CHARGING, at_output(S.CHARGING, {"voltage_l1": 265.0}), near=at_output(S.CHARGING, {"voltage_l1": 264.0}), config=AC),
    Case("mains_high", S.AVAILABLE, at_output(S.AVAILABLE, {"voltage_l1": 400.0}), near=at_output(S.AVAILABLE, {"voltage_l1": 264.0}), config=AC),
    Case("lock_lost", S.CHARGING, io(locked=False), config=AC),
    Case("lock_failed", S.LOCKING, {"io": {"locked": False}, "io_command": {"lock": True}}, config=AC),
    Case("pilot_fault", S.CHARGING, io(pilot_fault=PilotFault.DISAGREES), near=io(pilot_fault=PilotFault.NONE), config=AC),
    Case("pilot_fault", S.CHARGING, io(pilot_fault=PilotFault.SHORT), near=io(pilot_fault=PilotFault.NONE), config=PILOT),
    Case("pilot_fault", S.CHARGING, io(pilot_fault=PilotFault.UNKNOWN), config=PILOT),
    Case("pilot_fault", S.AVAILABLE, io(pilot_fault=PilotFault.OUT_OF_BAND), near=io(pilot_fault=PilotFault.NONE), config=PILOT),
    Case("pilot_fault", S.PREPARING, io(pilot_fault=PilotFault.DIODE_MISSING), near=io(pilot_fault=PilotFault.NONE), config=PILOT),
    Case("ac_over_current", S.CHARGING, ac(18.2, 10.0, 10.0), near=ac(18.1, 10.0, 10.0)),
    Case("ac_over_current", S.CHARGING, ac(10.0, 10.0, 18.2), near=ac(10.0, 10.0, 18.1)),
    Case("ac_over_current", S.RAMPING_DOWN, ac(0.6, 0.0, 0.0, signalled=0.0), near=ac(0.5, 0.0, 0.0, signalled=0.0)),
    Case("ac_over_current_high", S.CHARGING, ac(22.7, 10.0, 10.0), near=ac(22.5, 10.0, 10.0)),
    Case("ac_over_current_high", S.CHARGING, ac(0.0, 75.0, 0.0, signalled=63.0), near=ac(0.0, 74.2, 0.0, signalled=63.0)),
    Case("ac_current_unknown", S.CHARGING, ac(), near=ac(0.0, 0.0, 0.0)),
    Case("ac_current_unknown", S.CHARGING, ac(16.0, 16.0), near=ac(16.0, 16.0, 16.0)),
    Case("ac_current_unknown", S.CHARGING, ac(float("nan"), 16.0, 16.0), near=ac(16.0), config=SafetyConfig(ac_phases=1)),
    Case("module_failed", S.CHARGING, power(modules_working=3), near=power(modules_working=4), config=BANK),
    Case("module_failed", S.CABLE_CHECK, power(module_count=3, modules_working=3), near=power(modules_working=4), config=BANK),
    Case("module_failed", S.AVAILABLE, power(modules_working=1), near=power(modules_working=4), config=BANK),
    Case("no_module_left", S.CHARGING, power(modules_working=0), near=power(modules_working=1), config=BANK),
    Case("no_module_left", S.CABLE_CHECK, power(module_count=0), near=power(module_count=1), config=BANK),
    Case("no_module_left", S.AVAILABLE, power(modules_working=0), near=power(modules_working=1), config=BANK),
    Case("modules_disagree", S.CHARGING, power(module_current_min=16.0, module_current_max=22.3), near=power(module_current_min=16.0, module_current_max=22.2),
         config=BANK),
    Case("modules_disagree", S.CHARGING, power(module_current_min=float("nan")), near=power(module_current_min=20.0), config=BANK),
    Case("modules_disagree", S.CHARGING, power(module_current_min=18.9, module_current_max=21.0), near=power(module_current_min=19.1, module_current_max=21.0),
         config=replace(BANK, module_spread_percent=1.0)),
    *(
        case
        for state in (S.CHARGING, S.AVAILABLE)
        for case in (
            Case("outlets_connected", state, {"cabinet": {"bridged": "module 3 connects the outlets 1, 2"}}, config=CABINET),
            Case("module_switch_stuck", state, {"cabinet": {"stuck": "module 3 has a switch that does not open"}}, config=CABINET),
            Case("module_lost", state, {"cabinet": {"lost": "module 3 is silent"}}, config=CABINET),
        )
    ),
    Case("cabinet_silent", S.CHARGING, {"cabinet": {"age": 0.8}}, {"cabinet": 0.25}, near={"cabinet": {"age": 0.8}}, near_ages={"cabinet": 0.15},
         config=CABINET),
    Case("cabinet_silent", S.CABLE_CHECK, {"cabinet": {"age": float("nan")}}, near={"cabinet": {"age": 0.9}},
         extra_time=SafetyConfig().cabinet_timeout, config=CABINET),
    Case("cabinet_silent", S.AVAILABLE, {}, {"cabinet": 1.1}, near_ages={"cabinet": 0.9}, config=CABINET),
    Case("coolant_failed", S.CHARGING, io(coolant_flow=1.9), near=io(coolant_flow=2.0), also=("cable_overload",), config=COOLED),
    Case("coolant_failed", S.WAITING_FOR_REQUEST, io(coolant_temperature=61.0), near=io(coolant_temperature=60.0), config=COOLED),
    Case("coolant_failed", S.RAMPING_DOWN, io(coolant_flow=float("nan")), config=COOLED),
    Case("cable_overload", S.CHARGING, io(coolant_flow=0.0), near={**io(coolant_flow=0.0), **power(current=70.0)}, also=("coolant_failed",), config=COOLED),
    Case("cable_overload", S.CHARGING, {**io(coolant_temperature=float("nan")), **power(current=71.0)}, near=power(current=90.0), also=("coolant_failed",),
         config=COOLED),
    Case("connector_derated", S.CHARGING, io(connector_temperature=81.0), near=io(connector_temperature=80.0)),
    Case("enclosure_derated", S.CHARGING, power(enclosure_temperature=56.0), near=power(enclosure_temperature=55.0)),
    Case("connector_over_temperature", S.CHARGING, io(connector_temperature=91.0), near=io(connector_temperature=90.0), also=("connector_derated",)),
    Case("connector_over_temperature", S.AVAILABLE, io(connector_temperature=91.0), near=io(connector_temperature=90.0)),
    Case("module_over_temperature", S.CHARGING, power(module_temperature=86.0), near=power(module_temperature=85.0)),
    Case("module_over_temperature", S.AVAILABLE, power(module_temperature=86.0), near=power(module_temperature=85.0)),
    Case("enclosure_over_temperature", S.CHARGING, power(enclosure_temperature=66.0), near=power(enclosure_temperature=65.0),
         also=("enclosure_derated",)),
    Case("enclosure_over_temperature", S.AVAILABLE, power(enclosure_temperature=66.0), near=power(enclosure_temperature=65.0)),
    Case("module_refused", S.CHARGING, power(enabled=False)),
    Case("vehicle_silent", S.CHARGING, {"vehicle": {"age": 0.6}}, {"vehicle": 0.45}, near={"vehicle": {"age": 0.6}}, near_ages={"vehicle": 0.35}),
    Case("vehicle_silent", S.LOCKING, {}, {"vehicle": 1.01}, near_ages={"vehicle": 0.94}),
    Case("controller_silent", S.CHARGING, {"vehicle": {"age": 0.2}}, {"vehicle": 0.11}, near={"vehicle": {"age": 0.2}}, near_ages={"vehicle": 0.04},
         config=LED),
    Case("controller_silent", S.AVAILABLE, {"vehicle": {"age": 0.31}}, near={"vehicle": {"age": 0.25}}, config=LED),
    Case("controller_emergency", S.CHARGING, controller(emergency=EmergencyOrigin.VEHICLE), config=LED),
    Case("controller_emergency", S.LOCKING, controller(emergency=EmergencyOrigin.UNKNOWN), config=LED),
    Case("controller_emergency", S.AVAILABLE, controller(emergency=EmergencyOrigin.STATION), config=LED),
    Case("controller_outdated", S.AVAILABLE, controller(interface_version=2), config=LED),
    Case("power_modules_silent", S.CABLE_CHECK, power(age=0.3), {"power": 0.25}, near=power(age=0.3), near_ages={"power": 0.15}),
    Case("io_board_silent", S.CHARGING, io(age=0.4), {"io": 0.15}, near=io(age=0.4), near_ages={"io": 0.05}),
    Case("io_board_silent", S.AVAILABLE, io(age=9.0), near=io(age=0.4)),
    Case("can_bridge_silent", S.CHARGING, {}, {"can_status": 0.51}, near_ages={"can_status": 0.49}),
    Case("can_bridge_silent", S.AVAILABLE, {}, {"can_status": 9.0}, near_ages={"can_status": 0.49}),
    Case("charge_sequencer_silent", S.CHARGING, {}, LATE_SEQUENCER, near_ages={"power_command": 0.19, "io_command": 0.19, "session": 0.29},
         also=("contactor_welded",)),
    Case("charge_sequencer_silent", S.CHARGING, {}, {"session": 0.31}, near_ages={"session": 0.29}),
    Case("charge_sequencer_silent", S.AVAILABLE, {}, DEAD_SEQUENCER),
    Case("meter_silent", S.CHARGING, {}, {"meter": 3.1}, near_ages={"meter": 2.9}),
    Case("meter_silent", S.CHARGING, {"meter": {"healthy": False}}),
    Case("meter_silent", S.AVAILABLE, {}, {"meter": 3.1}, near={"meter": {"healthy": False}}, near_ages={"meter": 2.9}),
    Case("meter_session_lost", S.CHARGING, {"meter": {"session_id": ""}}),
    Case("meter_runs_backwards", S.CHARGING, falling(1.1), near={"meter": {"register_wh": lambda now: 1000.0 - round(now / STEP) % 2}}),
    Case("meter_runs_backwards", S.AVAILABLE, falling(2.0), near={"meter": {"register_wh": lambda now: 1000.0 - round(now / STEP) % 2}}),
    Case("meter_disagrees", S.CHARGING, {"meter": {"power": 27.3e3}}, near={"meter": {"power": 27.4e3}}),
    Case("meter_disagrees", S.CHARGING, {"meter": {"power": 5.05e3}, **power(current=10.0)}, near={"meter": {"power": 4.75e3}, **power(current=10.0)}),
    Case("bus_error_rate", S.CHARGING, counting(BusLink.POWER, errors=4.0, malformed=4.0, dropped=4.0),
         near=counting(BusLink.POWER, errors=9.0), extra_time=LAG, lag=LAG),
    Case("bus_error_rate", S.AVAILABLE, counting(BusLink.IO, errors=11.0), near=counting(BusLink.IO, errors=9.0), extra_time=LAG, lag=LAG),
    Case("bus_overload", S.CHARGING, counting(BusLink.VEHICLE, received=1000.0, unknown_id=1100.0),
         near=counting(BusLink.VEHICLE, received=1900.0), extra_time=LAG, lag=LAG),
    Case("bus_overload", S.AVAILABLE, counting(BusLink.IO, received=2100.0), near=counting(BusLink.IO, received=1900.0), extra_time=LAG, lag=LAG),
    Case("clock_jumped", S.CHARGING, swinging(1.1), near=swinging(0.9)),
    Case("clock_jumped", S.AVAILABLE, swinging(3600.0), near=swinging(0.9)),
    Case("bus_off", S.CHARGING, buses(BusHealth.BUS_OFF), near=buses(BusHealth.OK)),
    Case("bus_off", S.AVAILABLE, buses(BusHealth.CLOSED)),
    Case("bus_off", S.CHARGING, {"can_status": {"buses": ()}}),
    Case("bus_error", S.CHARGING, buses(BusHealth.ERROR)),
    Case("bus_error", S.AVAILABLE, buses(BusHealth.ERROR)),
    *(Case(fault, S.CHARGING, {"vehicle": {flag: True}}, also=("vehicle_stop_not_followed",)) for fault, flag in FLAGS.items()),
    Case("battery_incompatible", S.LOCKING, {"vehicle": {"target_voltage": 49.0}}, near={"vehicle": {"target_voltage": 50.0}}),
    Case("battery_incompatible", S.CHARGING, {"vehicle": {"target_voltage": 501.0}}, near={"vehicle": {"target_voltage": 500.0}}),
    Case("battery_incompatible", S.CABLE_CHECK, {"vehicle": {"target_voltage": float("nan")}}),
    Case("vehicle_request_excess", S.CHARGING, {"vehicle": {"current_request": 146.0}}, near={"vehicle": {"current_request": 145.0}}),
    Case("vehicle_stop_not_followed", S.CHARGING, {"vehicle": {"charging_enabled": False}},
         near={"vehicle": {"charging_enabled": False}, "power": {"current": 9.0}}),
    Case("vehicle_stop_not_followed", S.RAMPING_DOWN, {**io(permission=False), "power": {"current": 11.0}}, near=io(permission=False), also=("over_current",)),
    Case("stop_not_followed", S.CHARGING, power(module_temperature=86.0), also=("module_over_temperature",), extra_time=SafetyConfig().temperature_time + STEP),
    *(
        case
        for state in (S.CHARGING, S.AVAILABLE)
        for case in (
            Case("bus_overload", state, loaded(0.51), near=loaded(0.49)),
            Case("node_silent", state, {}, {"/recorder": 5.1}, near_ages={"/recorder": 4.9}),
            Case("node_silent", state, {}, {"/ocpp_uplink": 100.0}, near_ages={"/evse_1/can_bridge": 100.0}),
            Case("node_restarting", state, started_again("/evse_1/energy_meter", 100), near=started_again("/evse_1/energy_meter", 3),
                 extra_time=3 * STEP, lag=WINDOW_OF_RESTARTS),
            Case("station_node_restarting", state, started_again("/recorder", 100), near=started_again("/recorder", 3),
                 extra_time=3 * STEP, lag=WINDOW_OF_RESTARTS),
            Case("disk_low", state, {"/recorder": {"free_space": 499e6}}, near={"/recorder": {"free_space": 500e6}}),
            Case("disk_full", state, {"/ocpp_uplink": {"free_space": 19e6}}, near={"/ocpp_uplink": {"free_space": 20e6}}, also=("disk_low",)),
            Case("disk_full", state, {"/evse_1/energy_meter": {"free_space": 0.0}}, near={"/recorder": {"free_space": 0.0}}, also=("disk_low",)),
            Case("ledger_failed", state, {"/evse_1/energy_meter": {"failed_writes": 1}}, near={"/recorder": {"failed_writes": 9}}),
            Case("storage_failed", state, {"/ocpp_uplink": {"failed_writes": 1}}, near={"/evse_1/energy_meter": {"failed_writes": 9}}),
            Case("description_changed", state, {"inputs": {"description": OTHER}}, near={"inputs": {"description": ""}}),
            Case("description_changed", state, {"/evse_1/can_bridge": {"description": OTHER}}, near={"/recorder": {"description": ""}}),
            Case("latches_lost", state, {"inputs": {"latch_problem": "safety_monitor_1.json is damaged"}}),
        )
    ),
    Case("power_cut", S.CHARGING, {"can_status": {"power_allowed": False}}, also=("contactor_welded",)),
)  # fmt: skip
IDS = [f"{case.fault}-{case.state.name}-{index}" for index, case in enumerate(CASES)]


def raised(case: Case) -> Bench:
    """Return a bench on which the fault of a case has just been raised."""
    bench = Bench(case.config)
    bench.run(2.0, case.state)
    assert bench.faults == ()
    bench.run(case.time + 2 * STEP, case.state, case.wrong, case.ages)
    assert case.fault in bench.faults, bench.outputs.state
    return bench


def test_every_effect_of_every_row_has_a_case() -> None:
    wanted = {(fault.name, True) for fault in FAULTS if fault.energised} | {(fault.name, False) for fault in FAULTS if fault.idle}
    assert {(case.fault, case.energised) for case in CASES} == wanted


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_is_raised_with_its_reaction_and_withdraws_the_permit_only_as_emergency(case: Case) -> None:
    bench = raised(case)
    assert set(bench.faults) <= {case.fault, *case.also}
    event = next(event for event in bench.events if event.fault == case.fault)
    assert (event.active, event.reaction, event.mrec_code, event.ocpp16_error) == (
        True,
        case.effect.reaction,
        case.row.mrec,
        case.row.ocpp16,
    )
    assert event.detail
    assert event.session_id == ("s-1" if inputs(case.state, 0.0).session.value.session_active else "")  # type: ignore[union-attr]
    if case.effect.reaction is Reaction.EMERGENCY:
        assert not bench.permit
        assert case.fault in bench.outputs.state.detail
    elif not case.also:
        assert bench.permit is (case.energised and not case.ages.keys() & {"vehicle", "power", "io", "can_status", "session"})


@pytest.mark.parametrize("case", [case for case in CASES if case.time > 2 * STEP], ids=lambda case: f"{case.fault}-{case.state.name}")
def test_is_not_raised_before_its_debounce_time(case: Case) -> None:
    bench = Bench(case.config)
    bench.run(2.0, case.state)
    bench.run(case.time - 2 * STEP - case.lag, case.state, case.wrong, case.ages)
    assert case.fault not in bench.faults
    bench.run(1.0, S.FINISHED)
    assert case.fault not in bench.faults


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.near or case.near_ages], ids=lambda case: f"{case.fault}-{case.state.name}"
)
def test_is_not_raised_just_below_its_limit(case: Case) -> None:
    bench = Bench(case.config)
    bench.run(2.0, case.state)
    bench.run(3 * case.time + 1.0, case.state, case.near, case.near_ages)
    assert case.fault not in bench.faults


def test_every_numeric_limit_has_a_case_just_below_it() -> None:
    assert {case.fault for case in CASES if case.near or case.near_ages} >= {fault.name for fault in FAULTS if fault.limits}


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_is_latched_until_its_own_reset_and_cleared_by_it(case: Case) -> None:
    bench = raised(case)
    reset = case.effect.reset
    bench.run(case.time + 1.0, case.state, case.wrong, case.ages)
    bench.run(SafetyConfig().recovery_time + 2.0 + case.lag, S.FAULTED)
    assert (case.fault in bench.faults) is (reset is not Reset.ITSELF)
    bench.run(1.0, S.AVAILABLE)
    assert (case.fault in bench.faults) is (reset is Reset.OPERATOR)
    bench.run(STEP, S.AVAILABLE, {"inputs": {"reset": True}})
    assert bench.faults == ()
    cleared = [event for event in bench.events if event.fault == case.fault and not event.active]
    assert len(cleared) == 1


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_no_reset_clears_what_is_still_there(case: Case) -> None:
    bench = raised(case)
    for _ in range(5):
        asked = {**case.wrong.get("inputs", {}), "reset": True}
        bench.run(1.0, case.state, {**case.wrong, "inputs": asked}, case.ages)
        assert case.fault in bench.faults


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.energised and case.effect.reaction >= Reaction.STOP], ids=lambda case: case.fault
)
def test_nothing_that_ends_a_session_is_cleared_while_power_may_flow(case: Case) -> None:
    bench = raised(case)
    bench.run(SafetyConfig().recovery_time + 1.0, case.state, {"inputs": {"reset": True}})
    assert case.fault in bench.faults


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.energised and fault.idle], ids=lambda fault: fault.name)
def test_a_fault_is_never_milder_while_power_may_flow(fault: Fault) -> None:
    assert fault.energised.reaction >= fault.idle.reaction  # type: ignore[union-attr]
    assert fault.energised.reset >= fault.idle.reset  # type: ignore[union-attr]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_row_is_complete(fault: Fault) -> None:
    names = {item.name for item in fields(SafetyConfig)}
    debounces = {effect.debounce for effect in (fault.energised, fault.idle) if effect and effect.debounce}
    assert {*fault.limits, *debounces} <= names
    assert fault.energised or fault.idle
    assert all(text.strip() for text in (fault.meaning, fault.source, fault.technician))
    assert fault.driver or max(effect.reaction for effect in (fault.energised, fault.idle) if effect) is Reaction.WARN


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(FAULTS)


def test_codes_are_known_ones() -> None:
    enums = pytest.importorskip("ocpp.v16.enums")
    assert {fault.ocpp16 for fault in FAULTS} <= {code.value for code in enums.ChargePointErrorCode} - {"NoError"}
    reasons = pytest.importorskip("ocpp.v201.enums").ReasonEnumType
    assert {fault.ocpp20 for fault in FAULTS} <= {reason.value for reason in reasons}
    assert {fault.mrec for fault in FAULTS if fault.mrec} <= {f"CX{number:03}" for number in range(1, 27)}


def test_every_parameter_of_the_monitor_is_used() -> None:
    """A threshold that nothing reads would mislead whoever changes it."""
    table = {name for fault in FAULTS for name in fault.limits}
    table |= {effect.debounce for fault in FAULTS for effect in (fault.energised, fault.idle) if effect}
    assert {item.name for item in fields(SafetyConfig)} - table == {"startup_grace", "recovery_time", "vehicle_link"}


def test_missing_inputs_are_silence_faults_after_the_grace_time() -> None:
    bench = Bench()
    never = dict.fromkeys(("vehicle", "power", "io", "can_status", "session", "power_command", "io_command", "meter"), inf)
    bench.run(SafetyConfig().startup_grace - STEP, S.AVAILABLE, ages=never)
    assert bench.faults == ()
    bench.run(SafetyConfig().idle_silence + 1.0, S.AVAILABLE, ages=never)
    assert set(bench.faults) == {"io_board_silent", "can_bridge_silent", "charge_sequencer_silent", "meter_silent"}
    assert bench.outputs.state.reaction is Reaction.BLOCK
