"""csms_simulator: a central system of OCPP 1.6J on 127.0.0.1 with tokens, prices, remote commands and a bill, for demonstrations and tests.

It keeps what it saw in a JSON file (--data-file) and takes commands on a second port (--control-port, csms_control.py). It is no back end for real customers.
"""

import argparse
import asyncio
import base64
import logging
import signal
import ssl
import sys
import time
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import websockets.asyncio.server
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from evse_core.ocpp16 import SUBPROTOCOL
from evse_simulators.csms_billing import Ledger
from evse_simulators.csms_control import Control
from evse_simulators.csms_session import CsmsSession
from evse_simulators.csms_state import Csms, parse_token

LOG = logging.getLogger("csms_simulator")
# Simulation: never reachable from outside.
HOST = "127.0.0.1"
# Longest line of a command. [bytes]
LINE = 1 << 20
# Longest time that something that was seen is not on disk. [s]
_SAVE_LATEST = 0.5
# How long SIGINT waits for charge points that still have something to tell: `ros2 launch` ends all processes at the same time, and a session takes up to
# 15 s to end (evse_nodes/run.py). [s]
_FAREWELL = 18.0


class CsmsServer:
    """The WebSocket listener, which may go away for a while."""

    def __init__(self, csms: Csms, port: int) -> None:
        self.port = port
        # TLS of the listener, None without, and the password that it wants of each charge point, None for none.
        self.tls: ssl.SSLContext | None = None
        self.password: bytes | None = None
        self.sessions: dict[str, CsmsSession] = {}
        self._csms = csms
        self._server: websockets.asyncio.server.Server | None = None
        self._returning: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen; the port 0 becomes a free one."""
        self._server = await websockets.asyncio.server.serve(
            self._serve,
            HOST,
            self.port,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            process_request=self._admit,
            ssl=self.tls,
            ping_interval=None,
            close_timeout=1.0,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def close(self) -> None:
        """Close the listener and all connections."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def go_away(self, seconds: float) -> None:
        """Close everything now and come back later."""
        await self.close()
        if self._returning is not None:
            self._returning.cancel()
        self._returning = asyncio.create_task(self._return(seconds))

    async def _return(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.open()

    def _admit(self, connection: Any, request: Any) -> Any:
        if time.monotonic() < self._csms.refusing_until:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "refused on purpose\n")
        if self.password is not None and request.headers.get("Authorization") != _basic(request.path, self.password):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "wrong password\n")
        return None

    async def _serve(self, connection: Any) -> None:
        name = _identity(connection.request.path)
        session = CsmsSession(name, connection, self._csms)
        self._csms.ledger.station(name).connections += 1
        self.sessions[name] = session
        try:
            await session.serve()
        except ConnectionClosed:
            LOG.info("%s is gone", name)
        finally:
            if self.sessions.get(name) is session:
                del self.sessions[name]
            self._csms.changed(False)


def _identity(path: str) -> str:
    return unquote(path.rsplit("/", 1)[-1])


def _basic(path: str, password: bytes) -> str:
    """Return the header of HTTP basic authentication (security whitepaper A00)."""
    return f"Basic {base64.b64encode(_identity(path).encode() + b':' + password).decode()}"


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of the command line; what belongs to ROS is left out."""
    own = list(argv)
    if "--ros-args" in own:
        begin = own.index("--ros-args")
        end = own.index("--", begin) if "--" in own[begin:] else len(own)
        del own[begin : end + 1]
    parser = argparse.ArgumentParser(prog="csms_simulator", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--port", type=int, default=9000, help="WebSocket port, 0 for a free one (default %(default)s)")
    parser.add_argument("--control-port", type=int, default=None, help="port for commands, 0 for a free one (default: none)")
    parser.add_argument("--data-file", type=Path, default=None, help="JSON file of all that was seen (default: none)")
    parser.add_argument(
        "--token", action="append", default=[], metavar="ID[=STATUS[:PARENT]]", help="a known token; without any, all are accepted"
    )
    parser.add_argument("--price", default="0.50", help="price of a kWh, decimal number (default %(default)s)")
    parser.add_argument("--currency", default="EUR", help="ISO 4217 (default %(default)s)")
    parser.add_argument("--heartbeat", type=int, default=300, help="heartbeat interval [s] (default %(default)s)")
    return parser.parse_args(own)


def _csms(arguments: argparse.Namespace) -> Csms:
    """Return the state; ValueError names what is wrong."""
    try:
        price = Decimal(arguments.price)
    except InvalidOperation:
        raise ValueError(f"--price {arguments.price}: not a decimal number") from None
    if not 0 <= price < 1000:
        raise ValueError(f"--price {arguments.price}: outside 0 to 1000")
    ledger = Ledger(arguments.data_file, price, arguments.currency)
    return Csms(ledger, [parse_token(text) for text in arguments.token], arguments.heartbeat)


async def _run(arguments: argparse.Namespace, csms: Csms) -> None:
    server = CsmsServer(csms, arguments.port)
    stop = _stop_on_signals(server)
    await server.open()
    print(f"csms_simulator: ws://{HOST}:{server.port}", flush=True)
    control = Control(csms, server.sessions, server.go_away)
    listener = None
    if arguments.control_port is not None:
        listener = await asyncio.start_server(control.serve, HOST, arguments.control_port, limit=LINE)
        print(f"csms_simulator: control {listener.sockets[0].getsockname()[1]}", flush=True)
    csms.save()
    while not stop.is_set():
        try:
            async with asyncio.timeout(_SAVE_LATEST):
                await stop.wait()
        except TimeoutError:
            if csms.dirty:
                csms.save()
    await server.close()
    if listener is not None:
        listener.close()
    csms.save()


def _stop_on_signals(server: CsmsServer) -> asyncio.Event:
    """Return an event that SIGTERM sets, a second SIGINT, and the first one as soon as no charge point is connected, at the latest after _FAREWELL."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    ends: list[float] = []

    def look() -> None:
        if not server.sessions or loop.time() > ends[0]:
            stop.set()
        else:
            loop.call_later(0.05, look)

    def interrupt() -> None:
        ends.append(loop.time() + _FAREWELL)
        if len(ends) > 1:
            stop.set()
        else:
            look()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    return stop


def main() -> int:
    """Run the simulator until SIGTERM or SIGINT."""
    arguments = _arguments(sys.argv[1:])
    logging.basicConfig(level=logging.WARNING, format="csms_simulator: %(message)s")
    logging.getLogger("ocpp").setLevel(logging.CRITICAL)
    try:
        asyncio.run(_run(arguments, _csms(arguments)))
    except ValueError as error:
        print(f"csms_simulator: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"csms_simulator: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
