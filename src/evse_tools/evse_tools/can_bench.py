"""`station bench can`: can_bridge with two saturated buses, and beside it, in the same run, a bare loop of python-can and cantools on the same traffic.

Three parts of the same length, with can_bridge as a process of its own, the sender as another (can_traffic.py), and this one with the commands of a station
that charges (reaction_player.py) and the subscriptions of its topics:
1. can_bridge with can_frames, as a station records them;
2. can_bridge without can_frames;
3. the bare loop: a process per bus, which receives and decodes and does nothing else.
What is measured:
- frames lost: sent less received, unknown and malformed in can_status, and what can_status calls dropped;
- latency: from just before the sender gives the socket the first frame with a new value (a leap) to the callback with the typed report that shows it;
- processor time per frame, of windows of a second; of the bridge all that its process does, sending, deciding and publishing included.
"""

import json
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from rich.progress import track

from evse_core.types import BusLink
from evse_tools.bench_figures import figure, print_json, print_table
from evse_tools.can_bare_loop import QUIET
from evse_tools.can_bench_station import Station
from evse_tools.can_traffic import Group, Leap
from evse_tools.demo_station import default_description, group, own_domain, write_station
from evse_tools.node_specs import NodeSpec, node_specs
from evse_tools.parameter_file import write_parameters
from evse_tools.supervisor import command, tied

# Which database each bus speaks.
BUSES = {BusLink.VEHICLE: "chademo", BusLink.POWER: "evse_v3"}
PREFIXES = {BusLink.VEHICLE: "vehicle_bus", BusLink.POWER: "power_bus"}
# What is wanted: docs/design.md, can_bridge under full load. [core], [ms], [1]
MOST_CORES, MOST_LATENCY, MOST_RATIO = 1.0, 5.0, 2.0
# Longest waits: for the bridge to be there with all buses, and for it to have counted the last frame. [s]
START, SETTLE = 30.0, 5.0
# How long a process may take to end. [s]
PATIENCE = 5.0
# Time before the first window of a measurement, and length of a window. [s]
WARM, WINDOW = 1.0, 1.0
# A report that comes so late after a leap is of no use, and may be of the next leap with this value: those are 2.4 s apart at least (can_traffic.py). [s]
TOO_LATE = 1.0
# Lines of the bridge's log that are shown where it fails. [1]
LAST_LINES = 6
RECORDED, SILENT = "can_bridge", "can_bridge without can_frames"


@dataclass(frozen=True, slots=True)
class Sent:
    """What the sender says: frames by link, leaps, and how long it took [s]."""

    frames: dict[int, int]
    leaps: list[Leap]
    took: float


@dataclass(frozen=True, slots=True)
class Part:
    """What came of a part with can_bridge: frames sent and lost, latencies [s], load of a core [1] and processor time per frame [s] of each window."""

    sent: int
    lost: int
    missed: int
    latencies: list[float]
    cores: list[float]
    per_frame: list[float]
    recorded: int


@dataclass(frozen=True, slots=True)
class Bare:
    """What came of the bare loop: frames sent and lost, processor time per frame of each window [s]."""

    sent: int
    lost: int
    per_frame: list[float]


def latencies(leaps: Sequence[Leap], seen: Sequence[tuple[int, float, float]]) -> list[float]:
    """Return for each leap that a report has shown how long that took [s]; seen: link, value, time of each report, in order."""
    found = []
    for link in {leap.link for leap in leaps}:
        reports = [(value, at) for number, value, at in seen if number == link]
        times = [at for _, at in reports]
        for leap in (leap for leap in leaps if leap.link == link):
            shown = (
                at for value, at in reports[bisect_left(times, leap.at) : bisect_left(times, leap.at + TOO_LATE)] if value == leap.value
            )
            if (at := next(shown, None)) is not None:
                found.append(at - leap.at)
    return found


