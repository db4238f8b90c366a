"""Limits and times of the safety monitor, each with its unit, source and bounds."""

from dataclasses import dataclass

from evse_core.parameter import parameter
from evse_core.rating import MOST_CURRENT, MOST_POWER
from evse_core.vehicle_link import link_parameter

CAN = "can.md"


@dataclass(frozen=True, slots=True)
class SafetyConfig:
    """Ratings of the EVSE and the thresholds of the fault table."""

    vehicle_link: str = link_parameter()
    max_voltage: float = parameter(500.0, "V", "Highest output voltage of this EVSE", f"{CAN} 1.7: max_charger_voltage", 50.0, 1500.0)
    min_voltage: float = parameter(
        50.0, "V", "Lowest output voltage of this EVSE", f"{CAN} 2.3 S3, S10: rating of the modules", 0.0, 1500.0
    )
    max_current: float = parameter(125.0, "A", "Highest output current of this EVSE", f"{CAN} 1.7: max_charger_current", 1.0, MOST_CURRENT)
    max_discharge_current: float = parameter(
        0.0, "A", "Highest current from the vehicle; 0: any is a fault", f"{CAN} 1.7: max_charger_discharge_current", 0.0, MOST_CURRENT
    )
    max_discharge_power: float = parameter(
        0.0, "W", "Highest power from the vehicle; 0: none", "rating of the power modules", 0.0, MOST_POWER
    )

    module_count: int = parameter(
        0, "", "Power modules that tell of themselves (config/can/module_bank.dbc); 0: they do not", "the builder knows", 0, 255
    )
    has_control_pilot: bool = parameter(False, "", "A control pilot is fitted, which has to be good", f"{CAN} 2.2: CHAdeMO has none")

    has_cabinet: bool = parameter(
        False, "", "The power modules are those of a cabinet that several EVSEs share (power_cabinet)", "the builder knows"
    )

    vehicle_timeout: float = parameter(1.0, "s", "A vehicle silent for longer is lost", f"{CAN} 2.4: charger 1 s", 0.3, 2.0)
    controller_timeout: float = parameter(
        0.3,
        "s",
        "A charge controller silent for longer is lost",
        f"{CAN} 1.7: 200 ms, after which can_bridge cuts by itself; one report",
        0.2,
        1.0,
    )
    modules_timeout: float = parameter(0.5, "s", "Power modules silent for longer are lost", f"{CAN} 1.7: 500 ms", 0.2, 2.0)
    io_timeout: float = parameter(
        0.5, "s", "An I/O board silent for longer is lost", "own: ten frames of 50 ms; the board opens by itself after 200 ms", 0.2, 2.0
    )
    bridge_timeout: float = parameter(
        0.5, "s", "A can_bridge silent for longer is dead", "own: five reports of 100 ms; modules and board stop by themselves", 0.2, 2.0
    )
    command_timeout: float = parameter(
        0.2, "s", "Commands older than this are stale", "design.md, The permit 2: a power command expires after 200 ms", 0.1, 1.0
    )
    session_timeout: float = parameter(0.3, "s", "A session_state older than this is stale", "own: three messages of 100 ms", 0.15, 1.0)
    meter_timeout: float = parameter(3.0, "s", "A meter silent for longer is lost", "own: three readings of 1 s", 1.0, 30.0)
    cabinet_timeout: float = parameter(
        1.0, "s", "Switches of a cabinet are not known any more after this silence", "own: five cabinet_report of 200 ms", 0.5, 5.0
    )
    cabinet_time: float = parameter(
        5.0,
        "s",
        "Longest charging without knowing how the switches of a cabinet stand",
        "own: module_allocator restarts in 3 s; meanwhile the cabinet moves no switch (config/can/cabinet.dbc)",
        1.0,
        30.0,
    )
    idle_silence: float = parameter(
        2.0,
        "s",
        "Silence counts only after this time more while no power may flow",
        "own: a node restarts in about 2 s (shared/ros)",
        0.0,
        60.0,
    )
    startup_grace: float = parameter(
        10.0,
        "s",
        "Inputs that never came are no fault for this long after the start",
        "shared/ros: discovery of 45 processes 2.1 s",
        1.0,
        120.0,
    )

    over_voltage_tolerance: float = parameter(
        5.0, "V", "Excess over the vehicle's maximum that is measuring error", "own: 1 % of 500 V", 0.0, 20.0
    )
    over_voltage_time: float = parameter(0.4, "s", "Longest excess over the vehicle's maximum", f"{CAN} 4: > 400 ms (EVerest)", 0.0, 0.4)
    under_voltage_time: float = parameter(
        1.0, "s", "Longest time below the lowest output voltage while charging", "own: the sequencer ends the session after 0.5 s", 0.1, 5.0
    )
    connection_voltage: float = parameter(
        10.0, "V", "Highest voltage at the connector before the cable check", f"{CAN} 2.3 S6: output < 10 V", 1.0, 60.0
    )
    connection_time: float = parameter(
        1.0, "s", "Longest voltage before the cable check", "own: ten reports; the sequencer ends the session after 0.5 s", 0.1, 5.0
    )
    discharge_time: float = parameter(
        5.0, "s", "Longest time in which the modules' output falls", f"{CAN} 2.3 S10: seen 2.9 s; E4: 10 V within 2 s", 1.0, 60.0
    )
    cable_check_time: float = parameter(30.0, "s", "Longest cable check", f"{CAN} 4: whole test under 25-30 s", 5.0, 60.0)
    test_voltage_tolerance: float = parameter(10.0, "V", "Deviation of the test voltage", f"{CAN} 4: within 10 V of the target", 1.0, 50.0)
    test_voltage_time: float = parameter(10.0, "s", "Longest time until the test voltage is there", f"{CAN} 4: within 10 s", 1.0, 30.0)
    precharge_tolerance: float = parameter(20.0, "V", "Deviation of the precharge voltage", f"{CAN} 4: within 20 V", 1.0, 50.0)
    precharge_time: float = parameter(7.0, "s", "Longest precharge", "own: test voltages of the same modules take 1 s", 1.0, 30.0)
    touch_voltage: float = parameter(60.0, "V", "Voltage that may be touched", f"{CAN} 4: < 60 V", 10.0, 60.0)
    touch_time: float = parameter(1.0, "s", "Longest touchable voltage above the limit", f"{CAN} 4: within 1 s after disconnect", 0.1, 1.0)
    spread_voltage: float = parameter(50.0, "V", "Largest difference of two voltage sensors", f"{CAN} 4: > 50 V", 5.0, 100.0)
    spread_time: float = parameter(30.0, "s", "Longest difference of two voltage sensors", f"{CAN} 4: for 30 s", 1.0, 60.0)

    current_tolerance: float = parameter(
        10.0, "A", "Deviation of the current that vehicles accept", f"{CAN} 2.4: about 10 A; an idle sensor shows up to 8 A", 1.0, 20.0
    )
    current_tolerance_percent: float = parameter(10.0, "%", "The same, relative to the request", f"{CAN} 2.4: within 10 %", 1.0, 20.0)
    current_ramp: float = parameter(
        20.0, "A/s", "Slowest fall of the output current that is no fault", f"{CAN} 4: CHAdeMO 20 A/s", 1.0, 1000.0
    )
    current_delay: float = parameter(
        0.5, "s", "Time from a lower request to a falling current", f"{CAN} 2.3 E1: seen 0.4 s; 2.4: one charger 0.5 s", 0.0, 2.0
    )
    over_current_time: float = parameter(0.5, "s", "Longest over-current", f"{CAN} 2.3 E1: current is gone 0.5 s after a stop", 0.05, 2.0)
    min_soc_percent: float = parameter(
        50.0,
        "%",
        "State of charge below which no vehicle is discharged",
        "own: the driver's contract; charge_sequencer.min_soc_percent",
        0.0,
        100.0,
    )
    over_discharge_time: float = parameter(
        5.0, "s", "Longest discharge below it", "own: a charge counted in whole percent may flicker for some reports", 0.5, 60.0
    )
    discharge_voltage_tolerance: float = parameter(
        5.0, "V", "Fall below the vehicle's lowest voltage that is measuring error", "own: as over_voltage_tolerance", 0.0, 20.0
    )
    discharge_voltage_time: float = parameter(
        0.4, "s", "Longest fall below the vehicle's lowest voltage", "own: as over_voltage_time, its twin", 0.0, 2.0
    )
    idle_current_time: float = parameter(
        1.0, "s", "Longest current without a session", f"{CAN} 4: emergency end < 5 A within 1 s", 0.1, 5.0
    )
    current_spread_time: float = parameter(
        30.0, "s", "Longest difference of two current sensors", f"{CAN} 4: as voltage sensors, for 30 s", 1.0, 60.0
    )
    ac_phases: int = parameter(3, "", "Phases that must be measured while a current is signalled", "own: L1 to L3", 1, 3)
    ac_tolerance: float = parameter(0.5, "A", "Measuring error of the AC current", f"{CAN} 3.3: + 0.5 A", 0.0, 2.0)
    ac_tolerance_percent: float = parameter(
        10.0, "%", "AC current above the signalled one that is no fault", f"{CAN} 3.3: + 10 %", 0.0, 10.0
    )
    ac_over_current_time: float = parameter(
        6.5, "s", "Longest AC current above that", f"{CAN} 3.3: 6 to 7 s, vehicles follow within 5 s", 6.0, 7.0
    )
    ac_excess: float = parameter(
        5.0,
        "A",
        "AC current above the signalled one and its tolerance that is no mistake any more",
        "OpenEVSE: OVERCURRENT_THRESHOLD",
        1.0,
        10.0,
    )
    ac_excess_time: float = parameter(
        5.5, "s", "Longest AC current above that", f"OpenEVSE: OVERCURRENT_TIMEOUT 5 s; {CAN} 3.3: vehicles follow within 5 s", 5.0, 6.0
    )
    ac_unknown_time: float = parameter(
        1.0, "s", "Longest time without a measurement of the AC current", "own: its frame is lost after 0.5 s, and five more", 0.0, 5.0
    )
    phase_voltage: float = parameter(
        230.0, "V", "Voltage of a phase to neutral", "IEC 60038: 230 V; 120 or 240 V in North America", 90.0, 300.0
    )
    mains_low_percent: float = parameter(15.0, "%", "Mains voltage below the nominal one that is a fault", "EN 50160: -15 %", 5.0, 30.0)
    mains_high_percent: float = parameter(
        15.0, "%", "Mains voltage above the nominal one that is a fault", "EN 50160: +10 %, and 5 % to measure", 5.0, 20.0
    )
    mains_time: float = parameter(
        1.0, "s", "Longest mains voltage outside its limits", "own: dips of 10 ms to 1 s are no interruption (EN 50160)", 0.1, 60.0
    )
    duty_tolerance: float = parameter(1.0, "%", "Duty cycle above the told one that is no fault", f"{CAN} 3.2: 0.5 %, twice", 0.5, 3.0)
    duty_time: float = parameter(0.5, "s", "Longest duty cycle above that", "own: ten frames; a new one is on its way for two", 0.2, 5.0)
    supply_time: float = parameter(
        0.3, "s", "Longest supply of a vehicle that is not ready", f"{CAN} 3.3: 0.1 s, and two frames each way", 0.1, 1.0
    )
    output_live_time: float = parameter(
        1.0, "s", "Longest voltage behind a contactor that reports open", "own: filters in the vehicle discharge", 0.2, 5.0
    )
    phases_time: float = parameter(0.5, "s", "Longest wrong number of connected phases", "own: ten frames; contacts need 0.1 s", 0.2, 5.0)
    residual_test_time: float = parameter(
        2.0, "s", "Longest self test of the residual current device", "own: devices need 0.1 to 1 s", 0.5, 10.0
    )
    vehicle_stop_time: float = parameter(
        2.5, "s", "Longest current after the vehicle withdrew its permission", f"{CAN} 2.3 E1: car gives up after 2.5 s", 0.5, 2.5
    )

    insulation_fault_limit: float = parameter(
        100e3, "ohm", "Insulation resistance that ends charging at any rating", f"{CAN} 4: 100 kOhm, IEC 61851-23:2023", 50e3, 500e3
    )
    insulation_fault_per_volt: float = parameter(
        100.0,
        "ohm/V",
        "The same per volt of the highest output voltage; the higher counts",
        f"{CAN} 4: 100 Ohm/V, edition 2014",
        100.0,
        1e3,
    )
    insulation_warning_per_volt: float = parameter(
        500.0,
        "ohm/V",
        "Insulation resistance per volt of the highest output voltage that is reported",
        f"{CAN} 4: 500 Ohm/V, edition 2014",
        100.0,
        5e3,
    )
    insulation_time: float = parameter(
        1.0, "s", "Longest insulation resistance below the limit", "own: ten reports; a contactor's step disturbs monitors", 0.0, 10.0
    )

    contact_time: float = parameter(
        0.1, "s", "Bounce of earth and proximity circuits while energised", "own: two frames of the I/O board", 0.0, 1.0
    )
    tilt_time: float = parameter(
        0.5, "s", "Tilt shorter than this is wind or a door that slams", "own: ten frames of the I/O board", 0.0, 5.0
    )
    pilot_time: float = parameter(
        0.1,
        "s",
        "Fault of the control pilot while energised",
        f"{CAN} 3.3: pilot lost, off within 0.1 s; the board opens by itself",
        0.0,
        3.0,
    )
    pilot_idle_time: float = parameter(0.5, "s", "Fault of the control pilot while a plug goes in", f"{CAN} 3.5: 100 to 500 ms", 0.0, 3.0)
    module_failure_time: float = parameter(
        1.0,
        "s",
        "Modules that do not work, or do not tell, for less are not counted",
        "own: ten frames; a module restarts in less",
        0.0,
        10.0,
    )
    module_spread: float = parameter(
        2.0, "A", "Difference between two modules that is measuring error", "own: 1 A each way, steps of 0.1 A", 0.1, 50.0
    )
    module_spread_percent: float = parameter(
        20.0, "%", "The same, relative to a module's share of the rating", "own: modules share within 5 % each way, doubled", 1.0, 100.0
    )
    module_spread_time: float = parameter(
        10.0, "s", "Longest difference between two modules", "own: a ramp of 20 A/s to 125 A takes 6 s", 1.0, 60.0
    )
    door_time: float = parameter(0.2, "s", "Bounce of the door contact", "own: four frames of the I/O board", 0.0, 2.0)
    lock_time: float = parameter(0.2, "s", "Bounce of the lock's feedback", "own: four frames of the I/O board", 0.0, 1.0)
    lock_command_time: float = parameter(
        2.5, "s", "Longest time in which the lock closes", "own: lock motors take 0.3 to 0.6 s; the sequencer gives up after 3 s", 0.5, 20.0
    )
    unlock_command_time: float = parameter(
        5.0, "s", "Longest time in which the lock opens", "own: as long as the sequencer tries", 0.5, 30.0
    )
    proximity_time: float = parameter(0.5, "s", "Proximity outside its bands while a plug goes in", "own: five reports", 0.0, 5.0)
    contactor_time: float = parameter(
        1.0, "s", "Longest time in which the contactor's feedback follows", "own: DC contactors take < 0.1 s; EVerest waits 5 s", 0.1, 5.0
    )
    vehicle_contactor_time: float = parameter(
        3.0, "s", "Longest battery voltage at the connector after the vehicle had to open", f"{CAN} 2.3 E4: 10 V within 2 s", 2.0, 10.0
    )
    permission_time: float = parameter(
        1.0, "s", "Longest time in which can_bridge passes power after a permit", "own: ten can_status of 100 ms", 0.3, 5.0
    )
    module_refusal_time: float = parameter(0.0, "s", "Longest refusal of the modules while charging", f"{CAN} 1.7: at once", 0.0, 1.0)
    bus_time: float = parameter(
        1.0, "s", "Bus errors shorter than this are not reported", f"{CAN} 5.5: bus-off restarts take 100 ms", 0.0, 10.0
    )
    vehicle_fault_time: float = parameter(0.2, "s", "Vehicle fault flags shorter than this are not reported", "own: two frames", 0.0, 1.0)
    incompatible_time: float = parameter(
        1.0, "s", "Longest time for which a target voltage may be out of the rating", f"{CAN} 2.7: values are not stable at first", 0.1, 5.0
    )
    request_excess: float = parameter(20.0, "A", "Request above the rating that is no fault", f"{CAN} 2.7: up to 15 A seen", 1.0, 600.0)
    request_excess_time: float = parameter(5.0, "s", "Longest request above the rating", f"{CAN} 2.4: 5 s", 0.1, 60.0)
    stop_time: float = parameter(5.0, "s", "Time in which a stop must be followed", "design.md, The permit 5", 1.0, 10.0)
    meter_session_time: float = parameter(
        2.0, "s", "Longest charging that the meter does not count for the session", "own: two readings of 1 s", 0.5, 10.0
    )
    meter_tolerance: float = parameter(
        1000.0, "W", "Difference between meter and modules that is no fault", "own: 0.1 s of a ramp of 20 A/s at 500 V", 50.0, 20e3
    )
    meter_tolerance_percent: float = parameter(
        10.0,
        "%",
        "The same, relative to the modules' power",
        "own: sensors of 2 % each, losses of the cable, a reading 0.3 s late",
        1.0,
        50.0,
    )
    meter_energy_tolerance: float = parameter(
        500.0,
        "Wh",
        "Difference of a session's energy between meter and modules that is no fault",
        "own: five steps of 0.1 kWh",
        10.0,
        100e3,
    )
    meter_energy_tolerance_percent: float = parameter(
        5.0, "%", "The same, relative to the modules' energy", "own: sensors of 2 % each, and what a ramp leaves", 0.5, 50.0
    )
    meter_disagreement_time: float = parameter(
        10.0, "s", "Longest difference between meter and modules", "own: a ramp of 20 A/s to 125 A takes 6 s", 1.0, 120.0
    )
    register_tolerance: float = parameter(
        1.0, "Wh", "Fall of the register that is rounding", f"{CAN} 7.4: receipts show 0.001 kWh", 0.001, 100.0
    )
    bus_error_limit: float = parameter(
        10.0, "1/s", "Lost or spoiled frames of a bus", "own: one in ten of a bus with 100 frames per second", 0.1, 1000.0
    )
    bus_frame_limit: float = parameter(
        2000.0, "1/s", "Frames of a bus", f"{CAN} 5.1: half of what 500 kbit/s carry; a station sends < 100", 100.0, 20e3
    )
    bus_rate_time: float = parameter(3.0, "s", "Bursts shorter than this are not reported", "own: three windows of 1 s", 0.0, 60.0)
    bus_load_limit: float = parameter(
        0.5,
        "",
        "Share of a bus's time that frames take",
        "own: the station's buses carry < 0.05; beyond half, periodic frames wait",
        0.1,
        1.0,
    )
    node_timeout: float = parameter(5.0, "s", "A node silent for longer is lost", "own: five node_health of 1 s, best effort", 2.0, 60.0)
    restart_window: float = parameter(
        120.0, "s", "Time in which restarts of a node are counted", "own: a node that always fails is started 7 times in it", 10.0, 3600.0
    )
    restart_limit: int = parameter(
        3, "", "Restarts of a node in that time that are no loop", "own: an update or an operator restarts once", 1, 1000
    )
    disk_low_limit: float = parameter(
        500.0, "MB", "Room on a disk that is reported", "own: above the 200 MB at which recordings stop", 0.0, 1e6
    )
    disk_full_limit: float = parameter(
        20.0, "MB", "Room on the disk below which no session begins", "own: a session takes < 1 MB in ledger, queue and receipt", 0.0, 1e6
    )
    disk_time: float = parameter(2.0, "s", "A disk that is full for less is not counted", "own: two node_health of 1 s", 0.0, 60.0)
    clock_jump: float = parameter(
        1.0, "s", "Change of the clock in one step that is a jump", "own: OCPP and receipts count in seconds", 0.1, 3600.0
    )

    uncooled_current: float = parameter(
        0.0, "A", "Current that a liquid-cooled cable carries without coolant; 0: it needs none", "rating of the cable", 0.0, MOST_CURRENT
    )
    coolant_flow_limit: float = parameter(
        2.0, "L/min", "Flow below which a cable is not cooled", "charge_sequencer.coolant_flow_minimum", 0.1, 25.0
    )
    coolant_temperature_limit: float = parameter(
        60.0, "degC", "Coolant temperature above which a cable is not cooled", "charge_sequencer.coolant_derate_to", 21.0, 90.0
    )
    coolant_time: float = parameter(2.0, "s", "Failures of the coolant for less are not reported", "own: twenty reports", 0.0, 30.0)
    cable_overload_time: float = parameter(
        10.0,
        "s",
        "Longest current above the uncooled one without coolant",
        "own: a cable warms up in minutes; the ramp takes 1 s",
        1.0,
        60.0,
    )
    connector_derating_temperature: float = parameter(
        80.0, "degC", "Contact temperature from which less is charged", f"{CAN} 4: 80 to 85; charge_sequencer.derate_from", 40.0, 90.0
    )
    enclosure_derating_temperature: float = parameter(
        55.0, "degC", "Cabinet temperature from which less is charged", "charge_sequencer.enclosure_derate_from", 30.0, 90.0
    )
    connector_temperature_limit: float = parameter(
        90.0, "degC", "Contact temperature that ends charging", f"{CAN} 4: 90 degC (62196, 61851-23)", 50.0, 90.0
    )
    module_temperature_limit: float = parameter(
        85.0, "degC", "Module temperature that ends charging", "own: modules derate from about 75 degC", 50.0, 120.0
    )
    enclosure_temperature_limit: float = parameter(
        65.0, "degC", "Cabinet temperature that ends charging", "own: 25 K above the 40 degC of can.md 4", 40.0, 90.0
    )
    temperature_hysteresis: float = parameter(10.0, "K", "It must cool down by this much", "own", 0.0, 40.0)
    temperature_time: float = parameter(2.0, "s", "Temperatures above the limit for less are not counted", "own: twenty reports", 0.0, 30.0)
    recovery_time: float = parameter(5.0, "s", "A fault that clears by itself must be gone for this long", "own", 0.0, 600.0)

    @property
    def insulation_fault_level(self) -> float:
        """The insulation resistance [ohm] that ends charging: the higher of both rules."""
        return max(self.insulation_fault_limit, self.insulation_fault_per_volt * self.max_voltage)

    @property
    def insulation_warning_level(self) -> float:
        """The insulation resistance [ohm] that is reported."""
        return max(self.insulation_fault_level, self.insulation_warning_per_volt * self.max_voltage)

    def emergency_voltage(self, vehicle_maximum: float) -> float:
        """Return the voltage [V] of an emergency trip for the lower of both ratings; NaN where the vehicle's is not in play. Source: can.md 4."""
        rating = self.max_voltage if not vehicle_maximum > 0.0 else min(self.max_voltage, vehicle_maximum)
        return next((trip for limit, trip in _EMERGENCY_TRIPS if rating <= limit), 1375.0)


# (rating up to [V], emergency trip [V]); above the last one 1375 V. Source: can.md 4 (EVerest, quoting IEC 61851-23:2023)
_EMERGENCY_TRIPS = ((500.0, 550.0), (750.0, 825.0), (850.0, 935.0), (1000.0, 1100.0))
