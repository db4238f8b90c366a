"""`station csms serve`: runs the simulated CSMS until Ctrl-C and shows its table where there is a terminal, else a line for each message."""

import argparse
import asyncio
import contextlib
import signal
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path

from rich.console import Console
from rich.live import Live

from evse_core.ocpp16_access import password
from evse_simulators.csms_authority import Authority
from evse_simulators.csms_billing import Ledger
from evse_simulators.csms_control import Control
from evse_simulators.csms_simulator import HOST, LINE, CsmsServer
from evse_simulators.csms_state import Csms, parse_token
from evse_tools import csms_table

# Heartbeat interval that stations are told, and how often the table is drawn. [s]
_HEARTBEAT = 300
_PERIOD = 0.5


def run(given: argparse.Namespace) -> int:
    """Run it; 0 after Ctrl-C, 1 where a port is taken, 2 for wrong input."""
    try:
        csms = Csms(Ledger(None, Decimal(given.price), "EUR"), [parse_token(text) for text in given.token], _HEARTBEAT)
        asyncio.run(_serve(given, csms))
    except (ValueError, InvalidOperation) as error:
        print(f"station csms: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"station csms: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(given: argparse.Namespace, csms: Csms) -> None:
    server = CsmsServer(csms, given.port)
    server.password = password(given.password) if given.password else None
    if given.tls:
        folder = Path(given.tls)
        folder.mkdir(parents=True, exist_ok=True)
        authority = Authority()
        (folder / "csms_root.pem").write_text(authority.pem)
        server.tls = authority.server(folder)
    await server.open()
    listener = await asyncio.start_server(Control(csms, server.sessions, server.go_away).serve, HOST, given.control_port, limit=LINE)
    ends = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ends.set)
    print(
        f"CSMS at {'wss' if server.tls else 'ws'}://{HOST}:{server.port}, actions at {listener.sockets[0].getsockname()[1]}; Ctrl-C ends it",
        flush=True,
    )
    await _show(csms, server, ends)
    listener.close()
    await server.close()


async def _show(csms: Csms, server: CsmsServer, ends: asyncio.Event) -> None:
    console = Console()
    shown = 0
    with Live(console=console, auto_refresh=False) if console.is_terminal else contextlib.nullcontext() as live:
        while not ends.is_set():
            if live is not None:
                live.update(csms_table.page({**csms.ledger.as_dict(), "connected": list(server.sessions)}, csms.recent), refresh=True)
            else:
                new = list(csms.recent)[-(csms.seen - shown) :] if csms.seen > shown else []
                shown = csms.seen
                print(*new, sep="\n", end="\n" if new else "", flush=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PERIOD):
                    await ends.wait()
