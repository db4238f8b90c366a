"""`./station bench recorder`: messages that the recorder loses at a flood, and what it takes of a processor while one EVSE charges."""

import json
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from evse_tools.bag_reader import BagReader
from evse_tools.bench_figures import print_json
from evse_tools.demo_station import own_domain
from evse_tools.machine import machine

RECORDER = "from evse_tools.recorder_node import main; raise SystemExit(main())"
# Messages per second of an EVSE that charges, by topic: counted in a recording of `./station demo`, tests/bags/chademo. [1/s]
CHARGING: Mapping[str, float] = {
    "safety_state": 20.0,
    "session_state": 10.0,
    "power_command": 20.0,
    "vehicle_command": 20.0,
    "io_command": 20.0,
    "vehicle_report": 11.0,
    "power_report": 11.0,
    "io_report": 11.0,
    "can_status": 9.0,
    "can_frames": 10.0,
    "meter_reading": 4.0,
    "node_health": 7.0,
    "decision_trace": 12.0,
    "power_budget": 1.0,
    "sim/vehicle_lines": 20.0,
    "sim/station_lines": 20.0,
    "sim/power": 20.0,
}
# What the recorder promises: messages per second without a loss; share of a core at one charging EVSE. [1/s], [%]
FLOOD, MOST_PROCESSOR = 2000.0, 10.0
# The first number of a message, after 4 bytes of encapsulation: 0 in those that do not count (recorder_load.py).
FIRST = struct.Struct("<4xI")
# Time for the last messages to reach the file. [s]
AFTERMATH = 1.5


@dataclass(frozen=True, slots=True)
class Load:
    """What came of one load: messages per second, published, lost, and the recorder's share of a core [%]."""

    name: str
    rate: float
    published: int
    lost: int
    processor: float


def run(seconds: float, as_json: bool) -> int:
    """Measure both loads. Returns the exit code: 0 where the recorder keeps its promises, else 1."""
    flood = {name: FLOOD / 10.0 for name in list(CHARGING)[:9] if name != "session_state"} | {"session_state": FLOOD / 5.0}
    with own_domain():
        loads = [measure("one EVSE charges", CHARGING, seconds), measure("flood", flood, seconds)]
    kept = not any(load.lost for load in loads) and loads[0].processor < MOST_PROCESSOR
    if as_json:
        rows = [{"name": item.name, "rate": item.rate, "published": item.published, "lost": item.lost} for item in loads]
        processor = {item.name: round(item.processor, 2) for item in loads}
        print_json("recorder", rows, processor_percent=processor, kept=kept)
    else:
        Console().print(_table(loads))
    return 0 if kept else 1


def _table(loads: list[Load]) -> Table:
    table = Table(title="Recorder", caption=machine())
    for name in ("load", "messages/s", "published", "lost", "processor [% of a core]"):
        table.add_column(name, justify="left" if name == "load" else "right")
    for item in loads:
        table.add_row(item.name, f"{item.rate:.0f}", str(item.published), str(item.lost), f"{item.processor:.1f}")
    return table


def measure(name: str, rates: Mapping[str, float], seconds: float) -> Load:
    """Let a process publish at these rates for some time, and another one record it."""
    with tempfile.TemporaryDirectory(prefix="station_bench_") as folder:
        words = {"directory": folder, "station": "bench", "min_free_megabytes": 0.0}
        arguments = ["--ros-args", *(part for key, value in words.items() for part in ("-p", f"{key}:={value}"))]
        log = (Path(folder) / "recorder.log").open("w")
        recorder = subprocess.Popen([sys.executable, "-c", RECORDER, *arguments], stdout=log, stderr=log)
        load = subprocess.Popen(
            [sys.executable, "-m", "evse_tools.recorder_load", json.dumps(rates), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            counts, processor = _watched(load, psutil.Process(recorder.pid), seconds)
            time.sleep(AFTERMATH)
        finally:
            load.kill()
            load.communicate()
            recorder.send_signal(signal.SIGINT)
            recorder.wait(20)
            log.close()
        return Load(name, sum(rates.values()), sum(counts.values()), _lost(Path(folder), counts), processor)


def _watched(load: subprocess.Popen[str], recorder: psutil.Process, seconds: float) -> tuple[dict[str, int], float]:
    assert load.stdin is not None
    assert load.stdout is not None
    if load.stdout.readline().strip() != "ready":
        raise RuntimeError("the recorder was not discovered")
    before, began = recorder.cpu_times(), time.monotonic()
    load.stdin.write("\n")
    load.stdin.flush()
    counts = json.loads(load.stdout.readline())
    after, elapsed = recorder.cpu_times(), time.monotonic() - began
    used = after.user + after.system - before.user - before.system
    return counts, 100.0 * used / max(elapsed, seconds)


def _lost(folder: Path, counts: Mapping[str, int]) -> int:
    """Return how many of the published messages are in no recording."""
    found = Counter[str]()
    for path in (item for item in folder.iterdir() if item.is_dir()):
        with BagReader(path) as bag:
            found.update(item.topic.removeprefix("/evse_1/") for item in bag.items() if FIRST.unpack_from(item.data)[0])
    return sum(max(count - found[name], 0) for name, count in counts.items())
