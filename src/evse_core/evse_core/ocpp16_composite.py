"""What all charging profiles together allow: the limit of an EVSE at a time, and composite schedules (1.6 sections 3.13.2 to 3.13.7).

Of each purpose the highest stack level that has a period now counts. The TxDefaultProfiles of a connector come before those of connector 0, which count where
the connector's own have no period: a limit is safer than none. A TxProfile comes before any TxDefaultProfile. The result is the least of that and of
the ChargePointMaxProfile; with neither the rating holds, so that a composite schedule has no gaps.

A: is per phase, at most on the phases of the outlet; an outlet of direct current counts as three phases of the mains, efficiency left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from evse_core.ocpp16_charging_profiles import DEFAULT_PHASES, NEVER, Period, Profile, Purpose, Unit, period_at
from evse_core.ocpp16_messages import Payload
from evse_core.ocpp16_time import timestamp

# What the mains may be above its nominal voltage (EN 50160): where a limit in A holds by itself, its power must not be the stricter one. [1]
MAINS_TOLERANCE: Final = 1.1
# Longest composite schedule, in periods, in borders of profiles that are looked at, and in time; one that would be longer ends earlier and says so in its
# duration. Own choice: the event loop waits for the answer. [periods], [borders], [s]
MAX_PERIODS: Final = 1000
MAX_BORDERS: Final = 2000
MAX_DURATION: Final = 366 * 86400


@dataclass(frozen=True, slots=True)
class Outlet:
    """What is known of a connector: rating [W], phases that can be used, 0 for direct current, and the mains' nominal voltage to neutral [V]."""

    power: float = 1e6
    phases: int = 0
    voltage: float = 230.0

    def used_phases(self, asked: int) -> int:
        """Return the phases that a limit counts for; more than the outlet has change nothing (1.6 errata)."""
        return min(asked, self.phases or DEFAULT_PHASES)

    def watts(self, period: Period, unit: Unit) -> float:
        """Return a limit in W."""
        return period.limit if unit == Unit.W else period.limit * self.voltage * self.used_phases(period.phases)

    def amperes(self, period: Period, unit: Unit) -> float:
        """Return a limit in A per phase."""
        return period.limit if unit == Unit.A else period.limit / (self.voltage * self.used_phases(period.phases))


@dataclass(frozen=True, slots=True)
class Limit:
    """What an EVSE may take: power [W] and current per phase [A], infinite without a limit."""

    power: float = inf
    current: float = inf


@dataclass(frozen=True, slots=True)
class Step:
    """From a time [s] on a limit holds, until the next step."""

    start: int
    limit: float


Won = tuple[Period, Unit] | None


def winner(profiles: Iterable[Profile], transaction: int | None, time: int) -> tuple[Won, int]:
    """Return the period of the highest stack level that has one at a time [s], and when that may change."""
    best: tuple[int, Period, Unit] | None = None
    border = NEVER
    for profile in profiles:
        period, until = period_at(profile, transaction, time)
        border = min(border, until)
        if period is not None and (best is None or profile.level > best[0]):
            best = profile.level, period, profile.unit
    return (best[1:] if best is not None else None), border


def station_winner(profiles: Iterable[Profile], time: int) -> tuple[Won, int]:
    """Return what holds for the whole station."""
    return winner((item for item in profiles if item.purpose == Purpose.MAX), None, time)


def session_winner(profiles: Iterable[Profile], connector: int, session: str, transaction: int | None, time: int) -> tuple[Won, int]:
    """Return what holds for a session, or for one that would begin now where session is ""; transaction is its begin [s]."""
    groups: list[list[Profile]] = [[], [], []]
    for item in profiles:
        if item.purpose == Purpose.TX and item.connector == connector and session and item.session == session:
            groups[0].append(item)
        elif item.purpose == Purpose.TX_DEFAULT and item.connector in (connector, 0):
            groups[1 if item.connector else 2].append(item)
    found = [winner(group, transaction, time) for group in groups]
    return next((won for won, _ in found if won is not None), None), min(border for _, border in found)


