"""Charging profiles of OCPP 1.6: what a CSMS may install, and what one profile allows at a time (1.6 sections 3.13, 7.8 to 7.14, with its errata).

Times are whole seconds of UTC since 1970: daylight saving moves no schedule, and borders meet exactly. Choices where the specification is silent: a recurring
profile begins with its first startSchedule, not before; an absolute one without startSchedule counts from the begin of the transaction (1.6 section 7.13), a
ChargePointMaxProfile that has no start from its receipt, because a limit is better taken than refused; validTo is the first second at which a profile is
valid no longer.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any, Final

from evse_core.ocpp16_messages import Payload
from evse_core.ocpp16_time import parse_time

# A time that never comes. [s]
NEVER: Final = 2**62
# Phases where a period names none (1.6 section 7.14). [1]
DEFAULT_PHASES: Final = 3
# An id of a profile is an int32 here, as in every CSMS that is known. [1]
_LARGEST: Final = 2**31 - 1


class Purpose(StrEnum):
    """ChargingProfilePurposeType (1.6 section 7.11)."""

    MAX = "ChargePointMaxProfile"
    TX_DEFAULT = "TxDefaultProfile"
    TX = "TxProfile"


class Unit(StrEnum):
    """ChargingRateUnitType (1.6 section 7.12): A counts per phase, W in all."""

    A = "A"
    W = "W"


# Recurrences (1.6 section 7.39). [s]
RECURRENCES: Final[Mapping[str, int]] = {"Daily": 86400, "Weekly": 7 * 86400}


class Unusable(ValueError):
    """A profile that the station does not take, and why."""


@dataclass(frozen=True, slots=True)
class Period:
    """From start [s] after the begin of its schedule on, limit [A] or [W] holds."""

    start: int
    limit: float
    phases: int = DEFAULT_PHASES


@dataclass(frozen=True, slots=True)
class Profile:
    """An installed profile. begin None: relative to the transaction; recurrence 0: none. A TxProfile belongs to a session, or waits for the one of a token."""

    number: int
    connector: int
    level: int
    purpose: Purpose
    unit: Unit
    periods: tuple[Period, ...]
    begin: int | None = None
    duration: int = NEVER
    recurrence: int = 0
    valid_from: int = -NEVER
    valid_to: int = NEVER
    session: str = ""
    token: str = ""
    received: int = 0
    payload: Payload | None = None

    @property
    def place(self) -> tuple[Purpose, int, int]:
        """What only one profile can have (1.6 section 5.16.4); a remote start's profile is not in place before its session."""
        return self.purpose, self.connector, self.level


def parse(connector: int, payload: Payload, received: int, session: str = "", token: str = "") -> Profile:
    """Return the profile of a csChargingProfiles that has passed its schema; Unusable or NoTime says what is wrong with it."""
    schedule = payload["chargingSchedule"]
    purpose, kind = Purpose(payload["chargingProfilePurpose"]), payload["chargingProfileKind"]
    recurrence = RECURRENCES.get(payload.get("recurrencyKind", ""), 0) if kind == "Recurring" else 0
    begin = None if kind == "Relative" or "startSchedule" not in schedule else parse_time(schedule["startSchedule"])
    if kind == "Recurring" and (not recurrence or begin is None):
        raise Unusable("a recurring profile needs recurrencyKind and startSchedule")
    profile = Profile(
        number=payload["chargingProfileId"],
        connector=connector,
        level=payload["stackLevel"],
        purpose=purpose,
        unit=Unit(schedule["chargingRateUnit"]),
        periods=_periods(schedule["chargingSchedulePeriod"]),
        begin=received if begin is None and purpose == Purpose.MAX else begin,
        duration=schedule.get("duration", NEVER),
        recurrence=recurrence,
        valid_from=parse_time(payload["validFrom"]) if "validFrom" in payload else -NEVER,
        valid_to=parse_time(payload["validTo"]) if "validTo" in payload else NEVER,
        session=session,
        token=token,
        received=received,
        payload=payload,
    )
    _check(profile)
    return profile


def _periods(given: list[Mapping[str, Any]]) -> tuple[Period, ...]:
    return tuple(Period(item["startPeriod"], float(item["limit"]), item.get("numberPhases", DEFAULT_PHASES)) for item in given)


def _check(profile: Profile) -> None:
    starts = [period.start for period in profile.periods]
    if not starts or starts[0] != 0 or any(later <= earlier for earlier, later in itertools.pairwise(starts)):
        raise Unusable(f"periods begin at 0 s and rise, these are {starts[:10]}")
    if any(not isfinite(period.limit) or period.limit < 0.0 for period in profile.periods):
        raise Unusable("a limit is a number of at least 0")
    if any(not 1 <= period.phases <= DEFAULT_PHASES for period in profile.periods):
        raise Unusable("numberPhases is 1 to 3")
    if profile.duration <= 0 or profile.level < 0 or profile.valid_from >= profile.valid_to:
        raise Unusable("duration, stackLevel or the time from validFrom to validTo is below its least")
    if not -_LARGEST <= profile.number <= _LARGEST or (profile.duration > _LARGEST and profile.duration != NEVER):
        raise Unusable("chargingProfileId or duration is too large")


def period_at(profile: Profile, transaction: int | None, time: int) -> tuple[Period | None, int]:
    """Return the period of a profile at a time [s], None where it allows what others do, and when that changes next; transaction is its begin [s]."""
    if time < profile.valid_from:
        return None, profile.valid_from
    origin = transaction if profile.begin is None else profile.begin
    if time >= profile.valid_to or origin is None:
        return None, NEVER
    period, border = _scheduled(profile, origin, time)
    return period, min(border, profile.valid_to)


def _scheduled(profile: Profile, origin: int, time: int) -> tuple[Period | None, int]:
    if time < origin:
        return None, origin
    every = profile.recurrence or NEVER
    start = origin + (time - origin) // every * every
    stop, again = start + min(profile.duration, every), start + every
    if time >= stop:
        return None, again if profile.recurrence else NEVER
    index = max(number for number, period in enumerate(profile.periods) if start + period.start <= time)
    following = profile.periods[index + 1].start if index + 1 < len(profile.periods) else NEVER
    return profile.periods[index], min(start + following, stop)
