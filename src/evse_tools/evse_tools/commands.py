"""The commands with their arguments. The work is done by the modules that they import."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from evse_core import vehicle_link
from evse_tools import bench_commands, records_commands

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help="A charging station as a ROS 2 node graph."
)
app.add_typer(bench_commands.app, name="bench")
app.add_typer(records_commands.app, name="records")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="station description, YAML")]


@app.command()
def up(file: FileArgument) -> None:
    """Run the station of a description until Ctrl-C, then end its sessions safely."""
    from evse_tools import up_command  # noqa: PLC0415

    raise typer.Exit(up_command.run(file))


@app.command()
def demo(
    evses: Annotated[int | None, typer.Option(min=1, max=8, help="number of EVSEs (default: as the description, 1 without)")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1.0, help="how long each car charges before its driver presses stop [s] (default 30)")
    ] = None,
    energy_wh: Annotated[float | None, typer.Option(min=1.0, help="energy after which the driver presses stop [Wh]")] = None,
    fault: Annotated[str, typer.Option(help="break something while it charges; `station sim fault` lists what")] = "",
    csms: Annotated[str, typer.Option(help="a real CSMS, ws://host:port/path, instead of the simulated one")] = "",
    json: Annotated[str, typer.Option(metavar="FILE", help="write what happened as JSON; - for stdout")] = "",
    description: Annotated[Path | None, typer.Option(help="station description (default: config/single_evse.yaml)")] = None,
    output: Annotated[Path | None, typer.Option(help="folder for what the demo writes (default: station_data)")] = None,
    link: Annotated[
        str, typer.Option(help="what the vehicle hangs on: chademo (default), secc for a charge controller with CCS, pilot for AC")
    ] = "",
    discharge: Annotated[bool, typer.Option("--discharge", help="charge, give power to the site, charge again")] = False,
) -> None:
    """Charge simulated cars through whole sessions; shows receipt, time line, chart and recording."""
    from evse_tools import demo as demo_module  # noqa: PLC0415

    began = float(os.environ.get("STATION_BEGAN", time.time()))
    raise typer.Exit(demo_module.run(evses, seconds, energy_wh, fault, csms, json, description, output, began, link, discharge))


@app.command()
def analyze(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CAN log (candump, SavvyCAN CSV, BLF, ASC, ...) or a recording: its folder or .mcap")
    ],
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="of a log: draw what both parties said; of a recording: the same as --sheet")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(metavar="FILE", help="draw the sheet of a session, .png or .pdf")] = None,
    session: Annotated[
        int, typer.Option(min=0, help="number of the session to be drawn (default: the last that went wrong, else the last)")
    ] = 0,
) -> None:
    """Say how far the charging sessions in a CAN log or a recording came, what ended them, and why."""
    from evse_tools import analyze as analyze_module  # noqa: PLC0415
    from evse_tools import bag_analyze, session_source  # noqa: PLC0415

    if session_source.is_recording(file):
        raise typer.Exit(bag_analyze.run(file, json, sheet or plot, session))
    raise typer.Exit(analyze_module.run(file, json, plot, sheet, session))


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="recording (its folder or .mcap) or CAN log")],
    second: Annotated[Path, typer.Argument(metavar="B", help="another one, or the same")],
    session_a: Annotated[
        int, typer.Option("--session-a", min=0, help="session of A (default: the last that went wrong, else the last)")
    ] = 0,
    session_b: Annotated[int, typer.Option("--session-b", min=0, help="session of B")] = 0,
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="draw both into this file, .png or .pdf")] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Lay two sessions of recordings or CAN logs side by side and show what differs."""
    from evse_tools import compare as compare_module  # noqa: PLC0415

    raise typer.Exit(compare_module.run((first, second), (session_a, session_b), plot, json))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="recordings and CAN logs anywhere below it")],
    output: Annotated[Path | None, typer.Option(metavar="HTML", help="the page (default: report.html in the folder)")] = None,
    sheets: Annotated[bool, typer.Option("--sheets", help="draw the sheet of each session that went wrong, too")] = False,
) -> None:
    """Write one page over all sessions of recordings and CAN logs below a folder: energy, success, causes of failure, slowest steps, worst silences."""
    from evse_tools import report_page  # noqa: PLC0415

    raise typer.Exit(report_page.run(folder, output, sheets))


@app.command("replay-can")
def replay_can(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="CAN log of a CHAdeMO vehicle bus, both parties in it")],
    role: Annotated[str, typer.Option("--as", metavar="vehicle", help="whose recorded frames are played")] = "vehicle",
    json: Annotated[str, typer.Option(metavar="FILE", help="write the comparison as JSON; - for stdout")] = "",
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="draw both chargers into this file, .png or .pdf")] = None,
    description: Annotated[
        Path | None, typer.Option(help="station description; its first EVSE is tried (default: config/single_evse.yaml)")
    ] = None,
    open_loop: Annotated[bool, typer.Option("--open-loop", help="keep the log's own timing: do not wait for our charger")] = False,
    output: Annotated[Path | None, typer.Option(help="folder to keep process logs and the bus in (default: none is kept)")] = None,
) -> None:
    """Let our charger charge the vehicle of a CAN log, in real time, and compare its answers with those of the recorded charger."""
    from evse_tools import replay_can as replay_module  # noqa: PLC0415

    raise typer.Exit(replay_module.run(log, role, json, plot, description, open_loop, output))


