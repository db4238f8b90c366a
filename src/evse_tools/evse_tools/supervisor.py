"""Starts the processes of a station where only the ROS wheels are installed, keeps them running, and ends them safely.

Each process has its own group, its own log file, and ends by itself when the supervisor dies, however that happens. Who dies is started again after growing
pauses (back_off.py), who hangs is killed first (pulse.py). The end has two stages: first the station, which ends its sessions, then what plays the vehicle,
the modules, the board and the CSMS for it.

Use it from the main thread: the kernel ties a child's life to the thread that started it (prctl(2), PR_SET_PDEATHSIG).
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from evse_nodes.loopback import stay_on_loopback
from evse_tools.back_off import BackOff
from evse_tools.node_specs import NodeSpec
from evse_tools.parameter_file import write_parameters
from evse_tools.process_log import ProcessLog
from evse_tools.pulse import HANG, Pulse
from evse_tools.shared_memory import remove_abandoned, remove_unused, segments

# Waits for SIGINT, SIGTERM, SIGKILL to have worked. Nodes take up to 15 s to end a session (evse_nodes/run.py). [s]
PATIENCE = ((signal.SIGINT, 20.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
# How often the segments of a process are noted, so that they are known when it has been killed. [s]
NOTE_PERIOD = 5.0
# How often is looked whether processes have ended. [s]
POLL = 0.05

# What happened to a process: its name, and what in words.
Report = Callable[[str, str], None]


def command(spec: NodeSpec, parameters: Path) -> list[str]:
    """Return the command line of a process."""
    name = [] if spec.members else ["-r", f"__node:={spec.name}"]
    remaps = ["-r", f"__ns:={spec.namespace}", *name]
    return [*executable(spec), *spec.arguments, "--ros-args", *remaps, "--params-file", str(parameters), "--disable-external-lib-logs"]


def executable(spec: NodeSpec) -> list[str]:
    """Return how to start an executable: the built one, else, in a source tree that is not built, its module. FileNotFoundError where there is neither."""
    for prefix in filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)):
        path = Path(prefix, "lib", spec.package, spec.executable)
        if path.is_file():
            return [str(path)]
    for module in (f"{spec.executable}_node", spec.executable, spec.executable.removeprefix("evse_")):
        if find_spec(f"{spec.package}.{module}"):
            return [sys.executable, "-c", f"import sys; from {spec.package}.{module} import main; sys.exit(main())"]
    raise FileNotFoundError(f"{spec.package} has no executable {spec.executable}; is the workspace built?")


class Child:
    """One process of the station, over all its restarts."""

    def __init__(self, spec: NodeSpec, line: list[str], environment: Mapping[str, str], log: ProcessLog) -> None:
        self.spec = spec
        self.restarts = 0
        self.log = log
        self._line = tied(line)
        self._pulse = Pulse()
        self._environment = dict(environment) | self._pulse.environment
        self._process: subprocess.Popen[bytes] | None = None
        self._began = self._noted = 0.0
        self.back_off = BackOff()
        self._due = self._held = 0.0
        self._segments: frozenset[str] = frozenset()

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process."""
        self._pulse.begin()
        with self.log.open() as output:
            self._process = subprocess.Popen(
                self._line, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=self._environment, process_group=0
            )
        self._began = self._noted = time.monotonic()

    def ended(self) -> int | None:
        """Return the exit code if the process has ended since the last question, negative for a signal."""
        if self._process is None or (code := self._process.poll()) is None:
            self._note_segments()
            return None
        pid, self._process = self._process.pid, None
        # The group goes with its leader.
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        if code < 0:
            remove_unused(self._segments)
        self._segments = frozenset()
        return code

    @property
    def hangs(self) -> bool:
        """The process runs and does nothing any more."""
        return self._process is not None and self._pulse.hangs()

    def plan_restart(self) -> float:
        """Return the pause before the next start [s]."""
        now = time.monotonic()
        pause = self.back_off.pause(now - self._began)
        self._due = now + pause
        return pause

    def hold(self, seconds: float) -> None:
        """Start the process again after this time at the earliest, however soon it ends."""
        self._held = time.monotonic() + seconds

    def restart_if_due(self) -> bool:
        """Start the process again if its pause is over."""
        if self._process is not None or time.monotonic() < max(self._due, self._held):
            return False
        self.restarts += 1
        self.start()
        return True

    def signal(self, number: int) -> None:
        """Send a signal to the process; SIGKILL to its whole group."""
        if self._process is None:
            return
        if number == signal.SIGKILL:
            self._noted = 0.0
            self._note_segments()
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)

    def _note_segments(self) -> None:
        now = time.monotonic()
        if self._process is not None and now - self._noted >= NOTE_PERIOD:
            self._noted = now
            self._segments |= segments(self._process.pid)


