"""The charging profiles that are installed: set, replaced, cleared, ended with their transaction, and kept as JSON (1.6 sections 5.5, 5.11, 5.16).

A store is a tuple of profiles; each function returns the next one, so that nothing changes before it is on disk.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_charging_profiles import Profile, Purpose, Unit, Unusable, parse
from evse_core.ocpp16_messages import Payload
from evse_core.ocpp16_time import NoTime

Store = tuple[Profile, ...]
# How long the profile of a remote start waits for its session. Own: longer than a driver takes to the plug. [s]
REMOTE_WAIT: Final = 600
# Words of ChargingScheduleAllowedChargingRateUnit (1.6 section 9.4.2).
_UNIT_WORDS: Final[Mapping[Unit, str]] = {Unit.A: "Current", Unit.W: "Power"}


@dataclass(frozen=True, slots=True)
class Running:
    """The transaction of a connector: its session, begin [s], and id, None while the CSMS has given none."""

    session: str
    begin: int
    transaction_id: int | None
    token: str = ""


def rate_units() -> str:
    """Return the value of ChargingScheduleAllowedChargingRateUnit."""
    return ",".join(_UNIT_WORDS[unit] for unit in Unit)


def install(
    store: Store, connector: int, payload: Payload, now: int, running: Mapping[int, Running], connectors: Iterable[int], limits: OcppConfig
) -> Store:
    """Return the store with a profile of SetChargingProfile; Unusable or NoTime says why it is refused."""
    runs = running.get(connector)
    profile = parse(connector, payload, now, runs.session if runs is not None else "")
    if connector and connector not in connectors:
        raise Unusable(f"there is no connector {connector}")
    if profile.purpose == Purpose.MAX and connector:
        raise Unusable("a ChargePointMaxProfile is for connector 0")
    if profile.purpose == Purpose.TX:
        _check_transaction(connector, payload, runs)
    elif "transactionId" in payload:
        raise Unusable("only a TxProfile has a transactionId")
    else:
        profile = replace(profile, session="")
    return _added(store, profile, limits)


def _check_transaction(connector: int, payload: Payload, runs: Running | None) -> None:
    if not connector or runs is None:
        raise Unusable(f"no transaction runs at connector {connector}")
    if "transactionId" in payload and payload["transactionId"] != runs.transaction_id:
        raise Unusable(f"transaction {payload['transactionId']} does not run at connector {connector}")


def install_remote(store: Store, connector: int, token: str, payload: Payload, now: int, limits: OcppConfig) -> Store:
    """Return the store with the profile of a remote start, which waits for the session of its token (1.6 section 5.11)."""
    profile = parse(connector, payload, now, token=token)
    if profile.purpose != Purpose.TX or "transactionId" in payload:
        raise Unusable("the profile of a remote start is a TxProfile without transactionId")
    return _added(tuple(item for item in store if not (item.token and item.connector == connector)), profile, limits)


def without_remote(store: Store, connector: int, token: str) -> Store:
    """Return the store without the profile of a remote start that an EVSE has refused."""
    return tuple(item for item in store if not (item.token == token and item.connector == connector))


def _added(store: Store, profile: Profile, limits: OcppConfig) -> Store:
    """Return the store with a profile in the place of those that it replaces: same id, or same purpose, connector and stackLevel."""
    if profile.level > limits.charge_profile_max_stack_level:
        raise Unusable(f"stackLevel {profile.level} is above {limits.charge_profile_max_stack_level}")
    if len(profile.periods) > limits.charging_schedule_max_periods:
        raise Unusable(f"{len(profile.periods)} periods are more than {limits.charging_schedule_max_periods}")
    kept = tuple(item for item in store if not _replaces(profile, item))
    if len(kept) >= limits.max_charging_profiles_installed:
        raise Unusable(f"{limits.max_charging_profiles_installed} profiles are installed")
    return (*kept, profile)


def _replaces(new: Profile, old: Profile) -> bool:
    return new.number == old.number or (new.place == old.place and new.token == old.token)


def clear(store: Store, payload: Payload) -> Store:
    """Return the store after ClearChargingProfile: `id` alone decides, else all that is given must fit (1.6 section 5.5 and errata)."""
    if "id" in payload:
        return tuple(item for item in store if item.number != payload["id"])
    wanted: dict[str, Callable[[Profile], Any]] = {
        "connectorId": lambda item: item.connector,
        "chargingProfilePurpose": lambda item: item.purpose,
        "stackLevel": lambda item: item.level,
    }
    return tuple(item for item in store if not all(find(item) == payload[key] for key, find in wanted.items() if key in payload))


def followed(store: Store, running: Mapping[int, Running], now: int) -> Store:
    """Return the store with the profiles of remote starts given to the sessions that began, and without those whose session is over or never came."""
    found: list[Profile] = []
    for item in store:
        runs = running.get(item.connector)
        if item.token and runs is not None and runs.token == item.token:
            found = [other for other in found if not (other.place == item.place and other.session == runs.session)]
            found.append(replace(item, token="", session=runs.session))
        elif not _over(item, runs, now):
            found.append(item)
    return tuple(found)


def _over(profile: Profile, runs: Running | None, now: int) -> bool:
    if profile.token:
        return runs is not None or not 0 <= now - profile.received <= REMOTE_WAIT
    return profile.purpose == Purpose.TX and (runs is None or runs.session != profile.session)


def as_json(store: Store) -> list[dict[str, Any]]:
    """Return the store as it is kept on disk."""
    return [
        {"connector": item.connector, "session": item.session, "token": item.token, "received": item.received, "profile": item.payload}
        for item in store
    ]


def from_json(kept: object) -> Store:
    """Return what as_json() made; ValueError where it is something else."""
    if not isinstance(kept, list):
        raise ValueError("no list of profiles")
    try:
        return tuple(parse(item["connector"], item["profile"], item["received"], item["session"], item["token"]) for item in kept)
    except (KeyError, TypeError, NoTime, Unusable) as error:
        raise ValueError(f"a profile that cannot be read: {error}") from error
