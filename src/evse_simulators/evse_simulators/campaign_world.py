"""A World in which rules die, stand still and come back, the mains fail, and frames and topics are disturbed. The rules themselves are untouched.

What is on disk survives: the latched faults, and what the meter stored, as far as evse_nodes/ledger.py promises (memory_ledger.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from random import Random
from typing import Any

from evse_core.can_bridge import CanBridge
from evse_core.charge_sequencer import ChargeSequencer, SequencerInputs
from evse_core.codecs.signals import Malformed, SignalDatabase, UnknownId
from evse_core.frame import Frame
from evse_core.safety_monitor import SafetyMonitor
from evse_core.types import (
    BusLink,
    CutCause,
    NodeHealth,
    RequestKind,
    SafetyState,
    SessionRequest,
    SessionState,
    StopCause,
)
from evse_simulators.campaign_filters import Filter, name_of
from evse_simulators.campaign_plan import RIGHT_TOKEN, RULES, WRONG_TOKEN, Disturbance
from evse_simulators.campaign_plan_ac import POWERS
from evse_simulators.faults import Answer
from evse_simulators.power_modules import CONVERTING
from evse_simulators.secc import SeccConfig, SeccModel
from evse_simulators.virtual_evse import Reader
from evse_simulators.world import World
from evse_simulators.world_config import EPOCH, NODES, VehicleKind, WorldConfig
from evse_simulators.world_parts import PARTS, cool_down, restarted_supply

# Rules after a failure of the mains: the computer starts. Own choice, short, for what happens meanwhile is the same at any time. [s]
BOOT = 1.0
_DEVICES = {BusLink.VEHICLE, BusLink.POWER, BusLink.IO}


@dataclass(slots=True)
class _Away:
    """A rule that does not run; one that stands still gets its frames, and the newest value of each topic, when it goes on."""

    paused: bool
    frames: list[tuple[BusLink, Frame]] = field(default_factory=list)
    values: dict[Reader, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame that lets power through, as it left the bridge: what it asks for, and the permit that the bridge held then."""

    what: str
    permit_age: float


