"""Shares the site's power among its EVSEs, never more than there is, not even for the moment in which shares change.

Theory of operation. Each step finds the target of every EVSE: equal shares of the site limit for those with a session, what one cannot use handed on to the
others (water filling), the rest to whoever may come next. A target below what an EVSE has takes effect at once. A target above it waits: an EVSE that was
told to take less is counted with what it had for `release_time`, and with what the meter sees while that is more, and only what is then left is given away.
An EVSE that is not heard of keeps what it had, because it may be using it. The CSMS may limit each EVSE and all together. What vehicles give
(discharge_manager.py) makes nobody's share larger: it may end at any moment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import floor, isfinite, isnan, nan

from evse_core.parameter import parameter


@dataclass(frozen=True, slots=True)
class ManagerConfig:
    """The site and how its power is shared."""

    site_limit: float = parameter(
        100e3, "W", "Highest power of all EVSEs together", "own: an example; the site's connection decides", 0.0, 1e8
    )
    export_limit: float = parameter(
        0.0, "W", "Highest power that all vehicles together may give to the site; 0: none", "own: nobody feeds back unasked", 0.0, 1e8
    )
    longest_discharge: float = parameter(
        3600.0,
        "s",
        "Longest time for which set_discharge may ask",
        "own: who wants more asks again, who is gone asks no more",
        1.0,
        86400.0,
    )
    evse_limit: float = parameter(1e6, "W", "Highest power of one EVSE", "own: no limit; each EVSE keeps its own rating", 0.0, 1e8)
    min_power: float = parameter(
        2500.0,
        "W",
        "Share below which charging makes no sense: who came last waits",
        "own: some vehicles ask for 6 A at least, at 400 V",
        0.0,
        1e6,
    )
    headroom: float = parameter(
        2000.0, "W", "Share beyond what a vehicle could take now, for it to rise into", "own: 20 A/s at 400 V are 8 kW/s", 0.0, 1e5
    )
    release_time: float = parameter(
        1.0, "s", "Time until an EVSE has come down to a lower share", "own: it falls within 0.5 s (can.md 2.3 E1)", 0.2, 60.0
    )
    demand_timeout: float = parameter(
        3.0, "s", "An EVSE not heard of for longer keeps its share", "own: session_state comes at 10 Hz, a node restarts in 2 s", 0.5, 60.0
    )
    demand_hold: float = parameter(
        20.0,
        "s",
        "Time for which a vehicle must want less before others get it",
        "own: a ramp to 125 A takes 6 s; a pause of 4.7 s was seen (can.md 2.7)",
        0.0,
        600.0,
    )
    period: float = parameter(1.0, "s", "Period of power_budget", "msg/PowerBudget.msg: 1 Hz", 0.1, 10.0)
    valid_for: float = parameter(5.0, "s", "How long a budget holds", "own: five periods", 1.0, 300.0)


@dataclass(frozen=True, slots=True)
class Demand:
    """What is known of one EVSE. Powers in W."""

    # It was heard of lately; without it the rest is not to be trusted.
    fresh: bool = False
    # A session is open, since a monotonic time [s].
    active: bool = False
    since: float = 0.0
    # Highest power that the vehicle could take now; NaN where unknown.
    wanted: float = nan
    # Limit of the CSMS; NaN without one.
    limit: float = nan
    # Power by the meter; NaN where unknown.
    measured: float = nan
    # Power that could be taken from the vehicle now; 0 for none, NaN where it takes none or nobody knows.
    discharge: float = nan


def fill(total: float, wants: Mapping[int, float]) -> dict[int, float]:
    """Share a total equally, nobody more than he wants, what one does not want going to the others."""
    shares: dict[int, float] = {}
    for index, (key, want) in enumerate(sorted(wants.items(), key=lambda item: item[1])):
        shares[key] = max(min(want, total / (len(wants) - index)), 0.0)
        total -= shares[key]
    return shares


def allocate(config: ManagerConfig, demands: Mapping[int, Demand], had: Mapping[int, float]) -> dict[int, float]:
    """Return the target [W] of each EVSE; had is what each had so far. Their sum is at most the site limit."""
    caps = {evse: _cap(config, demand) for evse, demand in demands.items()}
    reserved = {evse: max(had.get(evse, 0.0), _known(demand.measured)) for evse, demand in demands.items() if not demand.fresh}
    shares = fill(config.site_limit, reserved)
    left = config.site_limit - sum(shares.values())
    active = sorted(
        (evse for evse, demand in demands.items() if demand.fresh and demand.active), key=lambda evse: (demands[evse].since, evse)
    )
    served = _served(config, left, {evse: _want(config, demands[evse], caps[evse]) for evse in active})
    shares |= served
    left -= sum(served.values())
    idle = [evse for evse, demand in demands.items() if demand.fresh and not demand.active]
    more = fill(left, {evse: caps[evse] - served.get(evse, 0.0) for evse in (*served, *idle)})
    return {evse: shares.get(evse, 0.0) + more.get(evse, 0.0) for evse in demands}


def _served(config: ManagerConfig, total: float, wants: Mapping[int, float]) -> dict[int, float]:
    """Share among those who came first, as many as get enough to charge with."""
    order = list(wants)
    for count in range(len(order), 0, -1):
        shares = fill(total, {evse: wants[evse] for evse in order[:count]})
        if count == 1 or all(share >= min(config.min_power, wants[evse]) for evse, share in shares.items()):
            return shares
    return {}


def _cap(config: ManagerConfig, demand: Demand) -> float:
    """Return the most that an EVSE may get [W]; a limit that is no number at all cannot be told from none."""
    limit = config.evse_limit if isnan(demand.limit) else min(config.evse_limit, demand.limit)
    return max(limit, 0.0)


def _want(config: ManagerConfig, demand: Demand, cap: float) -> float:
    """Return what an EVSE with a session wants [W]: all it may have while nobody knows."""
    return min(max(demand.wanted, 0.0) + config.headroom, cap) if isfinite(demand.wanted) else cap


def _known(power: float) -> float:
    return max(power, 0.0) if isfinite(power) else 0.0


class EnergyManager:
    """Keeps what every EVSE was told. Call step() every period and when a demand changes."""

    def __init__(self, config: ManagerConfig, evses: tuple[int, ...]) -> None:
        self._config = config
        self._evses = evses
        self._site = config
        self._told: dict[int, list[tuple[float, float]]] = {}
        self._wanted: dict[int, list[tuple[float, float]]] = {}

    def step(self, demands: Mapping[int, Demand], now: float, limit: float = nan) -> dict[int, float]:
        """Return the budget of each EVSE [W], in whole W, at a time [s]; limit is that of the CSMS for all together [W], NaN without one."""
        self._site = self._config if isnan(limit) else replace(self._config, site_limit=max(min(self._config.site_limit, limit), 0.0))
        known = {evse: self._smoothed(evse, demands.get(evse, Demand()), now) for evse in self._evses}
        had = {evse: self._last(evse) for evse in self._evses}
        targets = {evse: float(floor(target)) for evse, target in allocate(self._site, known, had).items()}
        shares = self._raised(targets, known, now) if self._told else {evse: min(target, had[evse]) for evse, target in targets.items()}
        for evse, share in shares.items():
            self._remember(evse, share, now)
        return shares

    def _smoothed(self, evse: int, demand: Demand, now: float) -> Demand:
        """Return the demand with the most that was wanted within the hold time, unknown where that was."""
        if not demand.fresh:
            return demand
        if not demand.active:
            self._wanted.pop(evse, None)
            return demand
        recent = [item for item in self._wanted.get(evse, []) if now - item[0] < self._config.demand_hold]
        self._wanted[evse] = [*recent, (now, demand.wanted)]
        wants = [wanted for _, wanted in self._wanted[evse]]
        return replace(demand, wanted=nan if any(isnan(wanted) for wanted in wants) else max(wants))

    def _last(self, evse: int) -> float:
        """Return what an EVSE was told last; at the start an equal share, as each may still hold what an earlier manager told it."""
        told = self._told.get(evse)
        return told[-1][1] if told else float(floor(min(self._site.site_limit / len(self._evses), self._config.evse_limit)))

    def _held(self, evse: int, demand: Demand) -> float:
        """Return what an EVSE may be using: the most that it was told within the release time, or what is measured."""
        return max(_known(demand.measured), *(share for _, share in self._told[evse]))

    def _raised(self, targets: Mapping[int, float], demands: Mapping[int, Demand], now: float) -> dict[int, float]:
        """Return the targets, those above what an EVSE may be using only as far as that leaves room."""
        for evse in self._evses:
            self._forget(evse, now)
        held = {evse: self._held(evse, demands[evse]) for evse in self._evses}
        room = max(self._site.site_limit - sum(held.values()), 0.0)
        granted = fill(room, {evse: targets[evse] - held[evse] for evse in self._evses if targets[evse] > held[evse]})
        return {evse: float(floor(min(targets[evse], held[evse] + granted.get(evse, 0.0)))) for evse in self._evses}

    def _remember(self, evse: int, share: float, now: float) -> None:
        told = self._told.setdefault(evse, [])
        if not told or told[-1][1] != share:
            told.append((now, share))

    def _forget(self, evse: int, now: float) -> None:
        """Drop what was replaced longer than the release time ago."""
        told = self._told[evse]
        while len(told) > 1 and now - told[1][0] >= self._config.release_time:
            told.pop(0)
