"""One charge point's connection to the simulated CSMS: the other side of OCPP 1.6, on the `ocpp` library's own router, and its scripted misbehaviour."""

import asyncio
import json
import logging
from datetime import UTC, datetime
from typing import Any

from ocpp.messages import Call, CallError, CallResult, unpack
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import Action

from evse_core.ocpp16_messages import SESSION_COST, VENDOR_ID
from evse_core.ocpp16_status import ALLOWED, Status
from evse_simulators.csms_state import Csms

LOG = logging.getLogger("csms_simulator")

# Frames that a hostile or broken CSMS may send.
GARBAGE = (
    "{",
    "null",
    "[]",
    "[2]",
    '[2,"1",["x"],{}]',
    '[2,"2","Reset",[]]',
    '[9,"3",{}]',
    '[3,"nobody",{}]',
    '[4,"nobody"]',
    "[2,{},3,4]",
    '[2,"4","SetChargingProfile",{"limit":NaN}]',
    "[" * 50000,
    "\x00\x01",
    '[3,17,"text"]',
)


class CsmsSession(ChargePoint):
    """Answers one station and notes what it says."""

    def __init__(self, name: str, connection: Any, csms: Csms) -> None:
        super().__init__(name, connection, response_timeout=5)
        self._connection: Any = connection
        self._csms = csms
        self._last: dict[int, Status] = {}

    async def serve(self) -> None:
        """Receive until the connection ends; no frame ends it earlier."""
        while True:
            frame = await self._connection.recv()
            try:
                if await self._misbehave(frame):
                    continue
                await self.route_message(frame)
            except (TypeError, RecursionError) as error:
                self._csms.violation(f"{self.id}: frame that cannot be handled ({type(error).__name__}): {frame:.100}")

    async def _misbehave(self, frame: str) -> bool:
        """Do what the script wants with this frame; returns whether it is to be left unanswered."""
        message = unpack(frame)
        if not isinstance(message, Call):
            return False
        kind = self._csms.misbehaviour(message.action)
        if kind == "garbage":
            for text in GARBAGE:
                await self._connection.send(text)
        elif kind == "error":
            await self._connection.send(json.dumps([4, message.unique_id, "InternalError", "scripted", {}]))
        elif kind == "unknown":
            await self._connection.send(json.dumps([4, message.unique_id, "NotImplemented", "scripted", {}]))
        elif kind == "broken":
            await self._connection.send(json.dumps([3, message.unique_id, {"nonsense": [1, 2, 3]}]))
        elif kind == "slow":
            await asyncio.sleep(2.0)
        elif kind == "close":
            await self._connection.close()
        elif kind == "lose_answer":  # Processed, but the connection breaks before the answer.
            real, self._connection = self._connection, _Sink()
            await self.route_message(frame)
            self._connection = real
            await real.close()
        return kind in ("silent", "error", "unknown", "broken", "close", "lose_answer")

    async def route_message(self, raw_msg: str) -> None:
        """Note what arrives, then route it."""
        message = unpack(raw_msg)
        if isinstance(message, Call):
            self._csms.arrived(self.id, message.action, message.payload)
        await super().route_message(raw_msg)
        self._csms.changed(isinstance(message, Call) and message.action in ("StartTransaction", "StopTransaction", "DataTransfer"))

    async def raw_call(self, message: Call) -> CallResult | CallError:
        """Send a call without looking at it, and return the answer as it comes."""
        async with self._call_lock:
            await self._send(message.to_json())
            answer: CallResult | CallError = await self._get_specific_response(message.unique_id, self._response_timeout)
            return answer

    @on(Action.boot_notification)
    def on_boot_notification(self, **payload: Any) -> Any:
        """Register the station."""
        station = self._csms.ledger.station(self.id)
        station.boots += 1
        station.identity = payload
        return call_result.BootNotification(current_time=_now(), interval=self._csms.heartbeat, status=self._csms.boot_status)

    @on(Action.heartbeat)
    def on_heartbeat(self, **_: Any) -> Any:
        """Tell the time."""
        self._csms.ledger.station(self.id).heartbeats += 1
        return call_result.Heartbeat(current_time=_now())

    @on(Action.status_notification)
    def on_status_notification(self, connector_id: int, status: str, **payload: Any) -> Any:
        """Keep the status and hold its change against the protocol's table."""
        self._check_time(payload.get("timestamp", _now()))
        new, old = Status(status), self._last.get(connector_id)
        if connector_id and old not in (None, new) and new not in ALLOWED[old]:
            self._csms.violation(f"{self.id}: connector {connector_id} went from {old} to {new}")
        self._last[connector_id] = new
        self._csms.ledger.station(self.id).statuses.append({"connector": connector_id, "status": status, **payload})
        return call_result.StatusNotification()

    @on(Action.authorize)
    def on_authorize(self, id_tag: str, **_: Any) -> Any:
        """Give the verdict on a token."""
        return call_result.Authorize(id_tag_info=self._csms.id_tag_info(id_tag))

    @on(Action.start_transaction)
    def on_start_transaction(self, connector_id: int, id_tag: str, meter_start: int, timestamp: str, **payload: Any) -> Any:
        """Open a transaction."""
        self._check_time(timestamp)
        found = self._csms.ledger.start(self.id, connector_id, id_tag, meter_start, timestamp)
        found.reservation_id = payload.get("reservation_id")
        return call_result.StartTransaction(transaction_id=found.transaction_id, id_tag_info=self._csms.id_tag_info(id_tag))

    @on(Action.stop_transaction)
    def on_stop_transaction(self, meter_stop: int, timestamp: str, transaction_id: int, **payload: Any) -> Any:
        """Close a transaction and write its bill."""
        self._check_time(timestamp)
        data = [_camel(item) for item in payload.get("transaction_data", [])]
        self._csms.ledger.stop(self.id, transaction_id, meter_stop, timestamp, payload.get("reason", "Local"), data)
        return call_result.StopTransaction()

    @on(Action.meter_values)
    def on_meter_values(self, connector_id: int, meter_value: list[dict[str, Any]], **payload: Any) -> Any:
        """Keep the values with their transaction."""
        for item in meter_value:
            self._check_time(item["timestamp"])
        found = self._csms.ledger.transactions.get(payload.get("transaction_id", 0))
        if found is not None:
            if found.stop is not None:
                self._csms.violation(f"{self.id}: meter values after the stop of transaction {found.transaction_id}")
            found.meter_values.extend(_camel(item) for item in meter_value)
        return call_result.MeterValues()

    @on(Action.data_transfer)
    def on_data_transfer(self, vendor_id: str, message_id: str = "", data: str = "", **_: Any) -> Any:
        """Keep the price that the station tells; know nothing else."""
        if vendor_id != VENDOR_ID:
            return call_result.DataTransfer(status="UnknownVendorId")
        if message_id != SESSION_COST:
            return call_result.DataTransfer(status="UnknownMessageId")
        said = json.loads(data)
        found = self._csms.ledger.transactions.get(said["transactionId"])
        if found is None:
            self._csms.violation(f"{self.id}: price of the unknown transaction {said['transactionId']}")
            return call_result.DataTransfer(status="Rejected")
        found.told_cost = said
        return call_result.DataTransfer(status="Accepted")

    @on(Action.security_event_notification)
    def on_security_event_notification(self, type: str, timestamp: str, **payload: Any) -> Any:
        """Keep a security event."""
        self._check_time(timestamp)
        self._notice("SecurityEventNotification", {"type": type, "timestamp": timestamp, **payload})
        return call_result.SecurityEventNotification()

    @on(Action.sign_certificate)
    def on_sign_certificate(self, csr: str, **_: Any) -> Any:
        """Keep a request; a person or a test sends the certificate."""
        self._notice("SignCertificate", {"csr": csr})
        return call_result.SignCertificate(status="Accepted")

    @on(Action.firmware_status_notification)
    def on_firmware_status_notification(self, **payload: Any) -> Any:
        """Keep the progress of an update."""
        self._notice("FirmwareStatusNotification", payload)
        return call_result.FirmwareStatusNotification()

    @on(Action.signed_firmware_status_notification)
    def on_signed_firmware_status_notification(self, **payload: Any) -> Any:
        """Keep the progress of a signed update."""
        self._notice("SignedFirmwareStatusNotification", payload)
        return call_result.SignedFirmwareStatusNotification()

    @on(Action.diagnostics_status_notification)
    def on_diagnostics_status_notification(self, **payload: Any) -> Any:
        """Keep the progress of an upload."""
        self._notice("DiagnosticsStatusNotification", payload)
        return call_result.DiagnosticsStatusNotification()

    @on(Action.log_status_notification)
    def on_log_status_notification(self, **payload: Any) -> Any:
        """Keep the progress of an upload."""
        self._notice("LogStatusNotification", payload)
        return call_result.LogStatusNotification()

    def _notice(self, action: str, payload: dict[str, Any]) -> None:
        self._csms.ledger.station(self.id).notices.append({"action": action, **payload})

    def _check_time(self, text: str) -> None:
        """Note a time without zone or one that cannot be read; the schemas do not look at it."""
        try:
            if datetime.fromisoformat(text).tzinfo is None:
                self._csms.violation(f"{self.id}: time without zone: {text}")
        except ValueError:
            self._csms.violation(f"{self.id}: no time: {text}")


class _Sink:
    """A connection that swallows what is sent."""

    async def send(self, text: str) -> None:
        LOG.info("lost on purpose: %s", text)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _camel(item: dict[str, Any]) -> dict[str, Any]:
    """Return a meter value with the names of the protocol: the router hands it over in snake case."""
    return {"timestamp": item["timestamp"], "sampledValue": item.get("sampled_value", [])}
