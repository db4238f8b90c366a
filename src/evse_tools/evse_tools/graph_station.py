"""A simulated station that stays up for `station bench graph`, with eyes on its topics and its power bus, and a clean slate before each scenario."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import rclpy
import yaml
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from evse_core.types import (
    ChargeRecord,
    ChargeState,
    MeterReading,
    PowerBudget,
    PowerReport,
    Reaction,
    Registration,
    SafetyState,
    SessionState,
    UplinkState,
)
from evse_nodes.can_bus import CanPort
from evse_nodes.topics import TOPICS
from evse_tools.demo_observer import DEPTH, Observer
from evse_tools.demo_station import default_description, expand, own_domain
from evse_tools.demo_track import Track
from evse_tools.description import Description, load
from evse_tools.graph_disturbances import Impossible, Place
from evse_tools.graph_links import LINKS
from evse_tools.graph_power import PowerWatch
from evse_tools.graph_scenarios import Rig
from evse_tools.node_specs import NodeSpec, node_specs
from evse_tools.polling import Polled, watching
from evse_tools.supervisor import Supervisor
from evse_tools.turning import Turning

# Pause between two looks. [s]
LOOK = 0.02
# Longest wait for a station that starts, and for one that recovers from the last scenario. [s]
START, CLEAN = 90.0, 60.0
# How often a call that did not help is repeated. [s]
CALL_AGAIN = 2.0
# Silence after which a node counts as away: more than the slowest of the periods below, uplink_state's 1 s. [s]
AWAY = 1.5
# Size of the small disk: enough for start and some sessions. [bytes]
SMALL = 32_000_000
# The topic by which each node shows that it is back.
VOICES: dict[str, type[Any]] = {
    "can_bridge": PowerReport,
    "charge_sequencer": SessionState,
    "safety_monitor": SafetyState,
    "energy_meter": MeterReading,
    "energy_manager": PowerBudget,
    "ocpp_uplink": UplinkState,
}


class Relay:
    """Hands what the observer sees to the track of the present scenario, and keeps what outlives a scenario."""

    evse = 1

    def __init__(self, link: str) -> None:
        self.track = Track(self.evse, link=link)
        self.heard: dict[type[Any], float] = {}
        self.sessions: dict[str, SessionState] = {}
        self.records: dict[str, ChargeRecord] = {}

    def take(self, value: Any) -> None:
        """Learn from one value."""
        self.heard[type(value)] = time.monotonic()
        if isinstance(value, SessionState) and (value.session_id in self.sessions or (value.session_id and value.session_active)):
            self.sessions[value.session_id] = value
        elif isinstance(value, ChargeRecord):
            self.records[value.session_id] = value
        self.track.take(value)

    def begin(self) -> Track:
        """Begin a new track that knows the present."""
        old = self.track
        vehicle = replace(old.vehicle, energy_wh=0.0)
        self.track = Track(self.evse, old.session, old.meter, old.safety, old.io, vehicle, old.transaction, link=old.link)
        self.sessions.clear()
        return self.track


class Watcher(Observer):
    """The demo's observer, which also hears the energy manager and can reset faults."""

    def __init__(self, relay: Relay) -> None:
        super().__init__([relay])  # type: ignore[list-item]
        self._relay = relay
        row = TOPICS["power_budget"]
        source = Polled(self, row.message, f"/evse_{relay.evse}/{row.name}", watching(row.qos, DEPTH), self._group)
        self._inputs.append((source, row.type, relay.take))
        self._reset = self.create_client(Trigger, f"/evse_{relay.evse}/reset_faults")

        self._clock = self.create_publisher(Clock, "/clock", qos_profile_sensor_data)

    def tell_time(self, offset: float) -> None:
        """Publish the time of a clock that is wrong by an offset [s]."""
        nanoseconds = time.time_ns() + int(offset * 1e9)
        self._clock.publish(Clock(clock=Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)))

    def _take_uplink(self, value: UplinkState) -> None:
        super()._take_uplink(value)
        self._relay.heard[UplinkState] = time.monotonic()

    def reset_faults(self) -> None:
        """Ask the monitor to forget what is gone; nobody waits for the answer."""
        if self._reset.service_is_ready():
            self._reset.call_async(Trigger.Request())


