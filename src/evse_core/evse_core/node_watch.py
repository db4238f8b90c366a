"""The station's nodes as the safety monitor hears them: who is silent, who starts again and again, whose disk is full, whose description differs.

Theory of operation. Every node publishes node_health once a second. The newest of each node is kept outside. A change of `started` is a restart, remembered
for restart_window. What is wrong is put into words when a node was heard and twice a second, while conditions are asked 20 times and more.
A node that is silent says nothing about its disk or description: what it said before then neither raises nor clears a fault.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf, isfinite

from evse_core.safety_config import SafetyConfig
from evse_core.sample import Sample
from evse_core.types import NodeHealth

Nodes = Mapping[str, Sample[NodeHealth]]

# Nodes without which an EVSE cannot charge. Their silence shows sooner in what they report, and has rows of its own.
VITAL = ("can_bridge", "charge_sequencer", "energy_meter")
# Whose files are the billing records, and whose are the messages about them.
LEDGER, QUEUE = "energy_meter", "ocpp_uplink"
# How often what is wrong is put into words: node_health comes at 1 Hz. [s]
PERIOD = 0.5
# Bytes in a megabyte as recordings and disks count them. [B]
MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What is wrong with the nodes, in words; "" where nothing is, None where it is not known."""

    silent: str | None = None
    restarting: str = ""
    station_restarting: str = ""
    disk_low: str | None = None
    disk_full: str | None = None
    ledger_failed: str | None = None
    storage_failed: str = ""
    description: str = ""


class NodeWatch:
    """Keeps restarts and the last words. `expected` are the full names of the nodes that must live, `description` the digest of this process's."""

    def __init__(self, config: SafetyConfig, expected: tuple[str, ...] = (), description: str = "") -> None:
        self._config, self._expected, self._description = config, expected, description
        self._started: dict[str, float] = {}
        self._restarts: dict[str, deque[float]] = {}
        self._seen: Nodes = {}
        self._now_described = ""
        self._next = -inf
        self._facts = NodeFacts()

    def step(self, nodes: Nodes, description: str, in_grace: bool, now: float) -> NodeFacts:
        """Return what is wrong. nodes: the newest word of each node; description: digest of the file as it is now, "" where nobody looks."""
        if nodes is not self._seen or description != self._now_described or now >= self._next:
            self._seen, self._now_described, self._next = nodes, description, now + PERIOD
            self._note_restarts(nodes, now)
            self._facts = self._judge(nodes, description, in_grace, now)
        return self._facts

    def _note_restarts(self, nodes: Nodes, now: float) -> None:
        for name, sample in nodes.items():
            started = sample.value.started
            if self._started.setdefault(name, started) != started:
                self._started[name] = started
                self._restarts.setdefault(name, deque(maxlen=self._config.restart_limit + 1)).append(now)

    def _judge(self, nodes: Nodes, description: str, in_grace: bool, now: float) -> NodeFacts:
        heard = {name: sample.value for name, sample in nodes.items() if sample.age(now) <= self._config.node_timeout}
        return NodeFacts(
            silent=self._silent(nodes, heard, in_grace, now),
            restarting="; ".join(self._restarting(lambda name: _is(name, *VITAL), now)),
            station_restarting="; ".join(self._restarting(lambda name: not _is(name, *VITAL), now)),
            disk_low=_space(heard, self._config.disk_low_limit),
            disk_full=_space({name: health for name, health in heard.items() if _is(name, LEDGER, QUEUE)}, self._config.disk_full_limit),
            ledger_failed=_ledger(heard),
            storage_failed="; ".join(_failing(heard, lambda name: not _is(name, LEDGER))),
            description="; ".join(self._differing(heard, description)),
        )

    def _silent(self, nodes: Nodes, heard: Mapping[str, NodeHealth], in_grace: bool, now: float) -> str | None:
        lost = [name for name in self._expected if name not in heard and not _is(name, *VITAL)]
        if in_grace and any(name not in nodes for name in lost):
            return None
        limit = self._config.node_timeout
        return "; ".join(
            f"{name} silent for {nodes[name].age(now):.0f} s, limit {limit:.0f} s" if name in nodes else f"{name} never came"
            for name in lost
        )

    def _restarting(self, belongs: Callable[[str], bool], now: float) -> Iterator[str]:
        limit, window = self._config.restart_limit, self._config.restart_window
        for name in self._expected:
            count = sum(now - at <= window for at in self._restarts.get(name, ()))
            if belongs(name) and count > limit:
                yield f"{name} was started again more than {limit} times in {window:.0f} s"

    def _differing(self, heard: Mapping[str, NodeHealth], description: str) -> Iterator[str]:
        if not self._description:
            return
        if description and description != self._description:
            yield "the description is not the one that the station was started with"
        others = [name for name, health in heard.items() if health.description and health.description != self._description]
        if others:
            yield f"another description than safety_monitor's has {', '.join(sorted(others))}"


def _is(name: str, *wanted: str) -> bool:
    """Return whether a full name is that of one of the nodes wanted."""
    return name.rpartition("/")[2] in wanted


def _space(heard: Mapping[str, NodeHealth], limit: float) -> str | None:
    """Say who has less than limit [MB] of room; None where nobody says how much there is."""
    known = {name: health.free_space / MEGABYTE for name, health in heard.items() if isfinite(health.free_space)}
    if not known:
        return None
    return "; ".join(f"{name} has {free:.0f} MB left, limit {limit:.0f} MB" for name, free in known.items() if free < limit)


def _failing(heard: Mapping[str, NodeHealth], belongs: Callable[[str], bool]) -> Iterator[str]:
    return (
        f"{name} could not write {health.failed_writes} times" for name, health in heard.items() if health.failed_writes and belongs(name)
    )


def _ledger(heard: Mapping[str, NodeHealth]) -> str | None:
    if not any(_is(name, LEDGER) for name in heard):
        return None
    return "; ".join(_failing(heard, lambda name: _is(name, LEDGER)))