def tied(line: Sequence[str]) -> list[str]:
    """Return a command line whose process ends when the thread that starts it does, however that happens. FileNotFoundError without util-linux."""
    found = shutil.which("setpriv")
    if found is None:
        raise FileNotFoundError("setpriv is missing; it is part of util-linux")
    return [found, "--pdeathsig", "TERM", "--", *line]


class Supervisor:
    """The processes of a station: start(), poll() again and again, stop().

    `directory` takes the parameter file and the log files. `report(name, text)` hears of ends, restarts, and of what the processes print as a warning or worse.
    """

    def __init__(
        self,
        specs: Sequence[NodeSpec],
        directory: Path,
        report: Report = lambda name, text: None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self._report = report
        parameters = write_parameters(specs, directory / "parameters.yaml")
        variables = dict(os.environ if environment is None else environment)
        # The logs are files here: no colours, no buffers, and no second copy in ~/.ros.
        variables |= {"RCUTILS_COLORIZED_OUTPUT": "0", "PYTHONUNBUFFERED": "1", "ROS_LOG_DIR": str(directory / "ros")}
        stay_on_loopback(variables)
        self.children = [
            Child(spec, command(spec, parameters), variables, ProcessLog(directory / f"{spec.full_name.strip('/').replace('/', '.')}.log"))
            for spec in specs
        ]

    def start(self) -> None:
        """Start everything."""
        remove_abandoned()
        for child in self.children:
            child.start()

    def pids(self) -> dict[str, int]:
        """Return the running processes by the full name of their node."""
        return {child.spec.full_name: child.pid for child in self.children if child.pid is not None}

    def poll(self) -> None:
        """Report what was printed, and start again who has ended. Call it a few times a second."""
        self._forward()
        for child in self.children:
            if (code := child.ended()) is not None:
                self._forward()
                self._report(child.spec.full_name, f"{ending(code)}; starting it again in {child.plan_restart():.0f} s")
            elif child.hangs:
                self._report(child.spec.full_name, f"hangs for {HANG:.0f} s; ending it")
                child.signal(signal.SIGKILL)
            elif child.pid is None and child.restart_if_due():
                self._report(child.spec.full_name, f"started again, {child.restarts}. time")

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> bool:
        """End everything; returns whether each process ended well by itself. hurry() is asked all the time; true shortens the wait that is on."""
        station = [child for child in self.children if not child.spec.is_simulator]
        orderly = self._end(station, hurry)
        orderly &= self._end(self.children, hurry)
        self._forward()
        return orderly

    def _end(self, children: Sequence[Child], hurry: Callable[[], bool]) -> bool:
        orderly = True
        for number, patience in PATIENCE:
            running = [child for child in children if child.pid is not None]
            if not running:
                break
            if number != signal.SIGINT:
                orderly = False
                self._report("supervisor", f"{number.name} to {', '.join(child.spec.full_name for child in running)}")
            for child in running:
                child.signal(number)
            # Nobody can refuse SIGKILL: it is always waited for.
            orderly &= self._wait(running, patience, hurry if number != signal.SIGKILL else lambda: False)
        return orderly

    def _wait(self, children: Sequence[Child], patience: float, hurry: Callable[[], bool]) -> bool:
        """Wait until the children have ended; returns whether those that did ended well."""
        orderly, deadline = True, time.monotonic() + patience
        while True:
            for child in children:
                # SIGINT itself ends who was still importing and has done nothing yet.
                if (code := child.ended()) and code != -signal.SIGINT:
                    orderly = False
                    self._report(child.spec.full_name, ending(code))
            if all(child.pid is None for child in children) or time.monotonic() > deadline or hurry():
                return orderly
            self._forward()
            time.sleep(POLL)

    def _forward(self) -> None:
        for child in self.children:
            for line in child.log.problems():
                self._report(child.spec.full_name, line)


def ending(code: int) -> str:
    """Return an exit code in words."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