def limit_of(won: Won, outlet: Outlet) -> Limit:
    """Return the limit for an outlet: a limit in A of an outlet of alternating current is one of current, with a power that does not come before it."""
    if won is None:
        return Limit()
    period, unit = won
    if unit == Unit.A and outlet.phases:
        return Limit(outlet.watts(period, unit) * MAINS_TOLERANCE, period.limit)
    return Limit(outlet.watts(period, unit))


@dataclass(frozen=True, slots=True)
class Charging:
    """What runs at a connector: session and begin of its transaction [s], "" and None where nothing does."""

    session: str = ""
    begin: int | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """The connectors, what runs there, and the site's own limit [W]."""

    outlets: Mapping[int, Outlet]
    charging: Mapping[int, Charging]
    power: float = inf

    @property
    def grid(self) -> Outlet:
        """The connection to the mains, as an outlet: what all connectors together can take."""
        total = min(self.power, sum(outlet.power for outlet in self.outlets.values()))
        return Outlet(total, DEFAULT_PHASES, next((outlet.voltage for outlet in self.outlets.values()), Outlet().voltage))


def composite(
    profiles: tuple[Profile, ...], site: Site, connector: int, begin: int, duration: int, unit: Unit
) -> tuple[tuple[Step, ...], int]:
    """Return the steps of a composite schedule, the first at begin [s], and how long they hold [s]: duration, less where there would be too many steps.

    Connector 0: what all connectors together may take. A connector where nothing runs: what a transaction could take that begins at begin.
    """
    steps: list[Step] = []
    time, end, borders = begin, begin + min(duration, MAX_DURATION), 0
    while time < end and borders < MAX_BORDERS:
        limit, border = _combined(profiles, site, connector, begin, time, unit)
        if not steps or steps[-1].limit != limit:
            if len(steps) == MAX_PERIODS:
                return tuple(steps), time - begin
            steps.append(Step(time, limit))
        time, borders = border, borders + 1
    return tuple(steps), min(time, end) - begin


def _combined(profiles: tuple[Profile, ...], site: Site, connector: int, begin: int, time: int, unit: Unit) -> tuple[float, int]:
    """Return the least of all purposes at a time, in a unit with one decimal, and when it may change."""
    outlet = site.outlets[connector] if connector else site.grid
    won, border = station_winner(profiles, time)
    limit = min(_in_unit(won, outlet, unit), _rated(outlet, unit))
    if connector:
        value, other = _of_connector(profiles, site, connector, begin, time, unit)
        return round(min(limit, value), 1), min(border, other)
    values = [_of_connector(profiles, site, number, begin, time, Unit.W) for number in site.outlets]
    total = sum(value for value, _ in values)
    share = total if unit == Unit.W else total / (outlet.voltage * outlet.phases)
    return round(min(limit, share), 1), min((border, *(other for _, other in values)))


def _of_connector(profiles: tuple[Profile, ...], site: Site, connector: int, begin: int, time: int, unit: Unit) -> tuple[float, int]:
    outlet, runs = site.outlets[connector], site.charging.get(connector, Charging())
    won, border = session_winner(profiles, connector, runs.session, begin if runs.begin is None else runs.begin, time)
    return min(_in_unit(won, outlet, unit), _rated(outlet, unit)), border


def _in_unit(won: Won, outlet: Outlet, unit: Unit) -> float:
    if won is None:
        return inf
    return outlet.watts(*won) if unit == Unit.W else outlet.amperes(*won)


def _rated(outlet: Outlet, unit: Unit) -> float:
    return outlet.power if unit == Unit.W else outlet.power / (outlet.voltage * outlet.used_phases(DEFAULT_PHASES))


def answer(connector: int, begin: int, steps: tuple[Step, ...], duration: int, unit: Unit, outlet: Outlet) -> Payload:
    """Return GetCompositeSchedule.conf; its schedule has no startSchedule (1.6 errata)."""
    phases = {"numberPhases": outlet.phases} if outlet.phases else {}
    periods: list[dict[str, Any]] = [{"startPeriod": step.start - begin, "limit": step.limit, **phases} for step in steps]
    schedule = {"duration": duration, "chargingRateUnit": str(unit), "chargingSchedulePeriod": periods}
    return {"status": "Accepted", "connectorId": connector, "scheduleStart": timestamp(begin), "chargingSchedule": schedule}
