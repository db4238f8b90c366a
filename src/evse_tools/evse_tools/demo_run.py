"""A demo while it runs: the processes of the station, the drivers, what is observed, and the live table."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, nan

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.live import Live
from rich.text import Text

from evse_core.types import ChargeState, Registration
from evse_tools import live_table
from evse_tools.demo_driver import Action, Driver
from evse_tools.demo_observer import Observer
from evse_tools.demo_options import Options
from evse_tools.demo_processes import Processes, process_start
from evse_tools.demo_track import Track
from evse_tools.description import Description
from evse_tools.machine import processors
from evse_tools.supervisor import Supervisor

# Time between two rounds, two pictures of the table, two lines where there is no terminal, two looks at the processes. [s]
ROUND, PICTURE, LINE, LOOK = 0.05, 0.25, 5.0, 2.0
# Pause between two drivers' arrivals where EVSEs are more than processors: a session's first seconds take most of them. [s]
ARRIVAL = 3.0
# Time for the last messages to arrive after all drivers have gone. [s]
AFTERMATH = 1.0
# Lines of a dead node's log that are shown. [1]
LAST_LINES = 8


@dataclass
class Place:
    """An EVSE and the driver at it."""

    track: Track
    driver: Driver
    injected: float = nan


def _place(options: Options, number: int, link: str) -> Place:
    return Place(Track(number, link=link), Driver(options.plan(number, link), time.monotonic()))


@dataclass
class Found:
    """What a demo has found out when it is over."""

    places: list[Place]
    charging_after: float | None
    duration: float
    processes: Processes
    problems: list[str] = field(default_factory=list)


class DemoRun:
    """Lets drivers charge at a station that has been started, shows it, and ends it. `said` fills with what the supervisor reports."""

    def __init__(
        self,
        options: Options,
        description: Description,
        supervisor: Supervisor,
        said: list[tuple[str, str]],
        console: Console,
        began: float | None,
    ) -> None:
        self._supervisor, self._said, self._console = supervisor, said, console
        self._began = began or process_start()
        self.problems: list[str] = []
        self._dead: set[str] = set()
        self._places = [_place(options, evse.number, str(evse.rating["vehicle_link"])) for evse in description.evses]
        self._processes = Processes()
        self._arrival = ARRIVAL if len(self._places) > processors() else 0.0
        self._opened = inf
        self._charging_after: float | None = None
        self._next_picture = self._next_look = 0.0
        self._shown: dict[int, ChargeState] = {}
        self._live: Live | None = None
        self._tracks = [place.track for place in self._places]

    def run(self, domain: int) -> Found:
        """Run to the end, also when interrupted. The environment has this domain, too, for the processes."""
        rclpy.init(domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self._observer = Observer(self._tracks)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._observer)
        try:
            self._play()
        except KeyboardInterrupt:
            self.problems.append("interrupted")
        finally:
            self._stop()
        return Found(self._places, self._charging_after, time.time() - self._began, self._processes, self.problems)

    def _play(self) -> None:
        if self._console.is_terminal:
            with Live(console=self._console, auto_refresh=False, transient=False) as self._live:
                self._loop()
            self._live = None
        else:
            self._loop()

    def _loop(self) -> None:
        while not all(place.driver.is_done for place in self._places):
            self._round()
            for place in self._places:
                self._drive(place)
        end = time.monotonic() + AFTERMATH
        while time.monotonic() < end:
            self._round()

    def _round(self) -> None:
        self._executor.spin_once(timeout_sec=ROUND)
        self._watch()
        self._supervisor.poll()
        self._look_for_dead()
        self._pass_on()
        self._show()

    def _watch(self) -> None:
        self._observer.poll()
        if self._charging_after is None and all(place.track.is_charging for place in self._places):
            self._charging_after = round(time.time() - self._began, 2)
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK
            self._processes.look(self._supervisor.pids())

    def _drive(self, place: Place) -> None:
        """Let the driver do what he wants to do, if the last thing has been answered.

        No session before the whole station is up: processes that start take both cores of a small machine from those that have 200 ms to answer.
        """
        uplink = self._observer.uplink
        ready = uplink.connected and uplink.registration is Registration.ACCEPTED and all(track.is_up for track in self._tracks)
        now = time.monotonic()
        if ready or self._places[0].driver.has_begun:
            self._opened = min(self._opened, now)
        queue = self._places.index(place)
        if self._observer.is_busy(place.track.evse) or (queue and self._arrival and now < self._opened + queue * self._arrival):
            return
        action = place.driver.next(place.track, ready, now)
        if action is not None:
            self._observer.call(place.track.evse, action, self._answered(place, action, time.time()))

    def _answered(self, place: Place, action: Action, called: float) -> Callable[[bool, str], None]:
        def answered(success: bool, message: str) -> None:
            if success and action.service.endswith("/inject_fault"):
                place.injected = called
                self._say(f"EVSE {place.track.evse}: fault {action.argument} injected: {message}", "bold yellow")
            place.driver.done(action, success, message, time.monotonic())

        return answered

    def _stop(self) -> None:
        """End the station, watching on: what its sessions do at the end belongs to the story."""
        self._processes.look(self._supervisor.pids())
        try:
            if not self._supervisor.stop(self._hurry):
                self.problems.append("a process did not end by itself")
        finally:
            self._pass_on()
            rclpy.try_shutdown()

    def _hurry(self) -> bool:
        self._observer.poll()
        return False

    def _look_for_dead(self) -> None:
        """Note processes that have ended although nobody told them to, with the end of their logs."""
        for child in self._supervisor.children:
            name = child.spec.full_name
            if child.pid is None and name not in self._dead:
                self._dead.add(name)
                lines = child.log.path.read_text(errors="replace").splitlines()[-LAST_LINES:]
                self.problems.append("\n    ".join([f"{name} died; the end of {child.log.path}:", *lines]))

    def _pass_on(self) -> None:
        """Print what the supervisor has reported since the last time."""
        while self._said:
            name, text = self._said.pop(0)
            self._say(f"{name}: {text}", "dim")

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style), soft_wrap=True)

    def _show(self) -> None:
        """Refresh the table; without a terminal print a line when a state changes, and now and then."""
        now, elapsed = time.monotonic(), time.time() - self._began
        tracks = self._tracks
        states = {track.evse: track.session.state for track in tracks}
        if now < self._next_picture and (self._live is not None or states == self._shown):
            return
        self._next_picture = now + (PICTURE if self._live is not None else LINE)
        if self._live is not None:
            self._live.update(live_table.table(tracks, self._observer.uplink, elapsed), refresh=True)
        else:
            changed = [track for track in tracks if states[track.evse] != self._shown.get(track.evse)]
            self._say(live_table.line(changed or tracks, self._observer.uplink, elapsed))
        self._shown = states
