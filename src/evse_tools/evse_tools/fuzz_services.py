"""The rules of a station that the simulated world has no part for, fed from its topics: the meter's book on disk, the energy manager, the OCPP uplink.

The uplink runs without its thread: this one turns its event loop, plays the CSMS that accepts everything, and checks each call against the protocol's schema.
"""

import asyncio
import json
import logging
import tempfile
import time
from math import isfinite, nan
from pathlib import Path
from typing import Any

from ocpp.messages import Call, validate_payload

from evse_core.energy_manager import Demand, EnergyManager, ManagerConfig
from evse_core.energy_meter import MeterConfig
from evse_core.ocpp16 import OcppConfig
from evse_core.tariff import Tariff
from evse_core.types import Authorization, ChargingLimit, DriverRules, MeterReading, SessionState, Transaction
from evse_nodes.message_queue import MessageQueue
from evse_nodes.meter_book import MeterBook
from evse_nodes.ocpp_audit import OcppAudit
from evse_nodes.ocpp_settings import Settings
from evse_nodes.ocpp_socket import VERSION
from evse_nodes.ocpp_uplink import Event, OcppUplink, Publish
from evse_simulators.world_config import EPOCH
from evse_tools.fuzz_messages import check_sendable

LOGS = ("ocpp_uplink", "energy_meter")
EMITTED = {Authorization: "authorization", ChargingLimit: "charging_limit", DriverRules: "driver_rules", Transaction: "transaction"}
# Calls that are taken from the uplink after each value. [1]
CALLS = 5


class StationSide:
    """Takes every value of every topic; what it must not do raises."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self._book = MeterBook(MeterConfig(), Tariff(), 1, folder, lambda record: _sent("charge_record", record))
        self._manager = EnergyManager(ManagerConfig(), (1, 2))
        self._site = ManagerConfig().site_limit
        self._session, self._meter, self._limit = SessionState(), MeterReading(), ChargingLimit()
        self._register = 0.0
        self._uplink = OcppUplink(
            OcppConfig(url="ws://127.0.0.1:1", charge_point_id="FUZZ"),
            (1,),
            MessageQueue(folder / "ocpp16.sqlite"),
            Settings(folder / "ocpp16.json"),
            self._emitted,
            OcppAudit(folder).change,
        )
        self._uplink.registration.on_boot_answer("Accepted", 300, 0.0)
        self._uplink.statuses.on_connected()
        self._levels = {name: logging.getLogger(name).level for name in LOGS}

    def __enter__(self) -> "StationSide":
        for name in LOGS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        return self

    def __exit__(self, *_: object) -> None:
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        loop = self._uplink._thread.loop
        loop.run_until_complete(self._uplink._thread._end_tasks())
        loop.close()
        self._uplink.transactions.queue.close()
        self._uplink.security_events.log.close()
        self._book.close()
        self._folder.cleanup()

    def take(self, topic: str, value: Any, now: float) -> None:
        """Hand a value to who reads its topic, as the nodes do."""
        if (reader := getattr(self, f"_on_{topic.replace('/', '_')}", None)) is not None:
            reader(value, now)

    # Readers by topic

    def _on_power_report(self, value: Any, now: float) -> None:
        self._book.on_power(value, now, EPOCH + now)
        reading = self._book.reading(now)
        check_sendable("meter_reading", reading)
        if not isfinite(reading.register_wh) or reading.register_wh < self._register:
            raise AssertionError(f"the book's register went from {self._register} to {reading.register_wh} Wh")
        self._register = reading.register_wh

    def _on_session_state(self, value: Any, now: float) -> None:
        self._book.on_session(value, now, EPOCH + now)
        check_sendable("meter_reading", self._book.reading(now))
        self._session = value
        self._share(now)
        self._uplink.on_session(1, value, time.monotonic())
        self._turn()

    def _on_meter_reading(self, value: Any, now: float) -> None:
        self._meter = value
        self._share(now)
        self._uplink.on_meter(1, value, time.monotonic())
        self._turn()

    def _on_charging_limit(self, value: Any, now: float) -> None:
        self._limit = value
        self._share(now)

    def _on_transaction(self, value: Any, now: float) -> None:
        self._book.on_transaction(value)

    def _on_safety_state(self, value: Any, now: float) -> None:
        self._uplink.on_safety(1, value, time.monotonic())

    def _on_fault_event(self, value: Any, now: float) -> None:
        self._uplink.on_fault(1, value)
        self._turn()

    def _on_charge_record(self, value: Any, now: float) -> None:
        self._uplink.on_record(1, value)
        self._turn()

    # The energy manager

    def _share(self, now: float) -> None:
        """Never more than the site has, whatever is wanted, measured or limited."""
        demand = Demand(True, self._session.session_active, 0.0, self._session.power_wanted, self._limit.power, self._meter.power)
        shares = self._manager.step({1: demand, 2: Demand(True, True, 1.0, 20e3, nan, 0.0)}, now)
        if not all(isfinite(share) and share >= 0.0 for share in shares.values()) or sum(shares.values()) > self._site:
            raise AssertionError(f"shares of {shares} W at a site of {self._site} W")

    # The uplink

    def _emitted(self, event: Event) -> None:
        if isinstance(event, Publish) and type(event.value) in EMITTED:
            _sent(EMITTED[type(event.value)], event.value)

    def _turn(self) -> None:
        """Let the event loop run once, and let the CSMS accept what is offered."""
        uplink, now = self._uplink, time.monotonic()
        uplink._thread.loop.run_until_complete(asyncio.sleep(0))
        for _ in range(CALLS):
            job = uplink.live.next(now) or uplink.statuses.next(now) or uplink.transactions.next(now)
            if job is None:
                return
            payload = json.loads(json.dumps(dict(job.request.payload), allow_nan=False))
            call = Call("1", job.request.action, payload)
            uplink._thread.loop.run_until_complete(validate_payload(call, VERSION))
            job.on_answer({"transactionId": 7, "idTagInfo": {"status": "Accepted"}})


def _sent(topic: str, value: Any) -> None:
    check_sendable(topic, value)
