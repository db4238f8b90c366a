"""The uplink without ROS against the CSMS simulator, all in this process: what is about the protocol alone is tested here, quickly."""

import asyncio
import ssl
import threading
import time
from collections.abc import Coroutine
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from fake_evse import FAST, FakeEvse, wait_for

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_composite import Site
from evse_core.types import Authorization, ChargingLimit, DriverRules, Transaction, UplinkState
from evse_nodes.message_queue import MessageQueue
from evse_nodes.ocpp_audit import OcppAudit
from evse_nodes.ocpp_settings import Settings
from evse_nodes.ocpp_uplink import Ask, Event, OcppUplink, Publish
from evse_simulators.csms_billing import Ledger
from evse_simulators.csms_control import Control
from evse_simulators.csms_simulator import CsmsServer
from evse_simulators.csms_state import Csms, parse_token

_NAMES = {Authorization: "authorization", DriverRules: "driver_rules", Transaction: "transaction", ChargingLimit: "charging_limit"}


class LocalCsms:
    """The CSMS simulator in a thread."""

    def __init__(
        self, directory: Path, tokens: tuple[str, ...], heartbeat: int, tls: ssl.SSLContext | None = None, password: bytes | None = None
    ) -> None:
        directory.mkdir(exist_ok=True)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        csms = Csms(Ledger(directory / "csms.json", Decimal("0.40"), "EUR"), [parse_token(text) for text in tokens], heartbeat)
        self._server = CsmsServer(csms, 0)
        self._server.tls, self._server.password = tls, password
        self._wait(self._server.open())
        self._control = Control(csms, self._server.sessions, self._server.go_away)
        self.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{self._server.port}"

    def reopen(self, tls: ssl.SSLContext | None = None, password: bytes | None = None) -> None:
        """Close all connections and come back at the same port with another TLS or password."""
        self._wait(self._server.close())
        self._server.tls, self._server.password = tls, password
        self._wait(self._server.open())

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(15.0)

    def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._wait(self._control._run({"command": command, **fields}))
        return answer

    def call(self, action: str, **payload: Any) -> Any:
        """Make a call; returns the code of a CALLERROR, else the status, else the whole payload."""
        answer = self.ask("call", charge_point="EVSE-1", action=action, payload=payload)
        return answer.get("code") or answer["payload"].get("status", answer["payload"])

    def transactions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("list")["transactions"]
        return found

    def stopped(self) -> list[dict[str, Any]]:
        return [item for item in self.transactions() if item["stop"]]

    def arrivals(self) -> list[str]:
        return [text.split()[1] for text in self.ask("list")["arrivals"]]

    def connected(self) -> bool:
        return bool(self.ask("list")["connected"])

    def notices(self, action: str) -> list[dict[str, Any]]:
        stations = self.ask("list")["stations"]
        return [item for item in stations.get("EVSE-1", {"notices": []})["notices"] if item["action"] == action]

    def events(self) -> list[str]:
        return [item["type"] for item in self.notices("SecurityEventNotification")]

    def statuses(self, connector: int) -> list[str]:
        stations = self.ask("list")["stations"]
        return [item["status"] for item in stations.get("EVSE-1", {"statuses": []})["statuses"] if item["connector"] == connector]

    def end(self) -> None:
        self._wait(self._server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()


class LocalBench:
    """CSMS, uplink and EVSEs."""

    def __init__(self, directory: Path, evses: int = 1) -> None:
        self.directory = directory
        self.states: list[UplinkState] = []
        self.station_limits: list[ChargingLimit] = []
        self.site: Site | None = None
        self.uplink: OcppUplink | None = None
        self.evses = {number: self._evse(number) for number in range(1, evses + 1)}
        self._csms: list[LocalCsms] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)
        self._thread.start()

    def __getitem__(self, number: int) -> FakeEvse:
        return self.evses[number]

    def _evse(self, number: int) -> FakeEvse:
        def publish(name: str, value: Any) -> None:
            if (uplink := self.uplink) is None:
                return
            take = {"session_state": uplink.on_session, "safety_state": uplink.on_safety, "meter_reading": uplink.on_meter}
            if name in take:
                uplink.post(take[name], number, value, time.monotonic())
            else:
                uplink.post(uplink.on_record if name == "charge_record" else uplink.on_fault, number, value)

        return FakeEvse(number, publish)

    def _tick(self) -> None:
        while not self._over.wait(0.05):
            for evse in self.evses.values():
                evse.tick()

    def _emit(self, event: Event) -> None:
        match event:
            case Publish(0, UplinkState() as state):
                self.states.append(state)
            case Publish(0, ChargingLimit() as limit):
                self.station_limits.append(limit)
            case Publish(number, value):
                self.evses[number].heard[_NAMES[type(value)]].append(value)
            case Ask(request, reply):
                self.evses[request.evse].requests.append(request)
                reply(self.evses[request.evse].willing, "")

    def csms(self, *tokens: str, heartbeat: int = 300, tls: ssl.SSLContext | None = None, password: bytes | None = None) -> LocalCsms:
        folder = self.directory if not self._csms else self.directory / f"csms_{len(self._csms)}"
        self._csms.append(LocalCsms(folder, tokens, heartbeat, tls, password))
        return self._csms[-1]

    def start(self, url: str, **parameters: Any) -> OcppUplink:
        """Start the uplink, the old one ends first."""
        self.stop()
        config = replace(OcppConfig(), **(FAST | {"url": url} | parameters))
        queue = MessageQueue(self.directory / "data" / "queue.sqlite")
        self.states.clear()
        settings, audit = Settings(self.directory / "data" / "settings.json"), OcppAudit(self.directory / "data")
        self.uplink = OcppUplink(config, tuple(self.evses), queue, settings, self._emit, audit.change, self.site)
        self.uplink.start()
        return self.uplink

    def stop(self) -> None:
        if self.uplink is not None:
            self.uplink.close()
            self.uplink = None

    def until_registered(self) -> None:
        wait_for(lambda: self.states and self.states[-1].registration == 1 and self.states[-1].connected, "registration")

    def until_drained(self) -> None:
        self.states.clear()
        wait_for(lambda: self.states and self.states[-1].queued == 0, "an empty queue")

    def end(self) -> None:
        self._over.set()
        self._thread.join(5.0)
        self.stop()
        for csms in self._csms:
            csms.end()