class CampaignWorld(World):
    """See above. `down` are the rules that do not run."""

    def __init__(self, databases: Mapping[str, SignalDatabase], config: WorldConfig, seed: int) -> None:
        self.down: dict[str, _Away] = {}
        self.sent: list[Sent] = []
        self.powered = True
        self.cut_cause = CutCause.UNKNOWN
        self.asked_power = False
        self._permit_given = -inf
        self._filters: list[Filter] = []
        self._delayed: list[tuple[float, str | BusLink, Any]] = []
        super().__init__(databases, config, seed)

    # Frames and topics

    def disturb(self, disturbance: Disturbance, random: Random) -> Filter:
        """Begin to disturb a link or a topic."""
        made = Filter(disturbance, random)
        self._filters.append(made)
        return made

    def leave_alone(self, disturbed: Filter) -> None:
        """End it."""
        self._filters.remove(disturbed)

    def publish(self, topic: str | BusLink, value: Any) -> None:
        """Hand over as World does, with what disturbs it."""
        if topic is BusLink.POWER or topic is BusLink.IO:
            self._notice(topic, value)
        elif topic == "can_status":
            self.cut_cause = value.cut_cause
        if not self.powered and (topic in _DEVICES or topic == "to_bridge"):
            return
        if self._filters:
            self._publish_disturbed(topic, value)
        else:
            super().publish(topic, value)

    def _publish_disturbed(self, topic: str | BusLink, value: Any) -> None:
        name = name_of(topic, value)
        passed: list[tuple[float, Any]] = [(0.0, value)]
        for disturbing in self._filters:
            if disturbing.target == name:
                passed = [(late + more, last) for late, first in passed for more, last in disturbing.passes(first, self.now + late)]
        for late, item in passed:
            if late > 0.0:
                self._delayed.append((self.now + late, topic, item))
            else:
                super().publish(topic, item)

    def _release(self) -> None:
        due = [item for item in self._delayed if item[0] <= self.now]
        self._delayed = [item for item in self._delayed if item[0] > self.now]
        for _, topic, value in due:
            super().publish(topic, value)

    def _notice(self, link: BusLink, frame: Frame) -> None:
        """Keep what is sent that lets power through, for the invariants."""
        database = self._databases["evse_v3" if link is BusLink.POWER else "io_board"]
        try:
            decoded = database.decode(frame)
        except (UnknownId, Malformed):
            return
        what = ""
        if decoded.name == "DC_Power_Control":
            function = int(decoded.signals.get("Power_Function", 0.0))
            self.asked_power = function in CONVERTING
            what = f"Power_Function {function}" if self.asked_power else ""
        elif decoded.name == "IO_Outputs" and decoded.signals.get("Close_Contactor"):
            what = "Close_Contactor"
        if what:
            self.sent.append(Sent(what, self.now - self._permit_given))

    def tick(self) -> None:
        """Go on by one tick."""
        self.sent.clear()
        if self._delayed:
            self._release()
        super().tick()

    # Who reads what, unless it is away

    def _to(self, take: Reader) -> Reader:
        owner = getattr(take, "__self__", None)
        if take == self.bridge.on_safety:
            return self._guarded("can_bridge", self._permit_arrives)
        inner = super()._to(take)
        return self._guarded("can_bridge", inner) if owner is self.bridge else inner

    def _to_sequencer(self, name: str) -> Reader:
        return self._guarded("charge_sequencer", super()._to_sequencer(name))

    def _to_safety(self, name: str) -> Reader:
        return self._guarded("safety_monitor", super()._to_safety(name))

    def _to_meter(self, take: Reader) -> Reader:
        return self._guarded("energy_meter", take) if take == self._on_power else take

    def _on_session(self, session: SessionState, now: float) -> None:
        # One that stood still takes the newest power_report first, as from a queue of one; session_state comes again with the sequencer's next step.
        if "energy_meter" not in self.down:
            super()._on_session(session, now)

    def _to_safety_node(self, health: NodeHealth, now: float) -> None:
        # One that stands still finds the words of all nodes when it goes on; none is missing, for each comes every second.
        if "safety_monitor" not in self.down:
            super()._to_safety_node(health, now)

    def _guarded(self, rule: str, take: Reader) -> Reader:
        def guarded(value: Any, now: float) -> None:
            away = self.down.get(rule)
            if away is None:
                take(value, now)
            elif away.paused:
                away.values[take] = value

        return guarded

    def _permit_arrives(self, state: SafetyState, now: float) -> None:
        self._permit_given = state.given if state.permit else -inf
        self.bridge.on_safety(state, now)

    def _on_frame(self, received: tuple[BusLink, Frame], now: float) -> None:
        away = self.down.get("can_bridge")
        if away is None:
            super()._on_frame(received, now)
        elif away.paused:
            away.frames.append(received)

    # Rules that run

    def _run_bridge(self) -> None:
        if "can_bridge" not in self.down:
            super()._run_bridge()

    def _run_safety(self) -> None:
        if "safety_monitor" not in self.down:
            super()._run_safety()

    def _run_sequencer(self) -> None:
        if "charge_sequencer" not in self.down:
            super()._run_sequencer()

    def _run_meter(self) -> None:
        if "energy_meter" not in self.down:
            super()._run_meter()

    # Rules that die, stand still and come back

    def kill(self, rule: str) -> None:
        """End a rule at once; what it knew is lost."""
        self.down[rule] = _Away(paused=False)
        self._note("rule", f"{rule} killed")

    def pause(self, rule: str) -> None:
        """Let a rule stand still, as SIGSTOP does; one that is dead stays so."""
        self.down.setdefault(rule, _Away(paused=True))
        self._note("rule", f"{rule} paused")

    def bring_back(self, rule: str) -> None:
        """Let a rule run again: one that stood still goes on, one that was killed starts anew."""
        away = self.down.get(rule)
        if away is None or not self.powered:
            return
        del self.down[rule]
        self._note("rule", f"{rule} runs")
        if not away.paused:
            _START[rule](self)
            self._started[f"/evse_1/{rule}"] = EPOCH + self.now
            self._readers = self._wiring()
            return
        for received in away.frames:
            self._on_frame(received, self.now)
        for take, value in away.values.items():
            take(value, self.now)

    def _lives(self, node: str) -> bool:
        return self.powered and node.rpartition("/")[2] not in self.down

    def _start_bridge(self) -> None:
        self.bridge = CanBridge(self.config.bridge, self._databases)
        self._tell_bridge_of_buses()
        self._permit_given = -inf

    def _start_sequencer(self) -> None:
        self.sequencer = ChargeSequencer(self.config.sequencer)
        self._for_sequencer.clear()
        self._requests.clear()

    def _start_safety(self) -> None:
        """Start with what the file of latched faults holds, as evse_nodes/safety_monitor_node.py does."""
        latches = self.safety.latches()
        self.safety = SafetyMonitor(self.config.safety, expected=NODES)
        self.safety.restore(latches)
        self._for_safety.clear()
        self._reset_faults = False

    def _start_meter(self) -> None:
        """Start with what the ledger holds and tell the last records again, as evse_nodes/meter_book.py does."""
        self.keeper = self._make_keeper()
        for record in self.keeper.recover(self.now):
            self.publish("charge_record", record)

    # The mains

    def fail_power(self) -> None:
        """Take the mains away: computer, board, modules and charge controller are off; lock and capacitors stay as they are."""
        self._note("power", "failed")
        self.powered = False
        for rule in RULES:
            self.kill(rule)
        self.ledger.lose_power()
        self.board = self.board.restarted(self._databases["io_board"])
        self.board.set_power(False)
        self.modules = restarted_supply(self.modules, self.config, self._databases)
        self.vehicle.set_power(False)
        self._readers = self._wiring()

    def restore_power(self) -> None:
        """Give it back; bring_back starts the rules."""
        self._note("power", "back")
        self.powered = True
        self.board.set_power(True)
        self.vehicle.set_power(True)

    # People

    def wrong_token(self) -> Answer:
        """Hold a token to the reader that nobody knows."""
        return self.token(WRONG_TOKEN)

    def remote_start(self) -> Answer:
        """Start from the back end."""
        return self.ask(RequestKind.START, RIGHT_TOKEN, authorized=True)

    def remote_stop(self) -> Answer:
        """Stop from the back end."""
        return self.ask(RequestKind.STOP, cause=StopCause.REMOTE)

    def remote_unlock(self) -> Answer:
        """Unlock from the back end."""
        return self.ask(RequestKind.UNLOCK, cause=StopCause.UNLOCK)

    def disable(self) -> Answer:
        """Take the EVSE out of service."""
        return self.ask(RequestKind.DISABLE)

    def enable(self) -> Answer:
        """Put it back into service."""
        return self.ask(RequestKind.ENABLE)

    def power_short(self) -> Answer:
        """Leave the site too little for three phases."""
        return self._site_has("power_short")

    def power_less(self) -> Answer:
        """Leave the site less."""
        return self._site_has("power_less")

    def power_none(self) -> Answer:
        """Leave the site nothing."""
        return self._site_has("power_none")

    def power_back(self) -> Answer:
        """Let the site have enough again."""
        return self._site_has("power_back")

    def _site_has(self, name: str) -> Answer:
        self.config = replace(self.config, site_power=POWERS[name])
        return self._act(name, Answer(True, f"{POWERS[name]:.0f} W"))

    def ask(self, kind: RequestKind, token: str = "", cause: StopCause = StopCause.UNKNOWN, authorized: bool = False) -> Answer:
        """Ask the sequencer as its node's services do: what it would not follow is refused."""
        if "charge_sequencer" in self.down:
            return self._act(kind.name.lower(), Answer(False, "no answer"))
        inputs = SequencerInputs(**self._for_sequencer, stamp=EPOCH + self.now)  # type: ignore[arg-type]
        said = self.sequencer.answer(SessionRequest(EPOCH + self.now, kind, token, cause, authorized), inputs, self.now)
        if said.accepted:
            self.request(kind, token, cause, authorized)
        return self._act(kind.name.lower(), Answer(said.accepted, said.message))

    def next_vehicle(self, config: VehicleKind) -> None:
        """Let another vehicle come; the connector is out. A charge controller stays."""
        if isinstance(self.vehicle, SeccModel) and isinstance(config, SeccConfig):
            self.vehicle.change_vehicle(config)
            return
        self.vehicle = PARTS[self.config.link].vehicle(config, self._databases)
        self._readers = self._wiring()

    def cool_down(self) -> None:
        """Let board and modules get as cold as their surroundings: nobody has to wait for it here."""
        self.board.temperature = self.config.board.board_temperature
        cool_down(self.modules)


_START: dict[str, Callable[[CampaignWorld], None]] = {
    "can_bridge": CampaignWorld._start_bridge,
    "charge_sequencer": CampaignWorld._start_sequencer,
    "safety_monitor": CampaignWorld._start_safety,
    "energy_meter": CampaignWorld._start_meter,
}
