"""The virtual EVSE with its people: driver, back end and operator, faults that are injected and healed, and running on until something holds."""

import copy
import copyreg
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from evse_core.types import ChargeState, RequestKind, SessionRequest, StopCause
from evse_simulators.faults import FAULTS, Answer, of
from evse_simulators.virtual_evse import VirtualEvse
from evse_simulators.world_config import EPOCH, TOKEN
from evse_simulators.world_parts import PARTS

# Decoded frames are read-only mappings, which the copy module cannot copy by itself; World.fork needs it.
copyreg.pickle(MappingProxyType, lambda mapping: (MappingProxyType, (dict(mapping),)))


class World(VirtualEvse):
    """What tests, benches and campaigns play with."""

    # The driver, the back end and the operator

    def _act(self, what: str, answer: Answer) -> Answer:
        self._note("driver", what, answer.message, answer.success)
        return answer

    def plug_in(self) -> Answer:
        """Put the connector into the inlet."""
        return self._act("plug_in", self.vehicle.plug_in())

    def unplug(self) -> Answer:
        """Pull the connector; refused while it is locked."""
        return self._act("unplug", self.vehicle.unplug())

    def token(self, token: str = TOKEN) -> Answer:
        """Hold a token to the reader."""
        return self._act("token", self.board.present_token(token))

    def start(self) -> Answer:
        """Press the start button."""
        return self._act("start", self.board.press_start())

    def stop(self) -> Answer:
        """Press the stop button of the station."""
        return self._act("stop", self.board.press_stop())

    def stop_vehicle(self) -> Answer:
        """Stop charging inside the vehicle."""
        return self._act("stop_vehicle", self.vehicle.press_stop())

    def request(self, kind: RequestKind, token: str = "", cause: StopCause = StopCause.UNKNOWN, authorized: bool = False) -> None:
        """Ask something of the sequencer as its services do."""
        self._requests.append(SessionRequest(EPOCH + self.now, kind, token, cause, authorized))

    def ask_discharge(self, power: float = 10e3, seconds: float = 3600.0) -> Answer:
        """Ask the vehicle for power [W] for some time as set_discharge does; 0 W ends it."""
        refused = self.site.ask(power, seconds, self.now)
        self._tell_budget()
        return self._act("ask_discharge", Answer(not refused, refused))

    def end_discharge(self) -> Answer:
        """Ask for no power any more."""
        return self.ask_discharge(0.0)

    def reset_faults(self) -> None:
        """Let an operator reset the faults."""
        self._reset_faults = True

    def inject(self, name: str) -> Answer:
        """Break something of the table faults.FAULTS."""
        return self._break(name, True)

    def heal(self, name: str) -> Answer:
        """Heal it."""
        return self._break(name, False)

    def _break(self, name: str, active: bool) -> Answer:
        models: dict[str, Any] = {model.faults.simulator: model for model in (self.vehicle, self.modules, self.board)}
        known = of(*models, link=self.config.link)
        if name not in known:
            return Answer(False, f"unknown fault {name!r}; known: {', '.join(known)}")
        answer: Answer = models[FAULTS[name].simulator].inject(name, active)
        return self._act(f"{'inject' if active else 'heal'} {name}", answer)

    # Running

    def fork(self) -> "World":
        """Return a second world that stands where this one stands, and goes its own way from here."""
        shared: dict[int, Any] = {id(database): database for database in self._databases.values()}
        clone = type(self).__new__(type(self))
        # Whoever calls back into this world calls back into the clone.
        shared[id(self)] = clone
        kept = {name: value for name, value in self.__dict__.items() if name not in {"_readers", "log"}}
        clone.__dict__.update(copy.deepcopy(kept, shared))
        clone.log = list(self.log)
        clone._readers = clone._wiring()
        return clone

    def run(self, seconds: float) -> "World":
        """Go on for some seconds of virtual time."""
        for _ in range(round(seconds / self.config.tick)):
            self.tick()
        return self

    def run_until(self, condition: Callable[["World"], bool], timeout: float) -> bool:
        """Go on until the condition holds; return whether it did within timeout [s]."""
        end = self.now + timeout
        while self.now < end:
            if condition(self):
                return True
            self.tick()
        return condition(self)

    def reach(self, state: ChargeState, timeout: float = 60.0) -> bool:
        """Go on until the sequence is in a state; return whether it was within timeout [s]."""
        return self.run_until(lambda world: world.session.state is state, timeout)

    def begin_charging(self, timeout: float = 60.0) -> bool:
        """Let a driver plug in, present a token and press start, in that order with pauses; return whether current flows in the end."""
        self.run(1.0)
        for action in (self.plug_in, self.token, self.start):
            action()
            self.run(self.random.uniform(0.3, 2.0))
        return self.run_until(lambda world: world.session.state is ChargeState.CHARGING and world.power.current > 5.0, timeout)

    def said(self, kind: str) -> list[str]:
        """Return what the log holds of one kind, in order."""
        return [entry.what for entry in self.log if entry.kind == kind and entry.active]

    @property
    def dead(self) -> bool:
        """No current flows and nobody can be hurt at the connector."""
        return abs(self.power.current) < 0.5 and self.power.connector_voltage < 60.0

    @property
    def locked(self) -> bool:
        """A lock holds the connector: the station's, or that in the inlet of a vehicle behind a charge controller."""
        return (self.vehicle if PARTS[self.config.link].vehicle_locks else self.board).locked

    @property
    def can_unplug(self) -> bool:
        """No lock holds the connector."""
        return not self.locked
