"""The supervisor with small programs in place of nodes: who is started, restarted, heard and ended, and that nobody is left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evse_tools import pulse
from evse_tools import supervisor as module
from evse_tools.back_off import BackOff
from evse_tools.node_specs import NodeSpec
from evse_tools.supervisor import Supervisor

# Programs: each notes its process id at the start, and when it ended.
GOOD = "signal.sigwait({signal.SIGINT, signal.SIGTERM})"
SLOW = "signal.sigwait({signal.SIGINT}); time.sleep(0.4)"
DEAF = "signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN); note('ready'); time.sleep(60)"
WITH_CHILD = "note('child', subprocess.Popen(['sleep', '60']).pid); signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
CRASHING = "sys.exit(3)"
TALKING = "print('[INFO] [1.5] [a]: fine'); print('[WARN] [1.5] [a]: odd', file=sys.stderr); note('ready'); " + GOOD
Make = Callable[..., Supervisor]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    return tmp_path


def program(place: Path, package: str, name: str, body: str) -> NodeSpec:
    """Write an executable of a package and return its specification."""
    path = place / "lib" / package / name
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f"""\
        #!{sys.executable} -S
        import os, signal, subprocess, sys, time
        signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGINT, signal.SIGTERM}}) if "sigwait" in {body!r} else None
        def note(what, value=time.monotonic):
            with open({str(place / name)!r} + "." + what, "a") as file:
                print(value() if callable(value) else value, file=file)
        note("pid", os.getpid())
        """
    path.write_text(textwrap.dedent(head) + body + "\nnote('end')\n", encoding="utf-8")
    path.chmod(0o755)
    return NodeSpec(package, name, name)


@pytest.fixture
def make(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Return a function that makes a supervisor of programs; whatever happens, none of them outlives the test."""
    monkeypatch.setattr(module, "PATIENCE", ((signal.SIGINT, 2.0), (signal.SIGTERM, 0.3), (signal.SIGKILL, 5.0)))
    made: list[Supervisor] = []

    def build(*specs: NodeSpec, report: Callable[[str, str], None] = lambda name, text: None) -> Supervisor:
        made.append(Supervisor(specs, place / "log", report))
        return made[-1]

    yield build
    for each in made:
        for child in each.children:
            child.signal(signal.SIGKILL)