@app.command()
def replay(
    bag: Annotated[Path, typer.Argument(metavar="BAG", help="recording: a folder, or an MCAP file")],
    rate: Annotated[float, typer.Option(help="pace; 1 is as it was, 2 twice as fast")] = 1.0,
    begin: Annotated[float, typer.Option("--from", help="where to begin [s from the begin of the recording]")] = 0.0,
    topics: Annotated[list[str] | None, typer.Option(help="only this topic, such as '/evse_1/*' (again for more)")] = None,
) -> None:
    """Publish a recording again, with /clock, to look at it; refuses where a station is running in the same ROS_DOMAIN_ID."""
    from evse_tools import replay as replay_module  # noqa: PLC0415

    raise typer.Exit(replay_module.run(bag, rate, begin, topics or ()))


@app.command()
def verify(
    bag: Annotated[Path, typer.Argument(metavar="BAG", help="recording: a folder, or an MCAP file")],
    json: Annotated[str, typer.Option(metavar="FILE", help="write the result as JSON; - for stdout")] = "",
    description: Annotated[Path | None, typer.Option(help="station description to take instead of the one in the recording")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="write today's differences beside the recording, as reviewed")] = False,
) -> None:
    """Run the recorded inputs through today's rules and compare every decision with the recorded one; exit code 1 where one differs."""
    from evse_tools import verify as verify_module  # noqa: PLC0415

    raise typer.Exit(verify_module.run(bag, json, description, accept))


@app.command()
def sim(actions: Annotated[list[str], typer.Argument(help="plug-in, unplug, start, stop, token ID, fault NAME, battery ...")]) -> None:
    """Play the driver against a running simulated station (`station sim --help`)."""
    from evse_tools import sim_command  # noqa: PLC0415

    raise typer.Exit(sim_command.main(actions))


@app.command()
def csms(
    actions: Annotated[list[str], typer.Argument(help="serve, list, start TOKEN, stop NUMBER, price, profile, reserve, misbehave ...")],
) -> None:
    """A CSMS to work with by hand (`station csms --help`)."""
    from evse_tools import csms_command  # noqa: PLC0415

    raise typer.Exit(csms_command.main(actions))


@app.command()
def audit(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help="data_dir of a station, its description, or audit.sqlite (default: the one in station_data)"),
    ] = None,
    since: Annotated[str, typer.Option(help="only since a time (2026-11-20T10:00, UTC) or an age (90m, 2h, 30d)")] = "",
    parameter: Annotated[str, typer.Option(help="only parameters with this in their name, such as tariff.")] = "",
    json: Annotated[str, typer.Option(metavar="FILE", help="write the entries as JSON; - for stdout")] = "",
    csv: Annotated[str, typer.Option(metavar="FILE", help="write the entries as CSV; - for stdout")] = "",
    verify: Annotated[bool, typer.Option("--verify", help="only say whether the trail is whole")] = False,
) -> None:
    """Show every change of what is metered, priced and signed; exit code 1 where the trail is not whole."""
    from evse_tools import audit_command  # noqa: PLC0415

    raise typer.Exit(audit_command.run(path, since, parameter, json, csv, verify))


@app.command()
def doctor(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="station description to be checked, too")] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Tell what is installed, which ROS, which CAN interfaces, and whether a description is valid."""
    from evse_tools import doctor as doctor_module  # noqa: PLC0415

    raise typer.Exit(doctor_module.run(file, json))


@app.command()
def docs(check: Annotated[bool, typer.Option("--check", help="only tell whether they are up to date")] = False) -> None:
    """Write the generated pages of docs/ again."""
    from evse_tools import generated_docs  # noqa: PLC0415

    raise typer.Exit(generated_docs.run(check))


@app.command()
def campaign(
    sessions: Annotated[int, typer.Option(min=1, max=1_000_000, help="number of sessions")] = 100,
    seed: Annotated[int, typer.Option(help="the same seed gives the same sessions")] = 1,
    json: Annotated[str, typer.Option(metavar="FILE", help="write the result as JSON; - for stdout")] = "",
    jobs: Annotated[int, typer.Option(min=0, max=256, help="processes (default: as many as processors)")] = 0,
    only: Annotated[int, typer.Option(min=0, help="play only the session of this number")] = 0,
    plan: Annotated[Path | None, typer.Option(help="play the plan in this JSON file, as a violation prints it")] = None,
    link: Annotated[
        str, typer.Option(help="link of the vehicle: chademo, secc, pilot; chademo-v2x, secc-v2x: it gives power, too")
    ] = vehicle_link.CHADEMO,
    cabinet: Annotated[bool, typer.Option("--cabinet", help="runs of four EVSEs that share a cabinet of twelve modules")] = False,
) -> None:
    """Break thousands of simulated sessions at random and prove that nothing unsafe happens."""
    from evse_tools import campaign_command  # noqa: PLC0415

    raise typer.Exit(campaign_command.run(sessions, seed, json, jobs, only, plan, "cabinet" if cabinet else link))


@app.command()
def fuzz(
    seconds: Annotated[float, typer.Option(min=0.0, help="how long [s] (default 30, or as --examples says)")] = 0.0,
    examples: Annotated[int, typer.Option(min=0, help="cases of each kind, instead of a time")] = 0,
    seed: Annotated[int, typer.Option(help="the same seed gives the same cases")] = 1,
    what: Annotated[str, typer.Option(help="frames, topics, descriptions or all")] = "all",
    only: Annotated[int, typer.Option(min=0, help="play only the case of this number")] = 0,
    case: Annotated[Path | None, typer.Option(help="play the case in this JSON file, as a finding prints it")] = None,
    json: Annotated[str, typer.Option(metavar="FILE", help="write the result as JSON; - for stdout")] = "",
) -> None:
    """Throw random CAN frames, messages and descriptions at the station: nothing may fall over, nothing unsafe may be commanded."""
    from evse_tools import fuzz_command  # noqa: PLC0415

    raise typer.Exit(fuzz_command.run(seconds, examples, seed, what, only, case, json))
