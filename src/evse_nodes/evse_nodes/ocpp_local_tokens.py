"""The local authorisation list and the authorisation cache of OCPP 1.6 on disk, and the calls of the CSMS about them. The rules are
evse_core/ocpp16_local_list.py."""

import logging
from collections.abc import Callable, Mapping

from evse_core import ocpp16_local_list as tokens
from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_local_list import Cache, ListLimits, LocalList
from evse_core.ocpp16_messages import Payload
from evse_core.ocpp16_requests import Handlers
from evse_core.types import Authorization, Verdict, VerdictSource
from evse_nodes.ocpp_file import KeptFile

LOG = logging.getLogger("ocpp_uplink")


class LocalTokens:
    """The room of this profile. `config` returns the settings that hold now; `conflict` hears of a token whose verdict differs from its list's."""

    def __init__(self, list_file: KeptFile, cache_file: KeptFile, config: Callable[[], OcppConfig], conflict: Callable[[], None]) -> None:
        self._list_file, self._cache_file, self._config, self._conflict = list_file, cache_file, config, conflict
        self._list: LocalList = list_file.read(tokens.list_from_json, LocalList())
        self._cache: Cache = cache_file.read(tokens.cache_from_json, {})
        self._conflicts: set[str] = set()

    def handlers(self) -> Handlers:
        """Return the calls that are answered here."""
        return {"GetLocalListVersion": self._version, "SendLocalList": self._send, "ClearCache": self._clear}

    def known(self, token: str, now: int) -> Authorization | None:
        """Return what list or cache say of a token now [s, UTC], None where they say nothing."""
        config = self._config()
        if config.local_auth_list_enabled and token in self._list.entries:
            return tokens.verdict(token, self._list.entries[token], now, VerdictSource.LIST)
        if config.authorization_cache_enabled and token in self._cache:
            return tokens.verdict(token, self._cache[token].info, now, VerdictSource.CACHE)
        return None

    def heard(self, token: str, info: object, now: int) -> None:
        """Take an idTagInfo of the CSMS: into the cache, or against the list."""
        if not isinstance(info, Mapping) or not isinstance(info.get("status"), str):
            return
        config = self._config()
        if config.local_auth_list_enabled and token in self._list.entries:
            self._compare(token, info, now)
        elif config.authorization_cache_enabled:
            known = self._cache.get(token)
            self._cache = tokens.cached(self._cache, token, info, now, config.authorization_cache_size)
            if known is None or known.info != info:
                self._cache_file.write(tokens.cache_as_json(self._cache))

    def _compare(self, token: str, info: Payload, now: int) -> None:
        listed = tokens.verdict(token, self._list.entries[token], now, VerdictSource.LIST)
        said = tokens.verdict(token, info, now, VerdictSource.CSMS)
        # ConcurrentTx is about what runs elsewhere, not about the token.
        if said.verdict in (listed.verdict, Verdict.CONCURRENT) or token in self._conflicts:
            return
        self._conflicts.add(token)
        LOG.warning("the CSMS says %s of a token, the local list %s", said.verdict.name, listed.verdict.name)
        self._conflict()

    # Calls of the CSMS

    def _version(self, payload: Payload, now: int) -> Payload:
        return {"listVersion": self._list.told_version if self._config().local_auth_list_enabled else tokens.NO_LIST}

    def _send(self, payload: Payload, now: int) -> Payload:
        config = self._config()
        if not config.local_auth_list_enabled:
            return {"status": "NotSupported"}
        limits = ListLimits(config.local_auth_list_max_length, config.send_local_list_max_length)
        word, changed = tokens.update(self._list, payload, limits)
        if word != "Accepted":
            return {"status": word}
        if not self._list_file.write(tokens.list_as_json(changed)):
            return {"status": "Failed"}
        self._list = changed
        self._conflicts.clear()
        self._replace_cache(tokens.without(self._cache, changed))
        return {"status": word}

    def _clear(self, payload: Payload, now: int) -> Payload:
        if not self._config().authorization_cache_enabled:
            return {"status": "Rejected"}
        return {"status": "Accepted" if self._replace_cache({}) else "Rejected"}

    def _replace_cache(self, cache: Cache) -> bool:
        self._cache = cache
        return self._cache_file.write(tokens.cache_as_json(cache))
