"""`station bench reaction`: from the CAN frame that shows a fault to the first CAN frame that cuts power, through can_bridge and safety_monitor as processes.

The bench is the devices on three simulated buses (reaction_devices.py); a process of its own plays the sequencer (reaction_player.py). Each trial lets
power flow, breaks something, and takes the time at which the cutting frame was received. A killed node's trial counts from the kill.
"""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from evse_core.safety_config import SafetyConfig
from evse_core.types import BusLink
from evse_nodes import priority
from evse_nodes.can_bus import CanPort
from evse_tools.bench_figures import figure, print_json, print_table
from evse_tools.demo_station import default_description, own_domain, write_station
from evse_tools.description import Description
from evse_tools.node_specs import NodeSpec, node_specs
from evse_tools.parameter_file import write_parameters
from evse_tools.reaction_devices import VOLTAGE, Devices
from evse_tools.supervisor import command, tied
from evse_tools.turning import Turning

LINKS = {BusLink.VEHICLE: "vehicle_bus", BusLink.POWER: "power_bus", BusLink.IO: "io_bus"}
# Above every trip of a 500 V rating (evse_core/safety_config.py). [V]
FAR_TOO_HIGH = 600.0
# Power must have flowed for so long before something breaks, so that nothing is still settling; a random part keeps trials off the grid of the periods. [s]
SETTLED, RANDOM = 0.25, 0.1
# Longest waits: for power after start or restart (discovery takes up to 3 s), and for the cut. [s]
START, CUT = 30.0, 5.0
# Lines of each log that are shown where a trial fails. [1]
LAST_LINES = 6
# Pause between two looks at the buses: the ports stamp frames themselves, so this costs no accuracy. [s]
LOOK = 0.001


@dataclass
class Rig(Turning):
    """The processes and the devices."""

    specs: dict[str, NodeSpec]
    parameters: Path
    folder: Path
    devices: Devices
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start a process, or start it again."""
        line = [sys.executable, "-m", "evse_tools.reaction_player", "--ros-args", "-r", "__ns:=/evse_1"]
        if name != "player":
            line = command(self.specs[name], self.parameters)
        with (self.folder / f"{name}.log").open("a") as log:
            self.processes[name] = subprocess.Popen(tied(line), stdin=subprocess.PIPE, stdout=log, stderr=log, text=True)

    def kill(self, name: str) -> float:
        """Kill a process; returns when."""
        moment = time.monotonic()
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()
        return moment

    def say(self, word: str) -> None:
        """Tell the player."""
        pipe = self.processes["player"].stdin
        assert pipe is not None
        pipe.write(f"{word}\n")
        pipe.flush()

    def turn(self) -> None:
        """Let the devices speak once."""
        self.devices.turn()
        time.sleep(LOOK)

    def power_up(self) -> None:
        """Bring power to the output from wherever the last trial has left things; RuntimeError where it never comes."""
        devices, end = self.devices, time.monotonic() + START
        while time.monotonic() < end:
            self.say("off")
            self.until(lambda: False, 0.12)
            self.say("reset")
            self.until(lambda: False, 0.08)
            self.say("on")
            if self.until(lambda: devices.powered, 0.5):
                since = time.monotonic()
                if not self.until(lambda: not devices.powered, SETTLED + RANDOM * (since * 1e3 % 1.0)):
                    return
        raise RuntimeError(f"power never flowed within {START:.0f} s{self.last_words()}")

    def last_words(self) -> str:
        """Return the end of each log."""
        found = ((name, (self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-LAST_LINES:]) for name in self.processes)
        return "".join(f"\n  {name}: {line}" for name, lines in found for line in lines)

    def close(self) -> None:
        """End everything."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        for port in self.devices.ports.values():
            port.close()


# A trial breaks something and returns the moment from which the time counts.
Trial = Callable[[Rig], float]


def _emergency_stop(rig: Rig) -> float:
    rig.devices.emergency = True
    return rig.devices.speak(BusLink.IO)


def _over_voltage(rig: Rig) -> float:
    rig.devices.voltage = FAR_TOO_HIGH
    return rig.devices.speak(BusLink.POWER)


def _vehicle_silent(rig: Rig) -> float:
    rig.devices.vehicle_speaks = False
    return rig.devices.vehicle_at + SafetyConfig().vehicle_timeout


def _killed(name: str) -> Trial:
    return lambda rig: rig.kill(name)


TRIALS: dict[str, Trial] = {
    "emergency stop": _emergency_stop,
    "over-voltage": _over_voltage,
    "vehicle silent, after its deadline": _vehicle_silent,
    "safety_monitor killed": _killed("safety_monitor"),
    "charge_sequencer killed": _killed("player"),
}


def trial(rig: Rig, break_it: Trial) -> float:
    """Return the time of one trial [s]; RuntimeError where power was not cut."""
    rig.power_up()
    devices = rig.devices
    devices.cut_at = 0.0
    began = break_it(rig)
    if not rig.until(lambda: devices.cut_at > 0.0, CUT):
        raise RuntimeError(f"power was not cut within {CUT:.0f} s{rig.last_words()}")
    devices.emergency, devices.voltage, devices.vehicle_speaks = False, VOLTAGE, True
    for name, process in list(rig.processes.items()):
        if process.poll() is not None:
            rig.start(name)
    return devices.cut_at - began


@contextmanager
def rig(folder: Path) -> Iterator[Rig]:
    """Yield a rig in a ROS domain of its own."""
    description = write_station(default_description(), 1, "", folder)
    with own_domain():
        made = _rig(description, folder)
        try:
            for name in ("can_bridge", "safety_monitor", "player"):
                made.start(name)
            yield made
        finally:
            made.close()


def _patient(spec: NodeSpec) -> NodeSpec:
    """Let the monitor take what is killed again and again for no restart loop, which would bar the next trial."""
    return replace(spec, parameters={**spec.parameters, "restart_limit": 1000}) if spec.name == "safety_monitor" else spec


def _rig(description: Description, folder: Path) -> Rig:
    specs = [_patient(spec) for spec in node_specs(description)]
    buses = description.evses[0].buses
    ports = {
        link: CanPort(name, buses[name].interface, buses[name].channel, buses[name].bitrate, buses[name].options)
        for link, name in LINKS.items()
    }
    return Rig({spec.name: spec for spec in specs}, write_parameters(specs, folder / "parameters.yaml"), folder, Devices(ports))


def run(trials: int, kills: int, as_json: bool) -> int:
    """Run all trials: so many of each fault, so many kills of each node. Returns 1 where power was not cut."""
    console, figures = Console(stderr=True, highlight=False), []
    # The devices are hardware: they must not wait for the processor longer than the nodes do.
    priority.ask(urgent=True)
    with tempfile.TemporaryDirectory(prefix="station_bench_") as folder, rig(Path(folder)) as made:
        try:
            for name, break_it in TRIALS.items():
                count = kills if "killed" in name else trials
                times = [trial(made, break_it) for _ in track(range(count), name, console=console, transient=True)]
                if times:
                    figures.append(figure(name, [1e3 * value for value in times], "ms"))
        except RuntimeError as error:
            console.print(f"{name}: {error}", style="red", markup=False)
            return 1
    if as_json:
        print_json("reaction", figures)
    else:
        print_table("From the fault to the first CAN frame that cuts power", ("fault", "trials", "worst"), figures)
    return 0
