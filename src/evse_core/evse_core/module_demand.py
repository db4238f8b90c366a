"""How much current an EVSE wants from its cabinet: from what its sequencer, its vehicle and its modules say to a Need.

Theory of operation. What a vehicle would take is known only while it is offered more than it asks for. One that asks for all that it is offered may want
more: it is given up to the rating of its outlet, unless it was seen in this session to want less (for `demand_memory`). A wish rises at once and falls
after `demand_hold`, so that modules do not follow every dip. Before a vehicle has asked for anything, all that the outlet may carry counts as wanted.
Voltage leaps from the cable check to the vehicle's contactor, and after the end: there the outlet is not settled. Who is not heard of keeps what he has.
"""

from collections import deque
from dataclasses import dataclass, field
from math import inf, isfinite, isnan, nan

from evse_core.module_allocation import Need
from evse_core.parameter import parameter
from evse_core.sample import Sample, fresh
from evse_core.types import ChargeState, PowerBudget, PowerReport, SessionState, VehicleReport

# States in which nothing is asked of the modules and nobody is on their way to it.
_IDLE = frozenset(
    {
        ChargeState.AVAILABLE,
        ChargeState.UNAVAILABLE,
        ChargeState.PREPARING,
        ChargeState.AUTHORIZING,
        ChargeState.FINISHED,
        ChargeState.FAULTED,
    }
)
# A session that begins: the output is dead, modules may come and go.
_BEGINNING = frozenset({ChargeState.AUTHORIZED, ChargeState.WAITING_FOR_VEHICLE, ChargeState.WAITING_FOR_PERMISSION, ChargeState.LOCKING})
# Test, precharge, connection: the output's voltage leaps, and it is charged by what is there.
_TESTING = frozenset(
    {
        ChargeState.CABLE_CHECK,
        ChargeState.LOWERING_OUTPUT,
        ChargeState.PRECHARGE,
        ChargeState.WAITING_FOR_CONTACTOR,
        ChargeState.WAITING_FOR_REQUEST,
    }
)
# Difference between request and offer up to which a vehicle takes all that it is offered: a step of the frame, rounded down, and one more. [A]
AT_THE_LIMIT = 2.0
# Lowest voltage for turning power into current: below S10's 50 V there is no battery (../shared/reference/can.md 2.3). [V]
LOWEST_VOLTAGE = 50.0


@dataclass(frozen=True)
class DemandConfig:
    """Times and limits of what counts as wanted."""

    least_current: float = parameter(
        10.0,
        "A",
        "current below which an EVSE that charges must not fall where it can be avoided",
        "own: vehicles ask for 5 A at least",
        1.0,
        100.0,
    )
    demand_hold: float = parameter(
        20.0, "s", "time for which a vehicle must want less before modules are free for others", "energy_manager.demand_hold", 0.0, 600.0
    )
    demand_memory: float = parameter(
        120.0,
        "s",
        "how long a vehicle that took less than it was offered is believed to want no more",
        "own: wishes fall while charging",
        0.0,
        3600.0,
    )
    session_timeout: float = parameter(
        1.0, "s", "an EVSE not heard of for longer keeps its modules", "own: ten session_state of 100 ms", 0.3, 10.0
    )


@dataclass(frozen=True, slots=True)
class OutletRating:
    """What an outlet may carry at most."""

    outlet: int
    max_current: float
    max_power: float
    max_voltage: float


@dataclass(frozen=True, slots=True)
class OutletFacts:
    """What the nodes of an EVSE say, each None before it has."""

    session: Sample[SessionState] | None = None
    vehicle: Sample[VehicleReport] | None = None
    power: Sample[PowerReport] | None = None
    budget: Sample[PowerBudget] | None = None


