"""What a campaign sees of a session, tick by tick: the truth of the models, and what a plan does that no rule can mend. Judged by campaign_invariants.py."""

from dataclasses import dataclass
from math import inf

from evse_core.types import ChargeRecord, ChargeState
from evse_simulators.campaign_world import Sent


@dataclass(slots=True)
class Observation:
    """The truth after a tick: V, A, Wh; ages and times in s. `faults` are the simulated ones that hold, `emergency` says that something is being cut."""

    now: float = 0.0
    module_voltage: float = 0.0
    connector_voltage: float = 0.0
    current: float = 0.0
    plugged: bool = False
    locked: bool = False
    contactor_closed: bool = False
    vehicle_contactor_closed: bool = False
    emergency: bool = False
    sent: tuple[Sent, ...] = ()
    max_voltage: float = 500.0
    request: float = 0.0
    incompatible: bool = False
    state: ChargeState = ChargeState.UNKNOWN
    register_wh: float = 0.0
    records: tuple[ChargeRecord, ...] = ()
    faults: frozenset[str] = frozenset()
    asked_power: bool = False
    # Current from the vehicle that site, vehicle and station permit [A], its true charge, and what must stay in it [%]; register of export [Wh].
    permitted_discharge: float = 0.0
    soc_percent: float = 100.0
    min_soc_percent: float = 0.0
    export_register_wh: float = 0.0


@dataclass(slots=True)
class Excuses:
    """What a plan does that no rule can mend."""

    # Frames to the station are falsified or kept from it, so that it cannot know what the vehicle wants or what the modules give.
    blind: bool = False
    # Something besides the simulated faults is disturbed.
    disturbed: bool = False
    # Wrong bits in what the vehicle says: it may pass for another vehicle.
    forged_vehicle: bool = False
    # What the modules measure is falsified or stands still: current that never flowed is in the register.
    false_readings: bool = False
    # The driver stops in the vehicle, which then ramps down by itself for so long and judges no sensors meanwhile. [s]
    vehicle_ramp: float = 0.0
    # The station is kept from knowing what the site has, and takes its own safe value.
    other_budget: bool = False
    # What the station tells the I/O board comes late, twice, cut short or out of order.
    forged_commands: bool = False
    # How much longer than with hops of one tick a word takes from the part that breaks to the one that must react. [s]
    slow: float = 0.0


class Lasting:
    """Says for how long a condition has held without a break. [s]"""

    def __init__(self) -> None:
        self._since = inf

    def time(self, condition: bool, now: float) -> float:
        """Take the condition as it is now; return how long it has held."""
        if not condition:
            self._since = inf
            return 0.0
        self._since = min(self._since, now)
        return now - self._since
