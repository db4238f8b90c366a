"""What a builder may change about the charging sequence: ratings, times and limits, each with unit, bounds and source.

"can.md" in a source is ../shared/reference/can.md; S and E are rows of its table 2.3.
"""

from dataclasses import dataclass

from evse_core.parameter import parameter
from evse_core.rating import MOST_CURRENT, MOST_POWER
from evse_core.vehicle_link import link_parameter

# Bounds of authorization_validity, for descriptions and for a CSMS. Own: a driver needs longer to plug in, and nobody waits for an hour. [s]
SHORTEST_VALIDITY, LONGEST_VALIDITY = 5.0, 3600.0


@dataclass(frozen=True, slots=True)
class SequencerConfig:
    """Parameters of charge_sequencer."""

    vehicle_link: str = link_parameter()

    # The station.
    max_voltage: float = parameter(500.0, "V", "highest output voltage", "rating of the power modules", 50.0, 1500.0)
    min_voltage: float = parameter(50.0, "V", "lowest output voltage", "rating of the power modules", 0.0, 1500.0)
    max_current: float = parameter(125.0, "A", "highest output current", "rating of the power modules and the connector", 1.0, MOST_CURRENT)
    max_power: float = parameter(50_000.0, "W", "highest output power", "rating of the power modules", 100.0, MOST_POWER)
    max_discharge_current: float = parameter(
        0.0, "A", "highest current from the vehicle; 0: none", "rating of the power modules and the connector", 0.0, MOST_CURRENT
    )
    max_discharge_power: float = parameter(
        0.0, "W", "highest power from the vehicle; 0: none", "rating of the power modules", 0.0, MOST_POWER
    )
    safe_power: float = parameter(
        4_000.0,
        "W",
        "power while no valid budget is there",
        "own choice: 10 A at 400 V; the sum over all EVSEs must fit the site",
        0.0,
        MOST_POWER,
    )
    protocol_number: int = parameter(2, "", "CHAdeMO generation that the station announces (109.0)", "can.md 2.1: 2 is 1.0 to 1.2", 0, 2)
    known_protocol_number: int = parameter(3, "", "highest generation of a vehicle that is served", "can.md 2.1: 3 is 2.0", 0, 255)
    dynamic_control: bool = parameter(True, "", "announce that the available current may change while charging (118.0.0)", "can.md S15")
    welding_detection: bool = parameter(True, "", "announce that the vehicle may test its contactors for welding (108.0)", "can.md E4")
    start_button_required: bool = parameter(True, "", "a session needs the start button besides plug and token", "issue 2, step 1")
    stop_when_disabled: bool = parameter(
        False, "", "taking the EVSE out of service also ends a running transaction", "OCPP 1.6 ChangeAvailability: Scheduled, so no"
    )

    # The driver.
    authorization_timeout: float = parameter(
        30.0, "s", "longest wait for a verdict on a token", "own choice: two OCPP call time-outs", 1.0, 600.0
    )
    authorization_validity: float = parameter(
        60.0,
        "s",
        "how long a token or a start waits for the rest; a CSMS may change it (ConnectionTimeOut)",
        "OCPP 1.6 ConnectionTimeOut, 60 to 120 s",
        SHORTEST_VALIDITY,
        LONGEST_VALIDITY,
    )

    # Starting: steps 1 to 8.
    permission_timeout: float = parameter(8.0, "s", "sequence signal 1 to permission by frame and line k", "can.md S4", 1.0, 120.0)
    incompatible_hold: float = parameter(
        1.0, "s", "how long the vehicle's values must be unfit", "can.md 2.7: they are not stable before k closes", 0.0, 8.0
    )
    voltage_before: float = parameter(10.0, "V", "highest voltage at the connector before it is locked", "can.md S6", 0.0, 60.0)
    voltage_before_hold: float = parameter(0.5, "s", "how long a voltage before locking must last", "own choice: five readings", 0.0, 5.0)
    lock_timeout: float = parameter(3.0, "s", "lock command to lock feedback", "own choice: lock motors need 0.3 to 0.6 s", 0.2, 20.0)
    locking_timeout: float = parameter(
        5.0, "s", "lock, begin reading, permit and modules together", "can.md S5: seen 0 to 4.3 s", 1.0, 20.0
    )
    ready_timeout: float = parameter(20.0, "s", "permission to sequence signal 2", "can.md S5", 5.0, 120.0)
    output_contactor_timeout: float = parameter(
        1.0, "s", "contactor command to its feedback", "own choice: contactors need 0.03 to 0.1 s", 0.1, 5.0
    )
    closing_voltage: float = parameter(
        60.0, "V", "highest module voltage at which the contactor closes", "can.md 4: cable check start", 0.0, 100.0
    )
    cable_check_timeout: float = parameter(
        14.0, "s", "contactor, test voltage and insulation together", "can.md S7: seen up to 10 s", 1.0, 60.0
    )
    insulation_current: float = parameter(2.0, "A", "current limit of the insulation test", "can.md 4: cable check start", 0.1, 5.0)
    insulation_voltage_share: float = parameter(
        0.9, "", "share of the test voltage from which readings count", "can.md 1.4 row 8", 0.5, 1.0
    )
    insulation_per_volt: float = parameter(100.0, "ohm/V", "lowest insulation resistance per volt", "can.md 4, old rule", 100.0, 10_000.0)
    insulation_minimum: float = parameter(100_000.0, "ohm", "lowest insulation resistance", "can.md 4, 2023 edition", 1_000.0, 10_000_000.0)
    insulation_readings: int = parameter(10, "", "successive good readings that pass the test", "can.md 1.4 row 8", 1, 100)
    insulation_wait: float = parameter(
        5.0, "s", "time at test voltage after which a low reading fails the test", "can.md 4: monitor", 0.0, 60.0
    )
    lowered_voltage: float = parameter(20.0, "V", "highest voltage at which sequence signal 2 closes", "can.md S8", 1.0, 60.0)
    lowering_timeout: float = parameter(3.0, "s", "discharge after the insulation test", "can.md S8: seen 0.1 to 1.3 s", 0.5, 20.0)

    # Connecting: steps 9 and 10.
    contactor_timeout: float = parameter(4.0, "s", "sequence signal 2 to the vehicle's contactor", "can.md S10", 1.0, 30.0)
    unreported_contactor_wait: float = parameter(
        2.0, "s", "wait for the contactor of a vehicle that does not report it", "can.md S10: 0.9 vehicles", 0.5, 10.0
    )
    connected_voltage: float = parameter(50.0, "V", "lowest output voltage with the vehicle's contactor closed", "can.md S10", 10.0, 200.0)
    request_timeout: float = parameter(
        8.0, "s", "vehicle's contactor to its first request", "can.md 2.4: the standard gives 4 s, chargers wait 7.8 s and more", 1.0, 60.0
    )

    # Charging: step 10.
    ramp_up: float = parameter(20.0, "A/s", "fastest rise of the current", "can.md S13", 1.0, 100.0)
    zero_request_hold: float = parameter(
        5.0, "s", "how long a request of 0 A must last to end the session", "can.md 2.7: 4.7 s seen", 0.2, 60.0
    )
    request_excess: float = parameter(
        20.0, "A", "request above the available current that is clamped", "can.md 2.7: up to 15 A seen", 1.0, 600.0
    )
    request_excess_time: float = parameter(5.0, "s", "how long a larger excess must last to be a fault", "can.md 2.4: 5 s", 0.1, 60.0)
    max_charging_time: float = parameter(15_240.0, "s", "longest charging", "109.7 carries at most 254 min", 60.0, 15_240.0)
    threshold_margin: float = parameter(5.0, "V", "voltage above the threshold that ends charging", "own choice: 1 % of 500 V", 0.0, 50.0)
    battery_gone_time: float = parameter(0.5, "s", "how long the battery's voltage must be missing", "own choice: five readings", 0.1, 5.0)
    derate_from: float = parameter(80.0, "degC", "connector temperature from which the current falls", "can.md 4: 80 to 85", 40.0, 120.0)
    derate_to: float = parameter(90.0, "degC", "connector temperature at which the current is 0", "can.md 4: 90", 41.0, 130.0)
    enclosure_derate_from: float = parameter(
        55.0, "degC", "cabinet temperature from which the current falls", "own choice: 15 K above the 40 of can.md 4", 30.0, 90.0
    )
    enclosure_derate_to: float = parameter(
        65.0, "degC", "cabinet temperature at which the current is 0", "safety_monitor.enclosure_temperature_limit", 31.0, 90.0
    )
    uncooled_current: float = parameter(
        0.0, "A", "current that a liquid-cooled cable carries without coolant; 0: it needs none", "rating of the cable", 0.0, MOST_CURRENT
    )
    coolant_flow_minimum: float = parameter(2.0, "L/min", "flow with which a cable is cooled", "own: a cooled cable has about 4", 0.1, 25.0)
    coolant_hold: float = parameter(
        5.0,
        "s",
        "how long the coolant must have worked for more current than without it",
        "own: a pump that stutters must not be followed",
        0.0,
        60.0,
    )
    coolant_derate_from: float = parameter(50.0, "degC", "coolant temperature from which the current falls", "own choice", 20.0, 90.0)
    coolant_derate_to: float = parameter(
        60.0, "degC", "coolant temperature at which the cable counts as not cooled", "own: contacts may have 90 (can.md 4)", 21.0, 90.0
    )
    derate_hysteresis: float = parameter(
        2.0,
        "K",
        "how much cooler connector and cabinet must get to offer current again",
        "own choice: two steps of the board's sensor",
        0.0,
        20.0,
    )
    derated_hold: float = parameter(
        10.0,
        "s",
        "how long the station must be too hot for any current to end the session",
        "can.md 4: derate, then stop; own time",
        1.0,
        600.0,
    )

    # Discharging.
    min_soc_percent: float = parameter(
        50.0, "%", "state of charge that stays in the vehicle whoever asks for its energy", "own choice; the driver's contract", 5.0, 100.0
    )
    discharge_resume_percent: float = parameter(
        5.0, "%", "charge above the minimum after which a discharged vehicle gives power again", "own choice: no hunting", 1.0, 50.0
    )
    discharge_voltage_margin: float = parameter(
        5.0, "V", "voltage above the vehicle's lowest at which discharging ends", "own choice: as threshold_margin", 0.0, 50.0
    )
    direction_pause: float = parameter(1.0, "s", "time at 0 A between charging and discharging", "own choice: ten frames", 0.2, 60.0)
    unverified_discharge: bool = parameter(
        False,
        "",
        "discharge CHAdeMO vehicles although the sources of its bits (109.4.0, 0x200, 0x201, 0x208, 0x209) are not verified",
        "chademo_facts.json: 2 to 3 sources; docs/bidirectional.md",
    )
    v2h_sequence_number: int = parameter(
        0, "", "highest V2H sequence number that the station uses (209.0)", "can.md 2.1: 0 is 1.0 and earlier", 0, 2
    )

    # Ending: steps 11 and 12.
    stopped_current: float = parameter(5.0, "A", "highest current at which the charging flag falls", "can.md E2", 0.5, 10.0)
    stop_time: float = parameter(0.5, "s", "end of the ramp; then the modules go to standby", "can.md E1", 0.1, 2.0)
    ramp_down_timeout: float = parameter(
        2.5, "s", "longest time until the current is gone; then emergency", "can.md E1: vehicles give up", 0.5, 4.0
    )
    opening_current: float = parameter(1.0, "A", "highest current at which the contactor opens", "can.md 4, normal stop", 0.1, 5.0)
    discharge_time: float = parameter(2.0, "s", "discharge of the cable after an aborted test", "can.md E4: 10 V in 2 s", 0.1, 2.4)
    welding_timeout: float = parameter(10.0, "s", "longest wait for the vehicle's contactor to open", "can.md E4", 1.0, 60.0)
    unreported_opening_wait: float = parameter(
        4.0, "s", "wait for the opening of a contactor that is not reported", "can.md E4: 0.9 vehicles", 0.5, 20.0
    )
    sequence_gap: float = parameter(0.5, "s", "sequence signal 2 off to signal 1 off", "can.md E5", 0.5, 5.0)
    closing_timeout: float = parameter(5.0, "s", "signal 2 off to an output that may be unlocked", "can.md E4: 2 s", 1.0, 60.0)
    unlock_voltage: float = parameter(10.0, "V", "highest voltage at which the connector is unlocked", "can.md E6", 1.0, 10.0)
    unlock_timeout: float = parameter(
        5.0, "s", "unlock command to lock feedback", "own choice: as lock_timeout, with a second try", 0.5, 30.0
    )
    unlock_settling: float = parameter(0.3, "s", "frames that show the unlocked connector", "can.md E6: three frames", 0.0, 2.0)
    emergency_timeout: float = parameter(
        2.0, "s", "emergency until closing goes on regardless", "own choice: longer than a contactor takes", 0.5, 10.0
    )
    recovery_timeout: float = parameter(10.0, "s", "discharge and opening after a restart", "own choice: as welding_timeout", 1.0, 60.0)

    # With a charge controller (SECC).
    authorise_in_session: bool = parameter(
        False,
        "",
        "the controller may begin before a token is accepted and asks for it (Start_Charge_Authorisation)",
        "can.md 1.4 rows 1, 4",
    )
    negotiation_timeout: float = parameter(
        90.0,
        "s",
        "longest wait for the controller's next request before charging",
        "can.md 1.4 row 3: CCS takes tens of seconds",
        5.0,
        600.0,
    )
    mcs_insulation_minimum: float = parameter(
        125_000.0, "ohm", "lowest insulation resistance with an MCS connector", "can.md 1.4 row 8", 1_000.0, 10_000_000.0
    )
    led_insulation_readings: int = parameter(
        3,
        "",
        "successive good readings with which the station believes a controller's insulation test",
        "own choice: the controller counts 10",
        1,
        10,
    )
    precharge_current: float = parameter(2.0, "A", "current limit of the precharge", "can.md 1.4 row 10b: 0 to 2 A", 0.1, 5.0)
    precharge_timeout: float = parameter(
        15.0, "s", "longest precharge", "own choice: twice what a vehicle waits (DIN 70121: 7 s)", 1.0, 60.0
    )
    contactor_wait: float = parameter(
        1.5, "s", "wait for the controller's word to open the output contactor once the current is gone", "own choice: 15 frames", 0.1, 10.0
    )

    # AC by control pilot (IEC 61851-1). max_current is per phase.
    ac_phases: int = parameter(3, "", "phases of the AC output: 1 or 3", "the station's supply", 1, 3)
    phase_voltage: float = parameter(
        230.0, "V", "voltage of a phase to neutral", "IEC 60038: 230 V; 120 or 240 V in North America", 90.0, 300.0
    )
    socket_outlet: bool = parameter(False, "", "the cable is detachable: it is locked, and limits the current by its coding", "can.md 3.4")
    ventilated: bool = parameter(False, "", "the room is ventilated: vehicles that need it (state D) are charged", "can.md 3.1")
    phase_switching: bool = parameter(
        False, "", "go down to one phase where the power is too little for three", "can.md 3.4: own feature; needs contacts of their own"
    )
    phase_switch_hold: float = parameter(
        60.0, "s", "how long another number of phases must be the better one", "own choice: clouds and cooking", 5.0, 3600.0
    )
    phase_switch_pause: float = parameter(
        10.0, "s", "pause without offer and current between two numbers of phases", "EVerest: switch_3ph1ph_delay_s", 5.0, 60.0
    )
    offer_interval: float = parameter(
        5.2,
        "s",
        "least time between two duty cycles",
        "can.md 3.3: at least 5 s at the vehicle; 0.2 s are the command's way there",
        5.0,
        60.0,
    )
    ac_stop_timeout: float = parameter(
        6.0, "s", "longest wait for the vehicle's state B once nothing is offered; then the contactor opens", "can.md 3.3", 3.0, 10.0
    )
    simplified_current: float = parameter(
        10.0,
        "A",
        "highest current for a vehicle that never shows state B (simplified pilot); below 6 A none is served",
        "can.md 3.3",
        0.0,
        10.0,
    )
    wake_up_after: float = parameter(
        30.0, "s", "time in state B with an offer after which the vehicle is woken", "can.md 3.3: legacy wake-up", 10.0, 600.0
    )
    wake_up_attempts: int = parameter(1, "", "how often a session wakes the vehicle", "can.md 3.3: legacy wake-up", 0, 10)
    unusable_hold: float = parameter(
        3.0,
        "s",
        "how long cable or vehicle must be unusable to end the session",
        "can.md 3.5: 3 s for state D without ventilation",
        0.5,
        10.0,
    )
    residual_current_test: bool = parameter(True, "", "the residual current device tests itself before each session", "can.md 3.4")

    # Ages of inputs.
    vehicle_control_age: float = parameter(0.4, "s", "oldest frames that are followed", "can.md 2.7: 0.3 s, and 0.1 s to report", 0.2, 1.0)
    vehicle_loss_age: float = parameter(1.0, "s", "age at which the vehicle counts as lost", "can.md 2.4", 0.5, 2.0)
    power_age: float = parameter(0.5, "s", "age at which the modules count as lost", "can.md 1.5: 500 ms", 0.2, 2.0)
    io_age: float = parameter(0.5, "s", "age at which the I/O board counts as lost", "own choice: ten frames", 0.2, 2.0)
    io_late_age: float = parameter(
        0.15,
        "s",
        "age at which the I/O board may be why the vehicle stops",
        "own choice: three frames; the board opens its outputs after 0.2 s (config/can/io_board.dbc)",
        0.1,
        0.5,
    )
    safety_age: float = parameter(0.5, "s", "age at which the permit counts as lost", "can_bridge cuts after 0.2 s by itself", 0.2, 2.0)
    idle_age: float = parameter(2.0, "s", "the same three without a session", "own choice: nothing is energised", 0.5, 10.0)
