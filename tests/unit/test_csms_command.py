"""`station csms`: what each action asks of a running CSMS and of its station, and what is shown."""

import argparse
import asyncio
import json
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from ocpp.messages import Call, validate_payload
from rich.console import Console

from evse_simulators.csms_billing import Ledger, Station
from evse_simulators.csms_control import Control
from evse_simulators.csms_state import Csms
from evse_tools import csms_command, csms_table
from evse_tools.csms_command import ACTIONS, main, parser

EXAMPLES = {
    "list": "",
    "token": "ABC Blocked --parent G",
    "start": "ABC --connector 2",
    "stop": "7",
    "price": "0.45",
    "profile": "16 A --seconds 60",
    "clear-profiles": "",
    "reserve": "ABC --minutes 5",
    "cancel": "1",
    "available": "Inoperative --connector 0",
    "unlock": "",
    "reset": "Hard",
    "keys": "",
    "key": "HeartbeatInterval 10",
    "trigger": "Heartbeat",
    "call": "ClearCache {}",
    "misbehave": "garbage --action Authorize --count 3",
    "behave": "",
    "boot": "Pending",
    "away": "3",
    "refuse": "3",
}


def command(name: str, words: str) -> dict[str, Any]:
    given: argparse.Namespace = parser().parse_args([name, *words.split()])
    return ACTIONS[name].command(given)


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_makes_a_command_and_its_call_fits_the_schema(name: str) -> None:
    made = command(name, EXAMPLES[name])
    if made["command"] == "call":
        asyncio.run(validate_payload(Call("1", made["action"], made["payload"]), "1.6"))


def test_what_was_said_is_what_is_asked() -> None:
    assert command("start", "ABC") == {"command": "remote_start", "token": "ABC", "connector": 1}
    profile = command("profile", "6.5 W --purpose ChargePointMaxProfile --connector 0")["payload"]
    assert profile["connectorId"] == 0
    assert profile["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 6.5}]
    assert command("misbehave", "slow") == {"command": "misbehave", "kind": "slow", "action": "", "count": 1}


@pytest.mark.parametrize("words", [[], ["dance"], ["profile", "x", "A"], ["misbehave", "badly"], ["call", "Reset", "{"], ["token"]])
def test_wrong_input_is_2(words: list[str]) -> None:
    assert main(words) == 2


@pytest.fixture
def control() -> Iterator[tuple[Csms, int]]:
    """A CSMS without stations behind a control port."""
    csms, loop = Csms(Ledger(None, Decimal("0.5"), "EUR"), [], 300), asyncio.new_event_loop()

    async def away(seconds: float) -> None:
        csms.recent.append(f"away {seconds}")

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    serving = asyncio.start_server(Control(csms, {}, away).serve, "127.0.0.1", 0)
    server = asyncio.run_coroutine_threadsafe(serving, loop).result(5.0)
    yield csms, server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5.0)


def test_actions_reach_the_csms_that_runs(control: tuple[Csms, int], capsys: pytest.CaptureFixture[str]) -> None:
    csms, port = control
    where = ["--control-port", str(port)]
    assert main(["token", "ABC", "Blocked", *where]) == 0
    assert csms.tokens["ABC"].status == "Blocked"
    assert main(["boot", "Pending", *where]) == 0
    assert main(["away", "2", *where]) == 0
    assert (csms.boot_status, list(csms.recent)) == ("Pending", ["away 2.0"])
    assert main(["unlock", *where]) == 1
    assert "no station is connected" in capsys.readouterr().err
    assert main(["list", *where]) == 0
    assert "stations" in capsys.readouterr().out


def test_without_a_csms_it_says_how_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--control-port", "9"]) == 1
    assert "./station csms serve" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"payload": {"status": "Accepted"}}, 0),
        ({"payload": {"listVersion": 3}}, 0),
        ({"payload": {"status": "Rejected"}}, 1),
        ({"status": "Accepted"}, 0),
        ({"code": "NotSupported", "description": ""}, 1),
    ],
)
def test_a_refusal_is_an_exit_code(answer: dict[str, Any], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert csms_command._show("call", answer) == code
    assert json.loads(capsys.readouterr().out) == answer.get("payload", answer)


def test_the_table_shows_stations_transactions_and_what_arrived() -> None:
    ledger = Ledger(None, Decimal("0.5"), "EUR")
    ledger.stations["CP-1"] = Station(boots=2, statuses=[{"connector": 1, "status": "Preparing"}, {"connector": 1, "status": "Charging"}])
    ledger.start("CP-1", 1, "ABC", 1000, "2026-01-01T00:00:00Z")
    ledger.stop("CP-1", 1, 3000, "2026-01-01T01:00:00Z", "Local", [])
    csms = Csms(ledger, [], 300)
    csms.arrived("CP-1", "MeterValues", {"x": "y" * 500})
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(csms_table.page({**ledger.as_dict(), "connected": ["CP-1"]}, csms.recent))
    text = console.export_text()
    for word in ("CP-1", "connected", "1 Charging", "ABC", "2000", "1.00", "Local", "MeterValues"):
        assert word in text, word
    assert max(map(len, csms.recent)) <= 110
    assert time.strftime("%H") in csms.recent[0]