@dataclass
class Rig:
    """Where everything is."""

    folder: Path
    groups: dict[BusLink, Group]
    bridge: NodeSpec

    def sender(self, seconds: float) -> subprocess.Popen[str]:
        """Start the sender."""
        buses = [{"link": int(link), "channel": place.channel, "port": place.port} for link, place in self.groups.items()]
        return started("can_traffic", {"seconds": seconds, "buses": buses})

    def start(self, publish_frames: bool) -> subprocess.Popen[bytes]:
        """Start can_bridge."""
        spec = replace(self.bridge, parameters={**self.bridge.parameters, "publish_frames": publish_frames})
        parameters = write_parameters([spec], self.folder / "parameters.yaml")
        with self.log.open("wb") as log:
            return subprocess.Popen(tied(command(spec, parameters)), stdout=log, stderr=log)

    @property
    def log(self) -> Path:
        """What the bridge says."""
        return self.folder / "can_bridge.log"

    def last_words(self) -> str:
        """Return the end of the bridge's log."""
        return "".join(f"\n  {line}" for line in self.log.read_text(errors="replace").splitlines()[-LAST_LINES:])


def started(module: str, order: Any) -> subprocess.Popen[str]:
    """Start a helper that takes its order as an argument and answers on standard output."""
    line = [sys.executable, "-m", f"evse_tools.{module}", json.dumps(order)]
    return subprocess.Popen(tied(line), stdout=subprocess.PIPE, text=True)


def answer(process: subprocess.Popen[str]) -> Any:
    """Return what a helper says when it ends; RuntimeError where it does not."""
    said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{process.args[-2:]!r} ended with {process.returncode}")  # type: ignore[index]
    return json.loads(said.splitlines()[-1])


def sent_by(process: subprocess.Popen[str]) -> Sent:
    """Return what a sender that has ended has sent."""
    said = answer(process)
    return Sent({int(link): count for link, count in said["sent"].items()}, [Leap(**leap) for leap in said["leaps"]], said["took"])


@contextmanager
def ended(*processes: subprocess.Popen[Any]) -> Iterator[None]:
    """End processes with the block, however it ends."""
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def rig(folder: Path) -> Iterator[Rig]:
    """Yield a rig in a ROS domain and on buses of its own."""
    description = write_station(default_description(), 1, "", folder)
    with own_domain() as domain:
        # A UDP port of its own besides, so that nothing else on this machine is heard by the bare loop either.
        groups = {link: Group(group(), 50_000 + 10 * domain + int(link)) for link in BUSES}
        buses: dict[str, str] = {}
        for link, place in groups.items():
            buses |= {f"{PREFIXES[link]}.channel": place.channel, f"{PREFIXES[link]}.options": json.dumps({"port": place.port})}
        (bridge,) = (spec for spec in node_specs(description) if spec.name == "can_bridge")
        yield Rig(folder, groups, replace(bridge, parameters={**bridge.parameters, **buses}))


def measure(made: Rig, seconds: float, publish_frames: bool, show: Any) -> Part:
    """Play one part with can_bridge; RuntimeError where it does not come up or dies."""
    bridge = made.start(publish_frames)
    with ended(bridge), Station() as station:
        if not station.until(lambda: station.is_ready, START):
            raise RuntimeError(f"can_bridge did not open its buses within {START:.0f} s{made.last_words()}")
        sender = made.sender(WARM + seconds)
        with ended(sender):
            station.until(lambda: station.counted > 0, START)
            station.until(lambda: False, WARM)
            cores, per_frame = [], []
            process = psutil.Process(bridge.pid)
            for _ in show(range(max(1, round(seconds / WINDOW)))):
                load, cost = _window(station, process)
                cores.append(load)
                per_frame.append(cost)
            while sender.poll() is None:
                station.turn()
            sent = sent_by(sender)
        total = sum(sent.frames.values())
        station.until(lambda: station.counted >= total or bridge.poll() is not None, SETTLE)
        if bridge.poll() is not None:
            raise RuntimeError(f"can_bridge ended{made.last_words()}")
        lost = sum(max(count - station.count(link), station.dropped(link)) for link, count in sent.frames.items())
        found = latencies(sent.leaps, station.seen)
        return Part(total, lost, len(sent.leaps) - len(found), found, cores, per_frame, station.recorded)


def _window(station: Station, process: psutil.Process) -> tuple[float, float]:
    """Return load [1] and processor time per frame [s] of one window."""
    times, frames, began = process.cpu_times(), station.counted, time.monotonic()
    station.until(lambda: False, WINDOW)
    later, took = process.cpu_times(), time.monotonic() - began
    busy = later.user + later.system - times.user - times.system
    return busy / took, busy / max(station.counted - frames, 1)


