"""What a CHAdeMO vehicle's charge controller (vehicle_sequence.py) is like."""

from dataclasses import dataclass

from evse_core.parameter import parameter

# Contactor flag 102.5.3 exists from this protocol generation on, on both sides (can.md 2.1).
FIRST_WITH_CONTACTOR_FLAG = 2


@dataclass(frozen=True)
class SequenceConfig:
    """What the vehicle's charge controller is like."""

    protocol_number: int = parameter(2, "", "protocol generation: 1 = 0.9, 2 = 1.0 to 1.2, 3 = 2.0", "can.md 2.1", 0, 3)
    max_voltage: float = parameter(420.0, "V", "voltage that charging must never exceed (100.4-5)", "can.md 2.1", 50.0, 1500.0)
    target_voltage: float = parameter(410.0, "V", "voltage ceiling wanted at the battery (102.1-2)", "Leaf in the logs", 50.0, 1500.0)
    min_voltage: float = parameter(250.0, "V", "lowest battery voltage (100.2-3 from 1.0 on)", "96 cells at 2.6 V", 0.0, 1500.0)
    max_current: float = parameter(110.0, "A", "largest current", "compact car with 45 kW", 1.0, 254.0)
    min_current: float = parameter(1.0, "A", "a smaller current that the battery can take ends charging", "usual", 0.0, 50.0)
    max_discharge_current: float = parameter(
        0.0, "A", "largest current that the vehicle gives (200.0); 0: none, no frames of V2X", "most cars give none", 0.0, 254.0
    )
    target_soc_percent: float = parameter(80.0, "%", "state of charge at which the vehicle stops", "usual at fast chargers", 1.0, 100.0)
    extended_functions: bool = parameter(True, "", "sends 0x110 with dynamic control (protocol 1.1 and later)", "can.md 2.1")
    think_time: float = parameter(
        3.0, "s", "from the first frame to the computed charging time", "3.4 and 3.9 s to permission: can.md 2.3 S4", 0.0, 60.0
    )
    permission_delay: float = parameter(0.5, "s", "from the computed time to flag and switch k", "can.md 2.3 S4", 0.0, 10.0)
    contactor_delay: float = parameter(
        1.0, "s", "from d2 and a safe inlet to the closed contactor", "1.5 s seen: can.md 2.3 S10", 0.05, 10.0
    )
    request_delay: float = parameter(
        1.7, "s", "from the closed contactor to the first request", "1.70 s in both Leaf logs: can.md 2.3 S11", 0.0, 10.0
    )
    start_limit: float = parameter(
        1.0, "s", "patience for 109.5.0 after the first request", "0.5 s demanded, some wait 0.4 s: can.md 2.3 S12", 0.2, 10.0
    )
