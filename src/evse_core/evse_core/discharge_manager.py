"""Shares what the site asks back among the vehicles that can give it, never more than asked for, not even while shares change.

Theory of operation. A request for all vehicles together comes from outside (service set_discharge), holds for a while and then runs out. Its power, at most
`export_limit`, is shared equally among the EVSEs whose vehicles can give power, what one cannot give being asked of the others. A share that falls takes
effect at once; one that rises waits until what others may still be giving leaves room: what an EVSE was told within `release_time`, and one that is not heard
of, within the time for which its budget holds. All powers here are sizes, from the vehicles to the site [W].
"""

from collections.abc import Mapping
from math import floor, inf, isfinite

from evse_core.energy_manager import Demand, ManagerConfig, fill


class DischargeManager:
    """Keeps the request and what every EVSE was told. Call step() whenever budgets are made."""

    def __init__(self, config: ManagerConfig, evses: tuple[int, ...]) -> None:
        self._config = config
        self._asked, self._until = 0.0, -inf
        self._told: dict[int, list[tuple[float, float]]] = {evse: [(-inf, 0.0)] for evse in evses}

    def ask(self, power: float, valid_for: float, now: float) -> str:
        """Take a request [W] for some time [s]; the last word counts. Return why it is refused, "" where it is taken."""
        limit, longest = self._config.export_limit, self._config.longest_discharge
        if not (isfinite(power) and power >= 0.0):
            return f"power: {power} W is no size; 0 ends a discharge"
        if power == 0.0:
            self._asked, self._until = 0.0, -inf
            return ""
        if not 0.0 < valid_for <= longest:
            return f"valid_for: {valid_for} s is outside 0 to {longest:g} s (energy_manager.longest_discharge)"
        if power > limit:
            return f"power: {power:.0f} W, the site may be given {limit:.0f} W (energy_manager.export_limit)"
        self._asked, self._until = power, now + valid_for
        return ""

    def asked(self, now: float) -> float:
        """Return the power that is asked for now [W]."""
        return self._asked if now < self._until else 0.0

    def step(self, demands: Mapping[int, Demand], now: float) -> dict[int, float]:
        """Return what each EVSE is asked for [W], in whole W, at a time [s]."""
        total = self.asked(now)
        targets = {
            evse: float(floor(share)) for evse, share in fill(total, {evse: _offer(demands.get(evse)) for evse in self._told}).items()
        }
        held = {evse: self._held(evse, demands.get(evse, Demand()), now) for evse in self._told}
        room = max(total - sum(held.values()), 0.0)
        granted = fill(room, {evse: target - held[evse] for evse, target in targets.items() if target > held[evse]})
        shares = {evse: float(floor(min(target, held[evse] + granted.get(evse, 0.0)))) for evse, target in targets.items()}
        for evse, share in shares.items():
            if self._told[evse][-1][1] != share:
                self._told[evse].append((now, share))
        return shares

    def _held(self, evse: int, demand: Demand, now: float) -> float:
        """Return what a vehicle may be giving: the most that its EVSE was told lately."""
        told, lately = self._told[evse], self._config.release_time if demand.fresh else self._config.valid_for
        while len(told) > 1 and now - told[1][0] >= lately:
            told.pop(0)
        return max(share for _, share in told)


def _offer(demand: Demand | None) -> float:
    """Return what an EVSE can be asked for [W]; one that is not heard of, or has no session, is asked for nothing."""
    known = demand is not None and demand.fresh and demand.active and demand.discharge > 0.0
    return demand.discharge if known and demand is not None else 0.0
