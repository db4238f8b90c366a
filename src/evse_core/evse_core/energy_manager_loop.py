"""What energy_manager does with what comes: it keeps what EVSEs say, shares anew, and says what is to be published. See trace.py."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

from evse_core.discharge_manager import DischargeManager
from evse_core.energy_manager import Demand, EnergyManager, ManagerConfig
from evse_core.sample import Sample, fresh
from evse_core.trace import NOTHING, STEP, Outputs
from evse_core.types import ChargingLimit, MeterReading, PowerBudget, SessionState

METER, SESSION, LIMIT, BUDGET = "meter_reading", "session_state", "charging_limit", "power_budget"
# Limit of the CSMS for all EVSEs together.
STATION_LIMIT = "/charging_limit"
# Call: power [W] that the site asks back, and for how long [s]. What is for the node: why that is refused, "" where it is taken.
SET_DISCHARGE, REFUSED = "set_discharge()", "refused()"


@dataclass(slots=True)
class EvseInputs:
    """What one EVSE says, and when its session began."""

    session: Sample[SessionState] | None = None
    meter: Sample[MeterReading] | None = None
    limit: ChargingLimit | None = None
    since: float | None = None


def topic(number: int, name: str) -> str:
    """Return the name of a topic of an EVSE, seen from the station."""
    return f"/evse_{number}/{name}"


class ManagerLoop:
    """The managers of charge and discharge with what they know of the EVSEs."""

    def __init__(self, config: ManagerConfig, numbers: tuple[int, ...]) -> None:
        self._config = config
        self._manager, self._discharge = EnergyManager(config, numbers), DischargeManager(config, numbers)
        self._evses = {number: EvseInputs() for number in numbers}
        self._told: dict[int, PowerBudget] = {}
        self._limit = ChargingLimit()
        self._inputs = {topic(number, name): (number, name) for number in numbers for name in (METER, SESSION, LIMIT)}
        self.names: tuple[str, ...] = (STEP, SET_DISCHARGE, STATION_LIMIT, *self._inputs)

    @property
    def told(self) -> Mapping[int, PowerBudget]:
        """What each EVSE was told since the last period began."""
        return self._told

    def after_restore(self) -> None:
        """Understand recordings of a time when what was told was kept as a pair of power [W] and asked discharge [W]."""
        valid, told = self._config.valid_for, dict[int, Any](self._told)
        pairs = {number: item for number, item in told.items() if isinstance(item, tuple)}
        self._told |= {number: PowerBudget(power=pair[0], valid_for=valid, discharge_power=pair[1]) for number, pair in pairs.items()}

    def lost(self, now: float) -> list[int]:
        """Return the EVSEs that are not heard of."""
        return [number for number in self._evses if not self._demand(number, now).fresh]

    def on(self, name: str, given: object, now: float, stamp: float) -> Outputs:
        """Take a message or a call; see trace.Loop. Everybody is told every period; between periods who gets something else."""
        if name == STEP:
            self._told.clear()
            return self._share(now)
        if name == SET_DISCHARGE:
            power, valid_for = json.loads(str(given))
            refused = self._discharge.ask(power, valid_for, now)
            return [(REFUSED, refused), *self._share(now)]
        if name == STATION_LIMIT and isinstance(given, ChargingLimit):
            self._limit = given
            return self._share(now)
        return self._take(*self._inputs[name], given, now)

    def _take(self, number: int, name: str, value: object, now: float) -> Outputs:
        """Share anew at once when a session begins or ends, and when the CSMS limits an EVSE."""
        evse = self._evses[number]
        if isinstance(value, MeterReading):
            evse.meter = Sample(value, now)
        elif isinstance(value, ChargingLimit):
            evse.limit = value
            return self._share(now)
        elif isinstance(value, SessionState):
            evse.session = Sample(value, now)
            if value.session_active is (evse.since is None):
                evse.since = now if value.session_active else None
                return self._share(now)
        return NOTHING

    def _share(self, now: float) -> Outputs:
        """Put out every budget that has changed, or all where nothing counts as told."""
        demands = {number: self._demand(number, now) for number in self._evses}
        shares, asked = self._manager.step(demands, now, self._limit.power), self._discharge.step(demands, now)
        found = []
        # Lower ones first, so that who gets more never hears of it before who gets less.
        for number, power in sorted(shares.items(), key=lambda item: item[1] - self._power(item[0])):
            limit = self._evses[number].limit
            current = limit.current if limit is not None else nan
            budget = PowerBudget(power=power, valid_for=self._config.valid_for, discharge_power=asked[number], current=current)
            if repr(self._told.get(number)) != repr(budget):  # NaN differs from NaN.
                self._told[number] = budget
                found.append((topic(number, BUDGET), budget))
        return found

    def _power(self, number: int) -> float:
        return self._told[number].power if number in self._told else 0.0

    def _demand(self, number: int, now: float) -> Demand:
        evse = self._evses[number]
        session = fresh(evse.session, now, self._config.demand_timeout)
        meter = fresh(evse.meter, now, self._config.demand_timeout)
        return Demand(
            fresh=session is not None,
            active=session is not None and session.session_active,
            since=evse.since if evse.since is not None else now,
            wanted=session.power_wanted if session is not None else nan,
            limit=evse.limit.power if evse.limit is not None else nan,
            measured=meter.power if meter is not None else nan,
            discharge=session.discharge_available if session is not None else nan,
        )
