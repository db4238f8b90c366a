"""`station csms`: a CSMS to work with by hand, on this machine only. `serve` runs it and shows what arrives; every other action is asked of the one that runs.

The CSMS is the simulated one of tests and demonstrations (evse_simulators/csms_simulator.py); its control port takes the actions.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from evse_core.ocpp16_time import timestamp
from evse_simulators.csms_control import ask
from evse_simulators.csms_state import MISBEHAVIOURS, STATUSES

PORT, CONTROL_PORT = 9000, 9100
# Words of an answer that mean that the station does what it was asked; an answer without status is one, too.
AGREED: Final = frozenset({"", "Accepted", "Scheduled", "RebootRequired", "Unlocked", "AcceptedCanceled"})
# Commands of the control port that are about one station.
_OF_STATION: Final = frozenset({"call", "remote_start", "price"})
# Stack level and id of the profile that `profile` sets: each replaces the one before. Own. [1]
_PROFILE = 1

Fields = dict[str, Any]


@dataclass(frozen=True)
class Argument:
    """An argument of an action; what begins with -- is an option. `kind` makes the value from the text."""

    name: str
    text: str
    kind: Callable[[str], Any] = str
    default: Any = None
    choices: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Action:
    """What can be asked of a running CSMS: words for help, arguments, and the command of its control port that follows from them."""

    text: str
    arguments: tuple[Argument, ...]
    command: Callable[[argparse.Namespace], Fields]


def _to_station(action: str, payload: Callable[[argparse.Namespace], Mapping[str, Any]]) -> Callable[[argparse.Namespace], Fields]:
    """Return the command that has a call made to the station."""
    return lambda given: {"command": "call", "action": action, "payload": dict(payload(given))}


def _soon(minutes: float) -> str:
    return timestamp((datetime.now(UTC) + timedelta(minutes=minutes)).timestamp())


def _profile(given: argparse.Namespace) -> Fields:
    schedule: Fields = {"chargingRateUnit": given.unit, "chargingSchedulePeriod": [{"startPeriod": 0, "limit": given.limit}]}
    if given.seconds:
        schedule |= {"duration": given.seconds, "startSchedule": timestamp(time.time())}
    profile = {
        "chargingProfileId": _PROFILE,
        "stackLevel": _PROFILE,
        "chargingProfilePurpose": given.purpose,
        "chargingProfileKind": "Absolute" if given.seconds else "Relative",
        "chargingSchedule": schedule,
    }
    return {"connectorId": given.connector, "csChargingProfiles": profile}


_CONNECTOR = Argument("--connector", "number of the connector (default: 1)", int, 1)
_PURPOSES = ("TxProfile", "TxDefaultProfile", "ChargePointMaxProfile")
ACTIONS: Final[Mapping[str, Action]] = {
    "list": Action("show stations and transactions", (), lambda given: {"command": "list"}),
    "token": Action(
        "have a token known from now on; others are then invalid",
        (
            Argument("id", "the token"),
            Argument("status", "its status", default="Accepted", choices=STATUSES),
            Argument("--parent", "its group", default=""),
        ),
        lambda given: {"command": "token", "token": given.id, "status": given.status, "parent": given.parent},
    ),
    "start": Action(
        "start a session from far",
        (Argument("token", "the token that pays"), _CONNECTOR),
        lambda given: {"command": "remote_start", "token": given.token, "connector": given.connector},
    ),
    "stop": Action(
        "stop a transaction from far",
        (Argument("number", "its number, see list", int),),
        lambda given: {"command": "remote_stop", "transaction_id": given.number},
    ),
    "price": Action(
        "bill by another price of a kWh, and tell the station",
        (Argument("amount", "decimal number, such as 0.45"),),
        lambda given: {"command": "price", "amount": given.amount},
    ),
    "profile": Action(
        "limit the station",
        (
            Argument("limit", "limit", float),
            Argument("unit", "A per phase, or W", choices=("A", "W")),
            Argument("--purpose", "TxProfile, TxDefaultProfile (default), ChargePointMaxProfile", default=_PURPOSES[1], choices=_PURPOSES),
            Argument("--seconds", "how long (default: until it is cleared)", int, 0),
            _CONNECTOR,
        ),
        _to_station("SetChargingProfile", _profile),
    ),
    "clear-profiles": Action("take all limits away", (), _to_station("ClearChargingProfile", lambda given: {})),
    "reserve": Action(
        "reserve a connector",
        (
            Argument("token", "for whom"),
            Argument("--minutes", "how long (default: 15)", float, 15.0),
            Argument("--number", "its number", int, 1),
            _CONNECTOR,
        ),
        _to_station(
            "ReserveNow",
            lambda given: {
                "connectorId": given.connector,
                "idTag": given.token,
                "reservationId": given.number,
                "expiryDate": _soon(given.minutes),
            },
        ),
    ),
    "cancel": Action(
        "cancel a reservation",
        (Argument("number", "its number", int),),
        _to_station("CancelReservation", lambda given: {"reservationId": given.number}),
    ),
    "available": Action(
        "take a connector into service, 0 for all, or out of it",
        (Argument("word", "Operative or Inoperative", choices=("Operative", "Inoperative")), _CONNECTOR),
        _to_station("ChangeAvailability", lambda given: {"connectorId": given.connector, "type": given.word}),
    ),
    "unlock": Action("unlock a connector", (_CONNECTOR,), _to_station("UnlockConnector", lambda given: {"connectorId": given.connector})),
    "reset": Action(
        "restart the station",
        (Argument("kind", "Soft or Hard", default="Soft", choices=("Soft", "Hard")),),
        _to_station("Reset", lambda given: {"type": given.kind}),
    ),
    "keys": Action("show configuration keys", (), _to_station("GetConfiguration", lambda given: {})),
    "key": Action(
        "change a configuration key",
        (Argument("name", "its name"), Argument("value", "its value")),
        _to_station("ChangeConfiguration", lambda given: {"key": given.name, "value": given.value}),
    ),
    "trigger": Action(
        "ask for a message",
        (Argument("message", "such as StatusNotification"),),
        _to_station("TriggerMessage", lambda given: {"requestedMessage": given.message}),
    ),
    "call": Action(
        "make any call, also a wrong one",
        (Argument("action", "such as GetLocalListVersion"), Argument("payload", "JSON", json.loads)),
        lambda given: {"command": "call", "action": given.action, "payload": given.payload},
    ),
    "misbehave": Action(
        "answer the next calls of the station badly",
        (
            Argument("kind", ", ".join(MISBEHAVIOURS), choices=MISBEHAVIOURS),
            Argument("--action", "only calls with this action", default=""),
            Argument("--count", "how many (default: 1)", int, 1),
        ),
        lambda given: {"command": "misbehave", "kind": given.kind, "action": given.action, "count": given.count},
    ),
    "behave": Action("forget all misbehaviour that is still to come", (), lambda given: {"command": "behave"}),
    "boot": Action(
        "how the next BootNotification is answered",
        (Argument("status", "Accepted, Pending or Rejected", choices=("Accepted", "Pending", "Rejected")),),
        lambda given: {"command": "boot_status", "status": given.status},
    ),
    "away": Action(
        "close everything, and come back", (Argument("seconds", "after how long [s]", float),), lambda given: _seconds("away", given)
    ),
    "refuse": Action("refuse new connections", (Argument("seconds", "for how long [s]", float),), lambda given: _seconds("refuse", given)),
}


def _seconds(command: str, given: argparse.Namespace) -> Fields:
    return {"command": command, "seconds": given.seconds}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(prog="station csms", description="A simulated CSMS on this machine, to work with by hand.")
    actions = result.add_subparsers(dest="action_name", required=True, metavar="ACTION")
    serve = actions.add_parser("serve", help="run it until Ctrl-C and show what arrives")
    serve.add_argument("--port", type=int, default=PORT, help="WebSocket port (default: %(default)s)")
    serve.add_argument(
        "--token", action="append", default=[], metavar="ID[=STATUS[:PARENT]]", help="a known token; without any, all are accepted"
    )
    serve.add_argument("--price", default="0.50", help="price of a kWh, by which it bills (default: %(default)s)")
    serve.add_argument("--password", default=None, metavar="HEX", help="AuthorizationKey that stations must give")
    serve.add_argument("--tls", metavar="FOLDER", default=None, help="TLS; the root certificate is written there as csms_root.pem")
    _add_control(serve)
    for name, action in ACTIONS.items():
        made = actions.add_parser(name, help=action.text, description=f"{action.text[0].upper()}{action.text[1:]}.")
        for item in action.arguments:
            optional = {"nargs": "?"} if item.default is not None and not item.name.startswith("--") else {}
            made.add_argument(item.name, type=item.kind, default=item.default, choices=item.choices, help=item.text, **optional)  # type: ignore[arg-type]
        made.add_argument("--station", default="", help="its identity (default: the only one that is connected)")
        _add_control(made)
    return result


def _add_control(action: argparse.ArgumentParser) -> None:
    action.add_argument("--control-port", type=int, default=CONTROL_PORT, help="port for actions (default: %(default)s)")


def main(argv: Sequence[str]) -> int:
    """Run an action; 0 done, 1 refused or no CSMS there, 2 wrong input."""
    try:
        given = parser().parse_args(list(argv))
    except SystemExit as end:
        return 0 if not end.code else 2
    if given.action_name == "serve":
        from evse_tools import csms_serve  # noqa: PLC0415 what only it needs

        return csms_serve.run(given)
    try:
        answer = _asked(given)
    except ConnectionRefusedError:
        print(f"station csms: no CSMS listens at control port {given.control_port}; begin with: ./station csms serve", file=sys.stderr)
        return 1
    except (RuntimeError, OSError) as error:
        print(f"station csms: {error}", file=sys.stderr)
        return 1
    return _show(given.action_name, answer)


def _asked(given: argparse.Namespace) -> dict[str, Any]:
    command = ACTIONS[given.action_name].command(given)
    if command["command"] in _OF_STATION:
        command["charge_point"] = given.station or _only(ask(given.control_port, "list")["connected"])
    return ask(given.control_port, command.pop("command"), **command)


def _only(connected: Sequence[str]) -> str:
    if len(connected) != 1:
        raise RuntimeError(f"{', '.join(connected)} are connected; choose by --station" if connected else "no station is connected")
    return connected[0]


def _show(name: str, answer: Mapping[str, Any]) -> int:
    """Print an answer; returns the exit code."""
    if name == "list":
        from rich.console import Console  # noqa: PLC0415 what only this needs

        from evse_tools import csms_table  # noqa: PLC0415

        Console().print(csms_table.page(answer, ()))
        return 0
    payload = answer.get("payload", answer)
    if name == "keys":
        for item in payload["configurationKey"]:
            print(f"{item['key']} = {item.get('value', '(never told)')}{' (read only)' if item['readonly'] else ''}")
        return 0
    print(json.dumps(payload))
    refused = "code" in answer or str(payload.get("status", "")) not in AGREED
    return int(refused)