@dataclass(slots=True)
class DemandTracker:
    """Remembers of one outlet what its vehicle was seen to want."""

    config: DemandConfig
    rating: OutletRating
    _session: str = ""
    _known: float = nan
    _known_at: float = -inf
    _wishes: deque[tuple[float, float]] = field(default_factory=deque)
    _last: Need | None = None

    def step(self, facts: OutletFacts, voltage: float, offered: float, now: float) -> Need:
        """Return the need now: voltage [V] of the outlet, NaN where it is not known, and the current [A] that its modules offer."""
        session = fresh(facts.session, now, self.config.session_timeout)
        if session is None:
            last = self._last or Need(self.rating.outlet)
            return Need(last.outlet, last.current, last.least, last.voltage or self.rating.max_voltage, last.charging, settled=False)
        if session.session_id != self._session:
            self._session, self._known = session.session_id, nan
            self._wishes.clear()
        self._last = self._need(session, facts, voltage, offered, now)
        return self._last

    def _need(self, session: SessionState, facts: OutletFacts, voltage: float, offered: float, now: float) -> Need:
        outlet, state = self.rating.outlet, session.state
        if state in _IDLE:
            return Need(outlet)
        if state in _BEGINNING or state in _TESTING:
            expected = self._expected_voltage(facts, now)
            wanted = self._most(facts, expected, now)
            return Need(outlet, wanted, min(self.config.least_current, wanted), expected, settled=state in _BEGINNING)
        if state is not ChargeState.CHARGING or not voltage > LOWEST_VOLTAGE:
            # It ends, or nobody knows how: no module comes or goes before it is over.
            return Need(outlet, voltage=self.rating.max_voltage, settled=False)
        wanted = self._smoothed(self._wish(session, facts, voltage, offered, now), now)
        return Need(outlet, wanted, min(self.config.least_current, wanted), voltage, charging=True)

    def _expected_voltage(self, facts: OutletFacts, now: float) -> float:
        """Return the voltage [V] that is to come: the vehicle's target, or the highest that its battery or the outlet bears."""
        vehicle = fresh(facts.vehicle, now, self.config.session_timeout)
        named = (vehicle.target_voltage, vehicle.max_voltage) if vehicle is not None else ()
        found = next((value for value in named if value > LOWEST_VOLTAGE), self.rating.max_voltage)
        return min(found, self.rating.max_voltage)

    def _most(self, facts: OutletFacts, voltage: float, now: float) -> float:
        """Return the most current [A] that outlet, site and vehicle allow."""
        power = self.rating.max_power
        budget = facts.budget
        if budget is not None and budget.age(now) <= budget.value.valid_for and budget.value.power >= 0.0:
            power = min(power, budget.value.power)
        vehicle = fresh(facts.vehicle, now, self.config.session_timeout)
        named = vehicle.max_current if vehicle is not None and vehicle.max_current > 0.0 else inf
        return min(self.rating.max_current, power / max(voltage, LOWEST_VOLTAGE), named)

    def _wish(self, session: SessionState, facts: OutletFacts, voltage: float, offered: float, now: float) -> float:
        """Return the current [A] that the vehicle would take, as far as it shows."""
        most = self._most(facts, voltage, now)
        asked = session.power_wanted / voltage if not isnan(session.power_wanted) else most
        if asked < offered - AT_THE_LIMIT and not session.limited:
            self._known, self._known_at = asked, now
            return min(asked, most)
        believed = isfinite(self._known) and now - self._known_at <= self.config.demand_memory and asked <= self._known + AT_THE_LIMIT
        return min(max(self._known, asked), most) if believed else most

    def _smoothed(self, wish: float, now: float) -> float:
        """Return the highest wish [A] of the hold time: of the wishes kept, oldest first, each is higher than all after it."""
        while self._wishes and self._wishes[-1][1] <= wish:
            self._wishes.pop()
        self._wishes.append((now, wish))
        while now - self._wishes[0][0] > self.config.demand_hold:
            self._wishes.popleft()
        return self._wishes[0][1]
