"""What a CHAdeMO vehicle's charge controller (vehicle_sequence.py) sees in each step, and what it does: plain values."""

from dataclasses import dataclass, field
from math import inf


@dataclass(slots=True)
class Charger:
    """What the charger's frames say: V, A; ages in s, infinite before the first frame."""

    age: float = inf
    protocol_number: int = 0
    welding_detection: bool = False
    available_voltage: float = 0.0
    available_current: float = 0.0
    threshold_voltage: float = 0.0
    present_voltage: float = 0.0
    charging: bool = False
    malfunction: bool = False
    locked: bool = False
    incompatible: bool = False
    system_malfunction: bool = False
    stop_control: bool = False
    dynamic_control: bool = False
    discharges: bool = False
    discharge_frames: bool = False
    discharge_current: float = 0.0


@dataclass(slots=True)
class Seen:
    """All that the vehicle's controller measures and is told. `acceptable_current` is the battery's, `monitor_voltage` that of the battery monitor."""

    sequence_1: bool = False
    sequence_2: bool = False
    charger: Charger = field(default_factory=Charger)
    contactor_closed: bool = False
    inlet_voltage: float = 0.0
    current: float = 0.0
    battery_voltage: float = 0.0
    monitor_voltage: float = 0.0
    temperature_fault: bool = False
    system_fault: bool = False
    shift_not_parked: bool = False
    soc_percent: float = 0.0
    gives: bool = False
    acceptable_current: float = 0.0
    stop_pressed: bool = False
    target_voltage: float = 0.0
    no_request: bool = False


@dataclass(slots=True)
class Wish:
    """What the vehicle's controller does: frames awake, permission flag and k, contactor coil, request [A], flags and faults of 0x102."""

    awake: bool = False
    permits: bool = False
    coil: bool = False
    request: float = 0.0
    contactor_open: bool = False
    normal_stop: bool = False
    faults: frozenset[str] = frozenset()
    time_known: bool = False
