"""`./station bench NAME`: one command per bench, each with its own options. All print a table, or with --json one object with machine and figures."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Measure what the station promises.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="print JSON")]


@app.command()
def reaction(
    trials: Annotated[int, typer.Option(help="trials of each fault, 0.6 s each", min=0)] = 500,
    kills: Annotated[int, typer.Option(help="kills of each node, 3 s each", min=0)] = 500,
    json: Json = False,
) -> None:
    """Measure the time from the CAN frame that shows a fault, or from a kill, to the first CAN frame that cuts power."""
    from evse_tools import reaction_bench  # noqa: PLC0415

    raise typer.Exit(reaction_bench.run(trials, kills, json))


@app.command()
def world(
    seconds: Annotated[float, typer.Option(help="processor time to measure for [s]", min=0.1)] = 20.0,
    json: Json = False,
) -> None:
    """Measure how many times faster than real time one processor runs the simulated EVSE."""
    from evse_tools import world_bench  # noqa: PLC0415

    raise typer.Exit(world_bench.run(seconds, json))


@app.command()
def can(
    seconds: Annotated[float, typer.Option(help="time to measure each of the three parts [s]", min=1.0)] = 20.0,
    json: Json = False,
) -> None:
    """Measure can_bridge with two saturated buses: frames lost, time from socket to topic, processor time beside a bare python-can and cantools loop."""
    from evse_tools import can_bench  # noqa: PLC0415

    raise typer.Exit(can_bench.run(seconds, json))


@app.command()
def records(
    sessions: Annotated[int, typer.Option(help="sessions to sign, store and check", min=1, max=1_000_000)] = 1000,
    json: Json = False,
) -> None:
    """Measure how fast sessions are signed and put on disk, and how fast records are checked."""
    from evse_tools import records_bench  # noqa: PLC0415

    raise typer.Exit(records_bench.run(sessions, json))


@app.command()
def ocpp(
    messages: Annotated[int, typer.Option(help="messages in the queue, in hundreds; 0: no queue", min=0, max=1_000_000)] = 10_000,
    frames: Annotated[int, typer.Option(help="frames of a hostile CSMS, 3600 stand for an hour; 0: none", min=0, max=100_000_000)] = 36_000,
    json: Json = False,
) -> None:
    """Measure how fast ocpp_uplink empties its queue beside the bare ocpp library, and what a hostile CSMS does to its memory."""
    from evse_tools import ocpp_bench  # noqa: PLC0415

    raise typer.Exit(ocpp_bench.run(messages, frames, json))


@app.command("meter-kills")
def meter_kills(
    kills: Annotated[int, typer.Option(help="kills at random moments of sessions", min=0, max=100_000)] = 300,
    sessions: Annotated[int, typer.Option(help="sessions with a loss of power at each of their commits; 0: none", min=0, max=100)] = 8,
    seed: Annotated[int, typer.Option(help="the same seed gives the same sessions; moments of kills are real time")] = 1,
    json: Json = False,
) -> None:
    """Kill the energy meter hundreds of times and take its power away at every commit: each session is billed once, nothing is lost."""
    from evse_tools import meter_kill_bench  # noqa: PLC0415

    raise typer.Exit(meter_kill_bench.run(kills, sessions, seed, json))


@app.command()
def recorder(
    seconds: Annotated[float, typer.Option(help="time of each of the two loads [s]", min=2.0)] = 20.0,
    json: Json = False,
) -> None:
    """Measure what the recorder loses at 2,000 messages per second, and what it takes of a processor while one EVSE charges."""
    from evse_tools import recorder_bench  # noqa: PLC0415

    raise typer.Exit(recorder_bench.run(seconds, json))


@app.command()
def verify(
    recordings: Annotated[list[Path] | None, typer.Argument(metavar="[RECORDING ...]", help="recordings (default: tests/bags)")] = None,
    json: Json = False,
) -> None:
    """Measure how many times faster than real time recordings are verified, and what that takes of processor and memory."""
    from evse_tools import verify_bench  # noqa: PLC0415

    raise typer.Exit(verify_bench.run(recordings or (), json))


@app.command()
def mutations(
    guard: Annotated[list[str] | None, typer.Option(help="only guards with this word in their name (again for more)")] = None,
    json: Json = False,
) -> None:
    """Break the guards of the rules in a copy, one at a time, and show which test or invariant notices."""
    from evse_tools import mutation_bench  # noqa: PLC0415

    raise typer.Exit(mutation_bench.run(guard, json))


@app.command()
def graph(
    only: Annotated[list[str] | None, typer.Option(help="only scenarios that fit, such as 'kill:*:charging' (again for more)")] = None,
    list_: Annotated[bool, typer.Option("--list", help="print the names of the scenarios")] = False,
    json: Json = False,
) -> None:
    """Kill, stop, flood and cut off parts of the running graph in every phase of a session; judge power, session and bill."""
    from evse_tools import graph_bench  # noqa: PLC0415

    raise typer.Exit(graph_bench.run(only or (), json, list_))


@app.command()
def limits(
    link: Annotated[list[str] | None, typer.Option(help="only this vehicle link: chademo, secc, pilot (again for more)")] = None,
    json: Json = False,
) -> None:
    """Limit a running session from the CSMS, and measure the time until the current on the bus has followed."""
    from evse_tools import limits_bench  # noqa: PLC0415

    raise typer.Exit(limits_bench.run(tuple(link or ()), json))


@app.command("node-death")
def node_death(
    node: Annotated[list[str] | None, typer.Option(help="only this node (again for more)")] = None,
    json: Json = False,
) -> None:
    """Kill each node with SIGKILL while power flows: the part of `graph` that does so."""
    from evse_tools import graph_bench  # noqa: PLC0415

    raise typer.Exit(graph_bench.node_death(node or (), json))
