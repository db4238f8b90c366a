"""Smart charging of OCPP 1.6: the profiles of the CSMS on disk, its calls about them, and the limits that follow for the station and each EVSE.

The rules are evse_core/ocpp16_charging_profiles.py, ocpp16_composite.py and ocpp16_profile_store.py.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from math import nan
from typing import Final

from evse_core import ocpp16_profile_store as profile_store
from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_charging_profiles import Unit, Unusable
from evse_core.ocpp16_composite import Charging, Limit, Outlet, Site, answer, composite, limit_of, session_winner, station_winner
from evse_core.ocpp16_messages import Payload
from evse_core.ocpp16_profile_store import Running, Store
from evse_core.ocpp16_requests import Handlers, Refused
from evse_core.ocpp16_time import NoTime
from evse_core.types import ChargingLimit
from evse_nodes.message_queue import SessionRow
from evse_nodes.ocpp_file import KeptFile

LOG = logging.getLogger("ocpp_uplink")

# Connector that stands for the station.
STATION: Final = 0
# From here on a limit is none. [W], [A]
_NO_LIMIT: Final = 1e9


class SmartCharging:
    """The room of this profile. `publish(evse, limit)`, 0 for the station, hears each limit that has changed."""

    def __init__(self, file: KeptFile, limits: OcppConfig, site: Site, publish: Callable[[int, ChargingLimit], None]) -> None:
        self._file, self._limits, self._site, self._publish = file, limits, site, publish
        self._store: Store = file.read(profile_store.from_json, ())
        self._running: Mapping[int, Running] = {}
        self._told: dict[int, Limit] = {}

    def handlers(self) -> Handlers:
        """Return the calls that are answered here."""
        return {
            "SetChargingProfile": self._set,
            "ClearChargingProfile": self._clear,
            "GetCompositeSchedule": self._composite,
        }

    def follow(self, running: Mapping[int, Running], without_power: Collection[int], now: int) -> None:
        """Follow the transactions that run now [s], and tell the limits; without_power names the EVSEs whose power was taken away."""
        self._running = running
        following = profile_store.followed(self._store, running, now)
        if following != self._store:
            self._store = following
            self._file.write(profile_store.as_json(following))  # Whether it works or not: it is followed again after a restart.
        won, _ = station_winner(self._store, now)
        grid = self._site.grid
        self._tell(STATION, limit_of(won, Outlet(grid.power, 0, grid.voltage)))
        for evse in self._site.outlets:
            self._tell(evse, Limit(0.0) if evse in without_power else self._limit(evse, now))

    def remote_start(self, evse: int, token: str, payload: Payload, now: int) -> bool:
        """Keep the profile of a remote start for the session that it starts; returns whether it is usable and kept."""
        return self._change(lambda: profile_store.install_remote(self._store, evse, token, payload, now, self._limits))

    def remote_start_refused(self, evse: int, token: str) -> None:
        """Forget the profile of a remote start that the EVSE has refused."""
        self._change(lambda: profile_store.without_remote(self._store, evse, token))

    def _limit(self, evse: int, now: int) -> Limit:
        runs = self._running.get(evse)
        session, begin = (runs.session, runs.begin) if runs is not None else ("", now)
        won, _ = session_winner(self._store, evse, session, begin, now)
        return limit_of(won, self._site.outlets[evse])

    def _tell(self, evse: int, limit: Limit) -> None:
        if self._told.get(evse) != limit:
            self._told[evse] = limit
            self._publish(evse, ChargingLimit(power=_finite(limit.power), current=_finite(limit.current)))

    def _change(self, change: Callable[[], Store]) -> bool:
        """Make a change where it is allowed and reaches the disk."""
        try:
            changed = change()
        except Unusable as error:
            LOG.warning("a charging profile is refused: %s", error)
            return False
        except NoTime as error:
            raise Refused("PropertyConstraintViolation", str(error)) from error
        if not self._file.write(profile_store.as_json(changed)):
            return False
        self._store = changed
        return True

    # Calls of the CSMS

    def _set(self, payload: Payload, now: int) -> Payload:
        connector, profile = payload["connectorId"], payload["csChargingProfiles"]

        def install() -> Store:
            return profile_store.install(self._store, connector, profile, now, self._running, self._site.outlets, self._limits)

        return {"status": "Accepted" if self._change(install) else "Rejected"}

    def _clear(self, payload: Payload, now: int) -> Payload:
        changed = profile_store.clear(self._store, payload)
        cleared = changed != self._store and self._change(lambda: changed)
        return {"status": "Accepted" if cleared else "Unknown"}

    def _composite(self, payload: Payload, now: int) -> Payload:
        connector, duration = payload["connectorId"], payload["duration"]
        if (connector and connector not in self._site.outlets) or duration <= 0:
            return {"status": "Rejected"}
        outlet = self._site.outlets[connector] if connector else self._site.grid
        unit = Unit(payload.get("chargingRateUnit", Unit.A if outlet.phases else Unit.W))
        charging = {evse: Charging(runs.session, runs.begin) for evse, runs in self._running.items()}
        site = Site(self._site.outlets, charging, self._site.power)
        steps, held = composite(self._store, site, connector, now, duration, unit)
        return answer(connector, now, steps, held, unit, outlet)


def _finite(value: float) -> float:
    """Return a limit as the topic has it: NaN for none, and for one that no outlet reaches; the message's numbers have 32 bits."""
    return value if value < _NO_LIMIT else nan


def running_from(rows: Iterable[SessionRow]) -> dict[int, Running]:
    """Return what runs at each connector, from the rows of the message queue without an end; the latest one of a connector counts."""
    return {row.evse: Running(row.session_id, int(row.begin), row.transaction_id, row.token) for row in rows}