class GraphStation(Turning):
    """A running station. turn() again and again."""

    def __init__(self, supervisor: Supervisor, description: Description, rig: Rig, link: str) -> None:
        self.supervisor, self.description, self.link = supervisor, description, LINKS[link]
        self.place = Place(supervisor, description)
        self._has_clock = rig is Rig.OWN_CLOCK
        self.relay, self.power = Relay(link), PowerWatch(self.link.power)
        self.watcher = Watcher(self.relay)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.watcher)
        buses = {name: description.evses[0].buses[name] for name in self.link.power.databases}
        self._ports = {name: CanPort("bench", bus.interface, bus.channel, bus.bitrate, bus.options) for name, bus in buses.items()}

    @property
    def track(self) -> Track:
        """What is seen of the present scenario."""
        return self.relay.track

    @property
    def online(self) -> bool:
        """The CSMS has accepted the station."""
        uplink = self.watcher.uplink
        return uplink.connected and uplink.registration is Registration.ACCEPTED and self.is_heard("ocpp_uplink")

    def heard(self, node: str) -> float:
        """Return when a node spoke last [s, monotonic]."""
        return self.relay.heard.get(VOICES[node], -inf) if node in VOICES else -inf

    def is_heard(self, node: str) -> bool:
        """Tell whether a node has spoken lately."""
        return time.monotonic() - self.heard(node) < AWAY

    def turn(self) -> None:
        """Look at everything once."""
        self._executor.spin_once(timeout_sec=LOOK)
        if self._has_clock:
            self.watcher.tell_time(self.place.offset)
        self.watcher.poll()
        self.power.take(self._ports)
        self.supervisor.poll()

    @property
    def unclean(self) -> str:
        """What is not yet as it is before a driver comes; "" where all is well."""
        track, away = self.track, [node for node in VOICES if not self.is_heard(node)]
        dead = [child.spec.name for child in self.supervisor.children if child.pid is None]
        checks = {
            f"{', '.join(dead)} not running": bool(dead),
            f"{', '.join(away)} silent": bool(away),
            "not connected to the CSMS": not self.online,
            f"state {track.session.state.name}": track.session.state is not ChargeState.AVAILABLE,
            "plugged in": track.vehicle.plugged,
            f"faults {', '.join(track.safety.faults)}": track.safety.reaction in (Reaction.BLOCK, Reaction.STOP, Reaction.EMERGENCY),
            f"{self.watcher.uplink.queued} messages for the CSMS wait": self.watcher.uplink.queued > 0,
        }
        return "; ".join(text for text, is_so in checks.items() if is_so)

    def clean(self, limit: float = CLEAN) -> str:
        """Bring the station to where a driver may come, as an operator would; returns what hinders it, "" for nothing."""
        end, next_reset = time.monotonic() + limit, 0.0
        while (problem := self.unclean) and time.monotonic() < end:
            now = time.monotonic()
            if now >= next_reset and not self.track.vehicle.plugged:
                next_reset = now + CALL_AGAIN
                self.watcher.reset_faults()
            self.turn()
        return problem

    def close(self) -> None:
        """Leave bus and graph."""
        for port in self._ports.values():
            port.close()
        self._executor.shutdown()


@contextmanager
def station(rig: Rig, link: str, control_port: int = 0) -> Iterator[GraphStation]:
    """Yield a station that is up, with a vehicle link; its CSMS takes commands on control_port, 0 for none.

    Impossible where this machine cannot have such a one; RuntimeError where it does not come up.
    """
    folder = Path(tempfile.mkdtemp(prefix="station_bench_"))
    try:
        with _disk(rig, folder / "data") as data, own_domain() as domain:
            description = _describe(folder, data, link, control_port)
            supervisor = Supervisor(_specs(rig, description), folder / "log")
            rclpy.init(domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
            supervisor.start()
            try:
                yield from _watched(GraphStation(supervisor, description, rig, link))
            finally:
                supervisor.stop()
                rclpy.try_shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watched(made: GraphStation) -> Iterator[GraphStation]:
    try:
        if problem := made.clean(START):
            raise RuntimeError(f"the station does not come up: {problem}")
        yield made
    finally:
        made.close()


def _describe(folder: Path, data: Path, link: str, control_port: int) -> Description:
    """Return the demo's station, which charges also while its CSMS is away, and a car that asks for less than the station has."""
    raw, simulator = yaml.safe_load(default_description(link).read_text(encoding="utf-8")), LINKS[link].simulator
    raw["ocpp_uplink"] = dict(raw.get("ocpp_uplink") or {}) | {"allow_offline_tx_for_unknown_id": True}
    for evse in raw["evses"]:
        evse[simulator] = dict(evse.get(simulator) or {}) | dict(LINKS[link].car)
    path = folder / "station.yaml"
    expanded = expand(raw, 1, "", data)
    expanded["csms_simulator"]["control_port"] = control_port
    path.write_text(yaml.safe_dump(expanded), encoding="utf-8")
    return load(path)


@contextmanager
def _disk(rig: Rig, data: Path) -> Iterator[Path]:
    data.mkdir()
    if rig is not Rig.SMALL_DISK:
        yield data
        return
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(data)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        raise Impossible(f"a small file system cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield data
    finally:
        subprocess.run(["umount", "-l", str(data)], check=False)


def _specs(rig: Rig, description: Description) -> list[NodeSpec]:
    """Return the processes of a station; those of a rig with a clock of its own take ROS time from /clock, which the bench publishes."""
    specs = node_specs(description)
    if rig is not Rig.OWN_CLOCK:
        return specs
    return [replace(spec, parameters=dict(spec.parameters) | {"use_sim_time": True}) for spec in specs]