def bare(made: Rig, seconds: float) -> Bare:
    """Play the part with the bare loop."""
    loops = [
        started("can_bare_loop", {"channel": place.channel, "port": place.port, "database": BUSES[link]})
        for link, place in made.groups.items()
    ]
    with ended(*loops):
        for loop in loops:
            assert loop.stdout is not None
            loop.stdout.readline()
        sender = made.sender(WARM + seconds)
        with ended(sender):
            sent = sent_by(sender)
        answers = [answer(loop) for loop in loops]
    total = sum(sent.frames.values())
    windows = zip(*(said["windows"] for said in answers), strict=False)
    return Bare(total, total - sum(said["frames"] for said in answers), [sum(pair) / len(pair) for pair in windows])


def figures(parts: dict[str, Part], loop: Bare) -> list[dict[str, Any]]:
    """Return the rows."""
    rows = []
    for name, part in parts.items():
        if part.latencies:
            rows.append(figure(f"{name}: socket to topic", [1e3 * value for value in part.latencies], "ms"))
        rows.append(figure(f"{name}: processor", [100.0 * value for value in part.cores], "% of a core"))
        rows.append(figure(f"{name}: processor time per frame", [1e6 * value for value in part.per_frame], "us"))
    rows.append(figure("bare loop: processor time per frame", [1e6 * value for value in loop.per_frame], "us"))
    return rows


def aims(parts: dict[str, Part], loop: Bare) -> list[dict[str, Any]]:
    """Return what was wanted, what came, and whether that is it."""
    rows = []
    for name, part in parts.items():
        latency = figure("", [1e3 * value for value in part.latencies], "ms")["p99"] if part.latencies else float("inf")
        ratio = median(part.per_frame) / median(loop.per_frame)
        rows += [
            _aim(f"{name}: frames lost", part.lost, 0, ""),
            _aim(f"{name}: cores", round(median(part.cores), 2), MOST_CORES, ""),
            _aim(f"{name}: socket to topic, 99 %", latency, MOST_LATENCY, "ms"),
            _aim(f"{name}: processor time per frame against the bare loop", round(ratio, 2), MOST_RATIO, "x"),
        ]
    return rows


def _aim(name: str, value: float, most: float, unit: str) -> dict[str, Any]:
    return {"name": name, "value": value, "most": most, "unit": unit, "met": value <= most}


def counts(parts: dict[str, Part], loop: Bare) -> dict[str, Any]:
    """Return what was counted."""
    told = {
        name: {"sent": part.sent, "lost": part.lost, "leaps_without_report": part.missed, "in_can_frames": part.recorded}
        for name, part in parts.items()
    }
    return told | {"bare loop": {"sent": loop.sent, "lost": loop.lost}}


def run(seconds: float, as_json: bool) -> int:
    """Measure each part for some seconds. Returns 1 where can_bridge loses frames or the graph fails; an aim that is missed is only said."""
    console = Console(stderr=True, highlight=False)
    parts: dict[str, Part] = {}
    with tempfile.TemporaryDirectory(prefix="station_bench_") as folder, rig(Path(folder)) as made:
        try:
            for name, publish_frames in ((RECORDED, True), (SILENT, False)):
                parts[name] = measure(
                    made, seconds, publish_frames, lambda windows, name=name: track(windows, name, console=console, transient=True)
                )
            with console.status(f"bare loop, {WARM + seconds + QUIET:.0f} s"):
                loop = bare(made, seconds)
        except RuntimeError as error:
            console.print(f"bench can: {error}", style="red", markup=False)
            return 1
    rows, wanted, told = figures(parts, loop), aims(parts, loop), counts(parts, loop)
    if as_json:
        print_json("can", rows, aims=wanted, frames=told)
    else:
        _print(rows, wanted, told)
    return int(any(part.lost for part in parts.values()))


def _print(rows: list[dict[str, Any]], wanted: list[dict[str, Any]], told: dict[str, Any]) -> None:
    print_table("can_bridge with two saturated buses of 4,000 eight-byte frames/s", ("figure", "values", "worst"), rows)
    for name, numbers in told.items():
        print(f"{name}: " + ", ".join(f"{count} {word.replace('_', ' ')}" for word, count in numbers.items()))
    for row in wanted:
        print(f"{'met    ' if row['met'] else 'not met'} {row['name']}: {row['value']:g} {row['unit']} (aim: at most {row['most']:g})")
