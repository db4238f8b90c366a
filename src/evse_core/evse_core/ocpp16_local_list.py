"""Tokens that the station knows by itself: the local authorisation list, and the cache of the CSMS's answers (1.6 sections 3.5, 5.10, 5.15).

The list comes before the cache, and a token of the list is never in the cache. Both hold what the CSMS said as it said it; an entry that has expired counts as
Expired. The list's version 0 means an empty list; what the CSMS sends has a version of 1 or more. Lists and caches are values: each function returns the next
one, so that nothing changes before it is on disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from evse_core.ocpp16_authorization import from_id_tag_info
from evse_core.ocpp16_messages import ID_TOKEN_LENGTH, Payload
from evse_core.ocpp16_time import NoTime, parse_time
from evse_core.types import Authorization, Verdict, VerdictSource

# Version that tells an empty list, and one that says that there is no list (1.6 section 5.10).
EMPTY_VERSION: Final = 0
NO_LIST: Final = -1


@dataclass(frozen=True, slots=True)
class LocalList:
    """The list: idTagInfo by token, as the CSMS sent it."""

    version: int = EMPTY_VERSION
    entries: Mapping[str, Payload] = field(default_factory=dict)

    @property
    def told_version(self) -> int:
        """What GetLocalListVersion answers."""
        return self.version if self.entries else EMPTY_VERSION


@dataclass(frozen=True, slots=True)
class Cached:
    """An answer of the CSMS, and when it came [s, UTC]."""

    info: Payload
    at: int


Cache = Mapping[str, Cached]


@dataclass(frozen=True, slots=True)
class ListLimits:
    """LocalAuthListMaxLength and SendLocalListMaxLength [entries]."""

    entries: int
    at_once: int


def update(current: LocalList, payload: Payload, limits: ListLimits) -> tuple[str, LocalList]:
    """Return the answer to SendLocalList and the list that follows: the old one unless Accepted."""
    given, version = payload.get("localAuthorizationList", []), payload["listVersion"]
    if version <= EMPTY_VERSION or len(given) > limits.at_once or not _readable(given):
        return "Failed", current
    full = payload["updateType"] == "Full"
    if not full and version <= current.version:
        return "VersionMismatch", current
    if full and any("idTagInfo" not in item for item in given):
        return "Failed", current
    entries = {} if full else dict(current.entries)
    for item in given:
        entries.pop(item["idTag"], None)
        if "idTagInfo" in item:
            entries[item["idTag"]] = item["idTagInfo"]
    return ("Accepted", LocalList(version, entries)) if len(entries) <= limits.entries else ("Failed", current)


def _readable(given: list[Payload]) -> bool:
    """Return whether each token stands there once, with a time that is one."""
    tokens = [item["idTag"] for item in given]
    if len(set(tokens)) < len(tokens) or not all(0 < len(token) <= ID_TOKEN_LENGTH for token in tokens):
        return False
    try:
        for item in given:
            _expiry(item.get("idTagInfo", {}))
    except NoTime:
        return False
    return True


def _expiry(info: Payload) -> int | None:
    return parse_time(info["expiryDate"]) if "expiryDate" in info else None


def verdict(token: str, info: Payload, now: int, source: VerdictSource) -> Authorization:
    """Return what an idTagInfo means now [s, UTC]; one that cannot be read refuses."""
    found = from_id_tag_info(token, info) or Authorization(token=token, verdict=Verdict.INVALID)
    try:
        expiry = _expiry(info)
    except NoTime:
        expiry = now
    if found.verdict is Verdict.ACCEPTED and expiry is not None and expiry <= now:
        return Authorization(token=token, verdict=Verdict.EXPIRED, source=source)
    return replace(found, source=source)


def cached(cache: Cache, token: str, info: Payload, now: int, size: int) -> Cache:
    """Return the cache with an answer of the CSMS. Full: one that is not valid goes first, then the oldest (1.6 section 3.5.1)."""
    found = {known: item for known, item in cache.items() if known != token}
    while len(found) >= size > 0:
        del found[min(found, key=lambda known: (_valid(known, found[known], now), found[known].at))]
    return {**found, token: Cached(info, now)} if size > 0 else {}


def _valid(token: str, item: Cached, now: int) -> bool:
    return verdict(token, item.info, now, VerdictSource.CACHE).verdict is Verdict.ACCEPTED


def without(cache: Cache, listed: LocalList) -> Cache:
    """Return the cache without the tokens of the list."""
    return {token: item for token, item in cache.items() if token not in listed.entries}


def list_as_json(listed: LocalList) -> dict[str, Any]:
    """Return the list as it is kept on disk."""
    return {"version": listed.version, "entries": dict(listed.entries)}


def list_from_json(kept: object) -> LocalList:
    """Return what list_as_json() made; ValueError where it is something else."""
    if not isinstance(kept, dict) or not isinstance(kept.get("version"), int) or not isinstance(kept.get("entries"), dict):
        raise ValueError("no local list")
    entries = kept["entries"]
    if not all(isinstance(info, dict) for info in entries.values()):
        raise ValueError("a local list with an entry that is none")
    return LocalList(kept["version"], entries)


def cache_as_json(cache: Cache) -> dict[str, Any]:
    """Return the cache as it is kept on disk."""
    return {token: {"info": item.info, "at": item.at} for token, item in cache.items()}


def cache_from_json(kept: object) -> Cache:
    """Return what cache_as_json() made; ValueError where it is something else."""
    if not isinstance(kept, dict):
        raise ValueError("no authorisation cache")
    try:
        return {str(token): Cached(dict(item["info"]), int(item["at"])) for token, item in kept.items()}
    except (KeyError, TypeError) as error:
        raise ValueError("no authorisation cache") from error
