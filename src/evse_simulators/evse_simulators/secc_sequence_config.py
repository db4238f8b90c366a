"""What a builder may change about a simulated charge controller and its vehicle: times and limits, each with unit, bounds and source."""

from dataclasses import dataclass

from evse_core.parameter import parameter
from evse_core.rating import MOST_CURRENT


@dataclass(frozen=True)
class SeccSequenceConfig:
    """What the controller is set to and what its vehicle wants."""

    use_sequence_flags: bool = parameter(
        True, "", "waits for Start_Charge_Authorisation before it speaks with a vehicle", "can.md 1.4 row 1"
    )
    external_authorisation: bool = parameter(
        True, "", "asks the station whether the driver is authorised (State 11)", "can.md 1.4 row 4: not with CHAdeMO"
    )
    boot_time: float = parameter(2.0, "s", "State 0 after power-up", "about 15 s: can.md 1.4 row 0; shorter here", 0.0, 60.0)
    negotiation_time: float = parameter(
        2.0, "s", "SLAC, TLS and protocol with the vehicle", "up to tens of seconds: can.md 1.4 row 3", 0.0, 60.0
    )
    lock_time: float = parameter(0.5, "s", "lock in the vehicle's inlet", "usual for lock motors", 0.0, 10.0)
    contactor_delay: float = parameter(
        0.5, "s", "precharged, or with CHAdeMO discharged, to the vehicle's closed contactor", "usual", 0.05, 10.0
    )
    request_delay: float = parameter(1.0, "s", "closed contactor to the first request", "usual", 0.0, 3600.0)
    request_period: float = parameter(0.1, "s", "pace of requests; the vehicle's, up to 60 s", "can.md 1.4 row 12", 0.05, 60.0)
    step_limit: float = parameter(30.0, "s", "patience with the station in each step", "can.md 1.4 row 8: 30 s", 1.0, 600.0)
    welding_time: float = parameter(1.0, "s", "welding detection", "usual", 0.0, 10.0)
    test_voltage: float = parameter(500.0, "V", "test voltage of the insulation test", "CCS: highest of both sides", 50.0, 1500.0)
    target_voltage: float = parameter(410.0, "V", "voltage ceiling while charging", "96 cells at 4.27 V", 50.0, 1500.0)
    max_voltage: float = parameter(435.0, "V", "highest battery voltage", "96 cells at 4.53 V", 50.0, 1500.0)
    min_voltage: float = parameter(250.0, "V", "lowest battery voltage", "96 cells at 2.6 V", 0.0, 1500.0)
    max_current: float = parameter(110.0, "A", "largest current", "compact car with 45 kW", 1.0, MOST_CURRENT)
    max_discharge_current: float = parameter(
        0.0, "A", "largest current that the vehicle gives; 0: none", "most vehicles give none", 0.0, MOST_CURRENT
    )
    range_mode: bool = parameter(False, "", "asks for a range (ISO 15118-20 dynamic mode)", "can.md 1.4 row 12r")
    target_soc_percent: float = parameter(80.0, "%", "state of charge at which the vehicle stops", "usual at fast chargers", 1.0, 100.0)