def lines(place: Path, name: str) -> list[str]:
    path = place / name
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def wait(what: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_all_are_started_and_end_by_themselves(place: Path, make: Make) -> None:
    station = make(program(place, "evse_nodes", "a", GOOD), program(place, "evse_nodes", "b", GOOD))
    station.start()
    wait(lambda: lines(place, "a.pid") and lines(place, "b.pid"))
    pids = station.pids()
    assert sorted(pids) == ["/a", "/b"]
    assert station.stop() is True
    assert lines(place, "a.end")
    assert lines(place, "b.end")
    assert station.pids() == {}
    assert not any(alive(pid) for pid in pids.values())


def test_simulators_play_on_until_the_station_has_ended(place: Path, make: Make) -> None:
    """Else the vehicle would vanish in the middle of the session that is being ended for it."""
    station = make(program(place, "evse_simulators", "vehicle", GOOD), program(place, "evse_nodes", "sequencer", SLOW))
    station.start()
    wait(lambda: lines(place, "vehicle.pid") and lines(place, "sequencer.pid"))
    assert station.stop() is True
    assert float(lines(place, "vehicle.end")[0]) > float(lines(place, "sequencer.end")[0])


def test_who_is_deaf_is_killed_and_the_end_is_not_called_orderly(place: Path, make: Make) -> None:
    said: list[str] = []
    station = make(program(place, "evse_nodes", "deaf", DEAF), report=lambda name, text: said.append(text))
    station.start()
    wait(lambda: lines(place, "deaf.ready"))
    pid = station.pids()["/deaf"]
    assert station.stop(hurry=lambda: True) is False
    assert not alive(pid)
    assert any("SIGTERM to /deaf" in text for text in said)
    assert any("SIGKILL to /deaf" in text for text in said)


def test_what_a_process_has_started_is_killed_with_it(place: Path, make: Make) -> None:
    station = make(program(place, "evse_nodes", "parent", WITH_CHILD))
    station.start()
    wait(lambda: lines(place, "parent.child"))
    child = int(lines(place, "parent.child")[0])
    assert alive(child)
    station.stop(hurry=lambda: True)
    wait(lambda: not alive(child))


def test_who_dies_is_started_again_after_growing_pauses(place: Path, make: Make) -> None:
    said: list[str] = []
    station = make(program(place, "evse_nodes", "weak", CRASHING), report=lambda name, text: said.append(text))
    station.children[0].back_off = BackOff(0.1, 0.4)
    station.start()

    def five_starts() -> bool:
        station.poll()
        return len(lines(place, "weak.pid")) >= 5

    began = time.monotonic()
    wait(five_starts)
    # 0.1 + 0.2 + 0.4 + 0.4 s.
    assert time.monotonic() - began >= 1.1
    assert any(text.startswith("ended with code 3; starting it again") for text in said)
    assert len(set(lines(place, "weak.pid"))) >= 5


PULSE = """
import socket
def pulse():
    address = os.environ["NOTIFY_SOCKET"].replace("@", chr(0), 1)
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"WATCHDOG=1", address)
"""
HANGING = PULSE + "pulse(); signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
LIVING = PULSE + "end = time.monotonic() + 60\nwhile time.monotonic() < end: pulse(); time.sleep(0.1)"
SILENT = "time.sleep(60)"


def test_who_hangs_is_killed_and_started_again_and_who_never_spoke_is_left(
    place: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "HANG", 1.0)
    said: list[tuple[str, str]] = []
    bodies = {"hanging": HANGING, "living": LIVING, "silent": SILENT}
    specs = [program(place, "evse_nodes", name, body) for name, body in bodies.items()]
    station = make(*specs, report=lambda name, text: said.append((name, text)))
    for child in station.children:
        child.back_off = BackOff(0.05)
    station.start()

    def twice() -> bool:
        station.poll()
        return len(lines(place, "hanging.pid")) >= 3

    wait(twice, 20.0)
    assert {name for name, _ in said} == {"/hanging"}
    assert ("/hanging", "was ended by SIGKILL; starting it again in 0 s") in said
    assert [child.restarts for child in station.children[1:]] == [0, 0]


def test_a_killed_process_comes_back_with_another_pid(place: Path, make: Make) -> None:
    station = make(program(place, "evse_nodes", "a", GOOD))
    station.children[0].back_off = BackOff(0.05)
    station.start()
    wait(lambda: lines(place, "a.pid"))
    first = station.pids()["/a"]
    os.kill(first, signal.SIGKILL)

    def back() -> bool:
        station.poll()
        return station.pids().get("/a", first) != first

    wait(back)
    assert station.children[0].restarts == 1


def test_problems_are_reported_and_everything_is_in_the_file(place: Path, make: Make) -> None:
    said: list[tuple[str, str]] = []
    station = make(program(place, "evse_nodes", "talking", TALKING), report=lambda name, text: said.append((name, text)))
    station.start()
    wait(lambda: lines(place, "talking.ready"))
    station.poll()
    assert said == [("/talking", "WARN: odd")]
    assert "fine" in (place / "log" / "talking.log").read_text(encoding="utf-8")
    assert station.stop() is True


def test_nobody_outlives_a_supervisor_that_is_killed(place: Path) -> None:
    """The kernel ends the children: there is nobody left who could."""
    program(place, "evse_nodes", "a", GOOD)
    code = f"""
import sys, time
from pathlib import Path
from evse_tools.node_specs import NodeSpec
from evse_tools.supervisor import Supervisor
Supervisor([NodeSpec("evse_nodes", "a", "a")], Path({str(place / "log")!r})).start()
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}) as keeper:
        wait(lambda: lines(place, "a.pid"))
        child = int(lines(place, "a.pid")[0])
        keeper.kill()
        keeper.wait()
        wait(lambda: not alive(child))
    assert lines(place, "a.end"), "it was asked to end, not cut off: a session has to be ended"


def test_an_executable_that_is_not_there_is_named_before_anything_starts(place: Path) -> None:
    with pytest.raises(FileNotFoundError, match="evse_nodes has no executable nothing"):
        Supervisor([NodeSpec("evse_nodes", "nothing", "nothing")], place / "log")


def test_a_source_tree_that_is_not_built_runs_its_modules(place: Path) -> None:
    assert module.executable(NodeSpec("evse_nodes", "can_bridge", "can_bridge"))[-1].startswith(
        "import sys; from evse_nodes.can_bridge_node import main"
    )
    assert "evse_nodes.container" in module.executable(NodeSpec("evse_nodes", "evse_container", "c"))[-1]
