"""The control interface of the simulated CSMS: one JSON object per line in, one per line out, on 127.0.0.1.

`ask(port, "remote_start", charge_point="EVSE-1", connector=1, token="ABC")` sends one command and returns the answer. Commands: list, remote_start,
remote_stop, call (any action with its payload), price, token, boot_status, away, refuse, misbehave, behave.
"""

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from ocpp.messages import Call, CallResult
from ocpp.v16 import call

from evse_core.ocpp16_messages import SET_TARIFF, VENDOR_ID
from evse_simulators.csms_session import CsmsSession
from evse_simulators.csms_state import STATUSES, Csms, Token


def ask(port: int, command: str, timeout: float = 15.0, **fields: Any) -> dict[str, Any]:
    """Send one command to the CSMS simulator's control port and return its answer; RuntimeError where it refuses."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(json.dumps({"command": command, **fields}).encode() + b"\n")
        with connection.makefile() as file:
            answer: dict[str, Any] = json.loads(file.readline())
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer


class Control:
    """Serves the commands. `sessions` are the open connections by charge point; go_away(seconds) closes the listener for a while."""

    def __init__(self, csms: Csms, sessions: dict[str, CsmsSession], go_away: Callable[[float], Awaitable[None]]) -> None:
        self._csms = csms
        self._sessions = sessions
        self._go_away = go_away

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the commands of one connection."""
        while line := await reader.readline():
            try:
                answer = await self._run(json.loads(line))
            except KeyError as error:
                answer = {"error": f"no {error}"}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            writer.write(json.dumps(answer, default=str).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def _run(self, command: dict[str, Any]) -> dict[str, Any]:
        match command["command"]:
            case "list":
                return {**self._csms.ledger.as_dict(), "connected": sorted(self._sessions)}
            case "remote_start":
                return await self._remote_start(command)
            case "remote_stop":
                request = call.RemoteStopTransaction(transaction_id=command["transaction_id"])
                return await self._call(self._owner(command["transaction_id"]), request)
            case "price":
                return await self._price(command["charge_point"], command["amount"])
            case "call":
                return await self._raw(command["charge_point"], command["action"], command["payload"])
            case _:
                return await self._change(command)

    async def _change(self, command: dict[str, Any]) -> dict[str, Any]:
        match command["command"]:
            case "token":
                token = Token(command["token"], _one_of(command.get("status", "Accepted"), STATUSES), command.get("parent", ""))
                self._csms.tokens[token.token] = token
            case "boot_status":
                self._csms.boot_status = _one_of(command["status"], ("Accepted", "Pending", "Rejected"))
            case "away":
                await self._go_away(float(command["seconds"]))
            case "refuse":
                self._csms.refusing_until = time.monotonic() + float(command["seconds"])
            case "misbehave":
                self._csms.misbehave(command["kind"], command.get("action", ""), int(command.get("count", 1)))
            case "behave":
                self._csms.behave()
            case other:
                raise ValueError(f"command {other!r} is not known")
        return {"done": True}

    async def _remote_start(self, command: dict[str, Any]) -> dict[str, Any]:
        request = call.RemoteStartTransaction(id_tag=command["token"], connector_id=command.get("connector"))
        return await self._call(command["charge_point"], request)

    async def _call(self, charge_point: str, request: Any) -> dict[str, Any]:
        """Make a call and return the status that the station answers."""
        answer = await self._session(charge_point).call(request, suppress=False)
        return {"status": answer.status}

    async def _price(self, charge_point: str, amount: str) -> dict[str, Any]:
        """Bill by another price of a kWh from now on, and have the station tell it to its drivers."""
        self._csms.ledger.price_per_kwh = Decimal(amount)
        data = json.dumps({"tariff": {"price_per_kwh": amount}})
        return await self._raw(charge_point, "DataTransfer", {"vendorId": VENDOR_ID, "messageId": SET_TARIFF, "data": data})

    async def _raw(self, charge_point: str, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Make any call, also a wrong one, and return payload or CALLERROR as they came."""
        answer = await self._session(charge_point).raw_call(Call(f"raw-{time.monotonic_ns()}", action, payload))
        if isinstance(answer, CallResult):
            return {"payload": answer.payload}
        return {"code": answer.error_code, "description": answer.error_description}

    def _session(self, charge_point: str) -> CsmsSession:
        if charge_point not in self._sessions:
            raise ValueError(f"{charge_point} is not connected")
        return self._sessions[charge_point]

    def _owner(self, transaction_id: int) -> str:
        return self._csms.ledger.transactions[transaction_id].charge_point


def _one_of(word: str, words: tuple[str, ...]) -> str:
    if word not in words:
        raise ValueError(f"{word!r} is none of {', '.join(words)}")
    return word
