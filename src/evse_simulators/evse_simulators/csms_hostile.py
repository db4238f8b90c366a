"""A CSMS that means harm, on 127.0.0.1: garbage, floods, wrong answers, none, late ones and broken connections, at random and as fast as it can.

Prints its port; reads lines on standard input: `behave` and `rage` switch, the end of the input ends it. Answers of `behave` are right.
"""

import argparse
import asyncio
import json
import random
import sys
from datetime import UTC, datetime
from typing import Any

import websockets.asyncio.server
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from evse_core.ocpp16 import SUBPROTOCOL
from evse_simulators.csms_session import GARBAGE

HOST = "127.0.0.1"
# Frames before a connection is given up, on average, and the longest pause between two of them. [1], [s]
_FRAMES = 400
_PAUSE = 0.004
# Actions that the flood calls, known and unknown ones.
_ACTIONS = (
    "Reset",
    "ClearCache",
    "GetConfiguration",
    "ReserveNow",
    "SetChargingProfile",
    "SendLocalList",
    "UnlockConnector",
    "Dance",
    "../x",
)


class Hostile:
    """All connections; `rages` says whether harm is meant now."""

    def __init__(self, seed: int) -> None:
        self.rages = True
        self.frames = self.connections = 0
        self._random = random.Random(seed)

    async def serve(self, connection: Any) -> None:
        """Serve one connection."""
        self.connections += 1
        flood = asyncio.create_task(self._flood(connection))
        try:
            async for frame in connection:
                await self._answer(connection, json.loads(frame))
        except ConnectionClosed:
            return
        finally:
            flood.cancel()

    async def _flood(self, connection: Any) -> None:
        while True:
            await asyncio.sleep(self._random.random() * _PAUSE)
            if not self.rages:
                continue
            self.frames += 1
            if self._random.random() < 1.0 / _FRAMES:
                await connection.close()
                return
            await connection.send(self._frame())

    def _frame(self) -> str | bytes:
        """Return a frame that nobody should send."""
        draw = self._random
        kind = draw.randrange(6)
        if kind == 0:
            return draw.choice(GARBAGE)
        if kind == 1:
            return draw.randbytes(draw.randrange(200))
        if kind == 2:
            return json.dumps([3, str(draw.random()), {"x" * draw.randrange(5000): draw.random()}])
        if kind == 3:
            return json.dumps([2, draw.choice(("same", str(draw.random()), "x" * 99)), draw.choice(_ACTIONS), self._payload()])
        if kind == 4:
            return json.dumps([4, str(draw.random()), None, 7, []])
        return '[2,"deep","ClearCache",' + '{"a":' * draw.randrange(1, 20000)

    def _payload(self) -> Any:
        draw = self._random
        return draw.choice(({}, [], None, {"key": ["x" * 60] * draw.randrange(50)}, {"type": "Warm"}, {"connectorId": 10**30, "type": 7}))

    async def _answer(self, connection: Any, message: list[Any]) -> None:
        """Answer a call: rightly, or in one of the ways in which that goes wrong."""
        if message[0] != 2:
            return
        now = datetime.now(UTC).isoformat()
        right = {
            "BootNotification": {"currentTime": now, "interval": 300, "status": "Accepted"},
            "StartTransaction": {"transactionId": 7, "idTagInfo": {"status": "Accepted"}},
        }
        good = right.get(message[2], {"currentTime": now, "idTagInfo": {"status": "Accepted"}})
        way = self._random.randrange(5) if self.rages and message[2] != "BootNotification" else 0
        if way == 1:
            return
        if way == 2:
            await asyncio.sleep(self._random.random())
        wrong = {3: [3, message[1], ["nonsense"]], 4: [4, message[1], "GenericError", "no", {}]}
        await connection.send(json.dumps(wrong.get(way, [3, message[1], good])))


async def _run(seed: int) -> None:
    hostile = Hostile(seed)
    async with websockets.asyncio.server.serve(
        hostile.serve, HOST, 0, subprotocols=[Subprotocol(SUBPROTOCOL)], ping_interval=None, close_timeout=0.2
    ) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            hostile.rages = line.strip() == "rage"
            print(json.dumps({"frames": hostile.frames, "connections": hostile.connections}), flush=True)


def main() -> int:
    """Run it until the end of its input."""
    parser = argparse.ArgumentParser(prog="csms_hostile", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(_run(parser.parse_args().seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
