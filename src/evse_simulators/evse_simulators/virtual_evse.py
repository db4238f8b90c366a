"""The whole EVSE in one process on a virtual clock: the rules of evse_core, the three models, and a CSMS that knows a list of tokens.

Theory of operation. Time goes on in ticks. What is published or sent in one tick arrives in a later one (`hand_over` ticks), so that every hop costs time as
it does between processes; CAN frames pass through the real codecs on both sides. Rules are called as their nodes call them: at their rate and when something
came that they must not wait for. Nothing here decides anything about charging: it carries values. The same seed gives the same run, to the last bit.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf, nan
from random import Random
from typing import Any, cast

from evse_core.bus_load import BusLoad
from evse_core.can_bridge import CanBridge
from evse_core.charge_sequencer import ChargeSequencer, SequencerInputs, SequencerOutputs
from evse_core.codecs.signals import SignalDatabase
from evse_core.discharge_manager import DischargeManager
from evse_core.energy_manager import Demand, ManagerConfig
from evse_core.frame import Frame
from evse_core.record_keeper import RecordKeeper
from evse_core.record_store import Meter
from evse_core.safety_monitor import SafetyInputs, SafetyMonitor
from evse_core.sample import Sample
from evse_core.types import (
    Authorization,
    BusHealth,
    BusLink,
    CanBusStatus,
    ChargeRecord,
    ChargeState,
    NodeHealth,
    PowerBudget,
    PowerReport,
    SafetyState,
    SessionRequest,
    SessionState,
    SimPower,
    SimVehicleLines,
    Verdict,
    VerdictSource,
)
from evse_simulators.io_board import IoBoardModel
from evse_simulators.memo_database import MemoDatabase
from evse_simulators.memory_ledger import MemoryLedger
from evse_simulators.pace import Periodic
from evse_simulators.world_config import BITRATE, EPOCH, FREE_SPACE, NODES, Entry, WorldConfig
from evse_simulators.world_parts import PARTS, Supply, buses_of, make_supply

# Takes a value at a time [s].
Reader = Callable[[Any, float], Any]


# A site that may be given whatever the vehicle gives.
SITE = ManagerConfig(export_limit=1e6)


class VirtualEvse:
    """One EVSE, its vehicle and its CSMS. `databases` are the three CAN databases by name."""

    def __init__(self, databases: Mapping[str, SignalDatabase], config: WorldConfig | None = None, seed: int = 0) -> None:
        databases = {name: _memo(database) for name, database in databases.items()}
        self._databases = databases
        self.config = config = config or WorldConfig()
        self.random = Random(seed)
        self.seed = seed
        self.now = 0.0
        self.log: list[Entry] = []
        self.session = SessionState()
        self.safety_state = SafetyState()
        self.power = SimPower()
        self.vehicle = PARTS[config.link].vehicle(config.vehicle, databases)
        self.modules = self._make_modules()
        self.board = IoBoardModel(config.board, databases["io_board"])
        self.bridge = CanBridge(config.bridge, databases)
        self.sequencer = ChargeSequencer(config.sequencer)
        self.safety = SafetyMonitor(config.safety, expected=NODES)
        self.site = DischargeManager(SITE, (1,))
        self.ledger = MemoryLedger()
        self.keeper = self._make_keeper()
        self._ticks = 0
        # What was published in each of the last ticks, the oldest first; the last one is what is published now.
        self._mail: deque[list[tuple[str | BusLink, Any]]] = deque([] for _ in range(config.hand_over))
        self._outbox = self._mail[-1]
        self._for_sequencer: dict[str, Sample[Any]] = {}
        self._for_safety: dict[str, Any] = {}
        self._requests: list[SessionRequest] = []
        self._asked, self._answer_at = "", inf
        self._reset_faults = False
        self._board_news = False
        self._rate = {name: Periodic(period) for name, period in self._periods().items()}
        self._last: dict[str, Any] = {}
        self._started = dict.fromkeys(NODES, EPOCH)
        self._load = {link: BusLoad(BITRATE) for link in buses_of(config.link)}
        self._tell_bridge_of_buses()
        self._readers = self._wiring()

    def _make_modules(self) -> Supply:
        """Return what feeds the output of this EVSE."""
        return make_supply(self.config, self._databases)

    def _periods(self) -> dict[str, float]:
        """Return the rates of the nodes [s], each starting anywhere in its period."""
        rule = self.config.rule_period
        return {
            "sequencer": rule,
            "safety": rule,
            "board": 0.05,
            "vehicle": 0.05,
            "modules": 0.04,
            "meter": 0.25,
            "budget": 1.0,
            "health": 1.0,
        }

    def _wiring(self) -> dict[str | BusLink, tuple[Reader, ...]]:
        """Return who takes the values of a topic, as in evse_nodes/topics.py, or the frames of the station on a bus."""
        bridge, seq, safe = self.bridge, self._to_sequencer, self._to_safety
        return {
            BusLink.VEHICLE: (self._to(self.vehicle.on_frame),),
            BusLink.POWER: (self._to(self.modules.on_frame),),
            BusLink.IO: (self._to_board,),
            "to_bridge": (self._on_frame,),
            "vehicle_report": (seq("vehicle"), safe("vehicle")),
            "power_report": (seq("power"), safe("power"), self._to_meter(self._on_power)),
            "io_report": (seq("io"), safe("io")),
            "can_status": (seq("can_status"), safe("can_status")),
            "power_command": (self._to(bridge.on_power_command), safe("power_command")),
            "vehicle_command": (self._to(bridge.on_vehicle_command),),
            "io_command": (self._to(bridge.on_io_command), safe("io_command")),
            "session_state": (safe("session"), self._csms, self._to_meter(self._on_session)),
            "meter_reading": (safe("meter"),),
            "node_health": (self._to_safety_node,),
            "safety_state": (self._to(bridge.on_safety), seq("safety")),
            "authorization": (seq("authorization"),),
            "charge_record": (seq("record"),),
            "power_budget": (seq("budget"), safe("budget")),
            "sim/station_lines": (self._to(self.vehicle.on_station_lines), self._to(self.modules.on_station_lines)),
            "sim/vehicle_lines": (self._lines_to_board, self._to(self.modules.on_vehicle_lines)),
            "sim/power": (self._to(self.vehicle.on_power), self._to(self.board.on_power)),
        }

    # Hand-over

    def _to(self, take: Reader) -> Reader:
        return take

    def _to_sequencer(self, name: str) -> Reader:
        return _keeper(self._for_sequencer, name)

    def _to_safety(self, name: str) -> Reader:
        return _keeper(self._for_safety, name)

    def _to_meter(self, take: Reader) -> Reader:
        return take

    def _to_safety_node(self, health: NodeHealth, now: float) -> None:
        """Keep the newest word of each node, as safety_monitor_node.py does."""
        self._for_safety["nodes"] = {**self._for_safety.get("nodes", {}), health.node: Sample(health, now)}

    def publish(self, topic: str | BusLink, value: Any) -> None:
        """Hand a value to everybody who reads the topic, or a frame to the device on a bus, some ticks from now."""
        self._outbox.append((topic, value))

    def _deliver(self) -> None:
        """Hand over what was published `hand_over` ticks ago; what is published from now on waits as long."""
        self._outbox = []
        self._mail.append(self._outbox)
        readers, now = self._readers, self.now
        for topic, value in self._mail.popleft():
            for take in readers[topic]:
                take(value, now)

    def _receive(self, link: BusLink, frames: tuple[Frame, ...]) -> None:
        """Hand the frames of a device to the bridge."""
        for frame in frames:
            self.publish("to_bridge", (link, frame))

    def _on_frame(self, received: tuple[BusLink, Frame], now: float) -> None:
        link, frame = received
        self._load[link].receive(frame)
        self.bridge.on_frame(link, frame, now)

    def _to_board(self, frame: Frame, now: float) -> None:
        self.board.on_frame(frame, now)
        self._board_news = True

    def _lines_to_board(self, lines: SimVehicleLines, now: float) -> None:
        self.board.on_vehicle_lines(lines, now)
        seen = lines.plugged, lines.pilot_resistance, lines.pilot_diode, lines.cable_resistance
        if PARTS[self.config.link].lines_wake and repr(seen) != self._last.get("lines"):
            self._last["lines"], self._board_news = repr(seen), True

    # One tick

    def tick(self) -> None:
        """Go on by one tick."""
        self._ticks += 1
        self.now = self._ticks * self.config.tick
        self._deliver()
        self._run_models()
        self._run_bridge()
        self._run_safety()
        self._run_sequencer()
        self._run_meter()
        self._run_site()
        self._run_health()

    def _run_models(self) -> None:
        if self._rate["board"].due(self.now) or self._board_news:
            self._run_board()
        if self._rate["vehicle"].due(self.now):
            self._run_vehicle()
        if self._rate["modules"].due(self.now):
            self._run_modules()

    def _run_board(self) -> None:
        """Step the board as its node does: at its rate, and when a command or a line of the vehicle comes."""
        self._board_news = False
        output = self.board.step(self.now)
        self._receive(BusLink.IO, output.frames)
        self.publish("sim/station_lines", output.lines)

    def _run_vehicle(self) -> None:
        output = self.vehicle.step(self.now)
        self._receive(BusLink.VEHICLE, output.frames)
        self.publish("sim/vehicle_lines", output.lines)
        phase = self.vehicle.phase_name
        if phase != self._last.get("phase"):
            self._last["phase"] = phase
            self._note("vehicle", phase, self.vehicle.end)

    def _run_modules(self) -> None:
        output = self.modules.step(self.now)
        self._receive(BusLink.POWER, output.frames)
        path = output.power
        self.power = SimPower(EPOCH + self.now, path.module_voltage, path.connector_voltage, path.current, path.insulation_resistance)
        self.publish("sim/power", self.power)

    def _run_bridge(self) -> None:
        """Step the bridge as its node does: when something came for it, and when it wants to be woken."""
        if not self.bridge.needs_step(self.now):
            return
        for outgoing in self.bridge.step(self.now):
            self._load[outgoing.link].send(outgoing.frame)
            self.publish(outgoing.link, outgoing.frame)
        for report in self.bridge.reports(self.now):
            self.publish(report.topic, report.value)
        self.bridge.next_wake(self.now)

    def _run_safety(self) -> None:
        if not self._rate["safety"].due(self.now):
            return
        inputs = SafetyInputs(**self._for_safety, reset=self._reset_faults, stamp=EPOCH + self.now)
        self._reset_faults = False
        outputs = self.safety.step(inputs, self.now)
        self.safety_state = outputs.state
        self.publish("safety_state", outputs.state)
        for event in outputs.events:
            self._note("fault", event.fault, f"{event.reaction.name}: {event.detail}", event.active)

    def _run_sequencer(self) -> None:
        if not self._rate["sequencer"].due(self.now):
            return
        requests, self._requests = tuple(self._requests), []
        fresh_id = f"world-{self.seed}-{self._ticks}"
        inputs = SequencerInputs(**self._for_sequencer, requests=requests, fresh_id=fresh_id, stamp=EPOCH + self.now)
        outputs = self.sequencer.step(inputs, self.now)
        self._note_session(outputs)
        if outputs.publish_commands:
            self.publish("power_command", outputs.power)
            self.publish("vehicle_command", outputs.vehicle)
            self.publish("io_command", outputs.io)
        self.session = outputs.session
        self.publish("session_state", outputs.session)

    def _note_session(self, outputs: SequencerOutputs) -> None:
        if outputs.change is not None:
            self._note("state", outputs.change.target.name, outputs.change.reason)
        if outputs.session.step != self.session.step and outputs.session.step:
            self._note("step", str(outputs.session.step))

    def _run_meter(self) -> None:
        """Publish a reading, as evse_nodes/energy_meter_node.py does."""
        if not self._rate["meter"].due(self.now):
            return
        self.keeper.tick(self.now, EPOCH + self.now)
        self.publish("meter_reading", replace(self.keeper.reading(self.now), stamp=EPOCH + self.now))

    def _make_keeper(self) -> RecordKeeper:
        """Start the meter with what its ledger holds."""
        return RecordKeeper(self.config.meter, self.config.tariff, 1, self.ledger, self._tell_record, self._meter_says)

    def _on_power(self, report: PowerReport, now: float) -> None:
        self.keeper.on_power(report, now, EPOCH + now)

    def _on_session(self, session: SessionState, now: float) -> None:
        self.keeper.on_session(session, now, EPOCH + now)

    def _tell_record(self, record: ChargeRecord) -> None:
        self._note("record", record.status.name, f"{record.end_register_wh - record.begin_register_wh:.1f} Wh")
        self.publish("charge_record", record)

    def _meter_says(self, level: str, words: str) -> None:
        self._note("meter", words, level)

    @property
    def meter(self) -> Meter:
        """The meter as it counts at present."""
        return self.keeper.meter

    @property
    def record(self) -> ChargeRecord | None:
        """The record that is open."""
        return self.keeper.open

    @property
    def records(self) -> list[ChargeRecord]:
        """All records in the ledger, oldest first."""
        return self.ledger.records

    # The site and the CSMS

    def _run_health(self) -> None:
        """Let every node say that it lives, as evse_nodes/node_health.py does, and the bridge hear how loaded its buses are."""
        if not self._rate["health"].due(self.now):
            return
        self._tell_bridge_of_buses()
        for node in filter(self._lives, NODES):
            self.publish("node_health", NodeHealth(EPOCH + self.now, node, self._started[node], free_space=FREE_SPACE.get(node, nan)))

    def _lives(self, node: str) -> bool:
        return True

    def _tell_bridge_of_buses(self) -> None:
        for link, load in self._load.items():
            self.bridge.on_bus(CanBusStatus(link=link, health=BusHealth.OK, load=load.load(self.now)))

    def _run_site(self) -> None:
        if self._rate["budget"].due(self.now):
            self._tell_budget()
        if self.now >= self._answer_at:
            self._answer_at = inf
            verdict = Verdict.ACCEPTED if self._asked in self.config.tokens else Verdict.INVALID
            self.publish("authorization", Authorization(EPOCH + self.now, self._asked, verdict, "", VerdictSource.CSMS))

    def _tell_budget(self) -> None:
        """Publish what the site grants and asks back, as evse_nodes/energy_manager_node.py does."""
        session = self.session
        demand = Demand(fresh=True, active=session.session_active, discharge=session.discharge_available)
        asked = self.site.step({1: demand}, self.now)[1]
        self.publish("power_budget", PowerBudget(EPOCH + self.now, self.config.site_power, SITE.valid_for, asked))

    def _csms(self, session: SessionState, now: float) -> None:
        """Answer each token that asks, once per time that it asks, after a while."""
        asking = session.token if session.state is ChargeState.AUTHORIZING else ""
        if asking and asking != self._asked:
            self._answer_at = now + self.random.uniform(0.05, 0.5)
        self._asked = asking or self._asked if self._answer_at < inf else asking

    def _note(self, kind: str, what: str, detail: str = "", active: bool = True) -> None:
        self.log.append(Entry(self.now, kind, what, detail, active))


def _keeper(samples: dict[str, Sample[Any]], name: str) -> Reader:
    """Return a reader that keeps the newest value of a topic, as the nodes' Latest does."""

    def take(value: Any, now: float) -> None:
        samples[name] = Sample(value, now)

    return take


def _memo(database: SignalDatabase) -> SignalDatabase:
    """Return the database with a memory; one that has it already may be shared by many worlds."""
    return database if isinstance(database, MemoDatabase) else cast(SignalDatabase, MemoDatabase(database))
