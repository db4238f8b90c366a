"""Plays one plan of the campaign on its stage: the driver, what goes wrong, then the mechanic who mends it, and the next driver.

Theory of operation. First the plan runs until its session is over and nothing of it is left to come; a driver who waits too long presses stop. Then everything
is mended, an operator resets the faults and unlocks, and the connector has to come out. Last, another vehicle charges: whatever happened must leave no trace.
"""

import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from evse_core.charge_sequencer_outputs import ACTIVE
from evse_core.codecs.signals import SignalDatabase
from evse_core.fault_table import BY_NAME, Reset
from evse_core.types import ChargeState, Reaction, RecordStatus, StopCause
from evse_core.vehicle_link import PILOT
from evse_simulators import campaign_plan as plans
from evse_simulators.campaign_invariants import Broken, Enough
from evse_simulators.campaign_plan import Plan
from evse_simulators.campaign_stage import Stage
from evse_simulators.campaign_world import BOOT, CampaignWorld
from evse_simulators.faults import FAULTS
from evse_simulators.world_config import QUICK_MODULES

# A driver whose session does not end presses stop after this time, and again and again. Own choice. [s]
PATIENCE, AGAIN = 20.0, 5.0
# From the first of these to the end: ramp 2.5 s, welding detection 10 s, closing 5 s, unlocking 5 s, recovery after a restart 10 s
# (evse_core/charge_sequencer_config.py), and as much again for what restarts or falls silent meanwhile. [s]
END_TIME = 40.0
# States in which nothing is energised and nobody is waited for.
QUIET = frozenset(ChargeState) - ACTIVE - {ChargeState.RECOVERING, ChargeState.UNKNOWN}
# How long it must stay quiet: an authorisation is answered within 0.5 s, a restarted board is known after 1.5 s. [s]
SETTLED = 1.0
# From a session's end to a free connector: unlocking, with its second try (SequencerConfig.unlock_timeout). [s]
FREE_TIME = 6.0
# From a mended station to a free connector, and from there to the next driver: recovery 10 s, recovery_time of a fault 5 s, and a margin. [s]
MENDED_TIME, BACK_TIME = 20.0, 20.0
# Time for a mended station to notice, and between two tries of the operator. [s]
NOTICE, TRY_AGAIN = 0.5, 2.0
# Until the lock's motor has moved and the vehicle feels it: three hand-overs and two steps of a board at 20 Hz. [s]
UNLOCKED = 0.25
# The next session: start as can.md 2.3 S0 to S12 with a quick vehicle, and the end. [s]
CHARGE_TIME, FINISH_TIME = 40.0, 30.0
# Energy in the register that no record holds: rounding and the tail of a ramp. [Wh]
UNBILLED = 0.5
# Bill and vehicle agree where the meter saw everything, or was away and asked what it had missed: relative (../shared/reference/can.md 7.3: DC meters 1 %)
# and absolute for short sessions. [1], [Wh]
METER_ERROR, METER_OFFSET = 0.02, 0.5
# What keeps the powers of an AC output, which the board measures, from the meter.
_AT_THE_BOARD = {PILOT: ("IO.rx", "io_board_silent")}
# Where something breaks the current between two readings: half a period of 100 ms at 50 kW more. [Wh]
BREAK_OFFSET = 0.7


@dataclass(frozen=True, slots=True)
class Result:
    """How a plan ended: its outcome in a word, what was injected, what did not hold, and the virtual time [s]."""

    plan: Plan
    outcome: str
    injected: tuple[str, ...]
    broken: tuple[Broken, ...]
    virtual: float


class Play(Stage):
    """One plan, from its driver to the next one."""

    def run(self) -> Result:
        """Play to the end; an error raised by a rule is a broken invariant, too."""
        try:
            if self._session() and self._mend() and (self.plan.disturbances or self.plan.number % 10 == 0):
                self._next_session()
        except Enough:
            pass
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            words = f"{type(error).__name__}: {error} in {place.name}, {place.filename.rsplit('/', 1)[-1]}:{place.lineno}"
            with suppress(Enough):
                self.checker.fail("rule_raises", self.world.now, words)
        return Result(self.plan, self.outcome, tuple(self.injected), tuple(self.checker.broken), self.world.now)

    # The session

    def _session(self) -> bool:
        """Let the plan happen; return whether it came to an end."""
        began = quiet = pressed = -1.0
        while True:
            self._tick()
            world = self.world
            now, state = world.now, world.session.state
            if state in ACTIVE and world.session.session_active:
                began = now if began < 0.0 else began
                self.outcome = "unfinished"
            if self._is_quiet():
                quiet = now if quiet < 0.0 else quiet
                if now - quiet >= SETTLED and now > plans.READY:
                    break
            else:
                quiet = -1.0
            since = max(began, self._last_event()) + PATIENCE if began >= 0.0 else self._last_event() + PATIENCE
            if now > max(since, pressed + AGAIN):
                pressed = now
                world.stop()
            if now > since + END_TIME:
                self.checker.fail("session_ends", now, f"still in {state.name} {now - began:.0f} s after it began")
                return False
        self._note_outcome()
        return self._free_by_itself()

    def _is_quiet(self) -> bool:
        """Return whether nothing goes on, and nothing is to come: an authorised driver who is plugged in waits for a controller's start button."""
        world = self.world
        waits = world.session.state is ChargeState.AUTHORIZED and world.vehicle.plugged
        return world.session.state in QUIET and not waits and not world.down and world.powered and not self._coming()

    def _coming(self) -> bool:
        """Return whether something of the plan is still to happen that does not hang on a state."""
        return bool(self._due)

    def _last_event(self) -> float:
        return max((due[0] for due in self._due), default=0.0)

    def _note_outcome(self) -> None:
        causes = [cause for cause in (record.stop_cause for record in self.world.records) if cause is not StopCause.NONE]
        session = self.world.session
        if session.stop_cause not in {StopCause.NONE, StopCause.UNKNOWN}:
            self.outcome = f"{session.stop_cause.name} {session.state.name}"
        elif causes:
            self.outcome = f"{causes[-1].name} {session.state.name}"
        elif self.outcome == "unfinished":
            self.outcome = f"RESTART {session.state.name}"

    def _free_by_itself(self) -> bool:
        """Where nothing is broken any more, the connector comes free without help, unless a fault waits for the operator."""
        if self._ends or self._operator_needed():
            return True
        free = self._until(lambda world: not world.locked or self._operator_needed(), FREE_TIME)
        if not free:
            self.checker.fail(
                "connector_free", self.world.now, f"locked in {self.world.session.state.name}, faults {self.world.safety_state.faults}"
            )
        return True

    def _operator_needed(self) -> bool:
        held = [BY_NAME[name] for name in self.world.safety_state.faults]
        return any(Reset.OPERATOR in {effect.reset for effect in (fault.energised, fault.idle) if effect} for fault in held)

    # The mechanic and the operator

    def _mend(self) -> bool:
        """Heal everything, reset, unlock, unplug; return whether the station is back in service."""
        self._due.clear()
        self._waiting.clear()
        for end in list(self._ends):
            end()
        for name in FAULTS:
            if self._holds(name):
                self.world.heal(name)
        self._until(lambda world: not world.down, BOOT + 1.0)
        self.world.cool_down()
        self._run(NOTICE)
        if not self._try(_released, MENDED_TIME):
            self.checker.fail("connector_free", self.world.now, f"locked after mending: {self._words()}")
            return False
        self._bill()
        self._run(UNLOCKED)
        if self.world.vehicle.plugged and not self.world.unplug().success:
            self.checker.fail("connector_free", self.world.now, f"cannot be unplugged after mending: {self._words()}")
            return False
        # Who seems to restart in a loop bars the next session for as long as restarts are counted.
        loop = "node_restarting" in self.world.safety_state.faults
        if not self._try(_in_service, BACK_TIME + (self.world.config.safety.restart_window if loop else 0.0)):
            self.checker.fail("back_in_service", self.world.now, self._words())
            return False
        return True

    def _try(self, condition: Callable[[CampaignWorld], bool], timeout: float) -> bool:
        """Let the operator reset, unlock and enable again and again until the condition holds."""
        end = self.world.now + timeout
        while self.world.now < end:
            if condition(self.world):
                return True
            self.world.reset_faults()
            self._until(condition, 0.5)
            if self.world.locked:
                self.world.remote_unlock()
            if not self.world.session.available:
                self.world.enable()
            if self.world.session.state in {ChargeState.AUTHORIZING, ChargeState.AUTHORIZED} or _goes_on(self.world):
                self.world.stop()
            self._until(condition, TRY_AGAIN)
        return condition(self.world)

    def _words(self) -> str:
        world = self.world
        return f"{world.session.state.name}, faults {', '.join(world.safety_state.faults) or 'none'}, {world.session.stop_detail}"

    def _bill(self) -> None:
        """Compare register, records and, where the meter saw or was told everything, the vehicle."""
        world = self.world
        if not self._until(lambda world: world.record is None, world.config.meter.resume_time + world.config.meter.settle_time):
            self.checker.fail("energy_billed", world.now, "a record is still open")
        in_time = not self.checker.excuses.false_readings and _told_in_time(self.plan)
        billed = sum(max(record.end_register_wh - record.begin_register_wh, 0.0) for record in world.records)
        if abs(world.meter.register_wh - billed) > UNBILLED and in_time:
            self.checker.fail("energy_billed", world.now, f"register {world.meter.register_wh:.2f} Wh, billed {billed:.2f} Wh")
        given = sum(max(record.end_export_register_wh - record.begin_export_register_wh, 0.0) for record in world.records)
        if abs(world.meter.export_register_wh - given) > UNBILLED and in_time:
            self.checker.fail("energy_billed", world.now, f"register {world.meter.export_register_wh:.2f} Wh, exported {given:.2f} Wh")
        self._compare("got", world.vehicle.energy_wh, billed)
        self._compare("gave", world.vehicle.given_wh, given)

    def _compare(self, what: str, taken: float, billed: float) -> None:
        """Compare what the vehicle counted with the records, where the meter saw or was told everything."""
        world = self.world
        tolerance = METER_OFFSET + METER_ERROR * taken + (BREAK_OFFSET if self.plan.disturbances else 0.0)
        if _measured(self.plan) and world.vehicle.plugged and not -tolerance <= taken - billed <= tolerance + self._not_on_disk:
            self.checker.fail("energy_billed", world.now, f"recorded {billed:.2f} Wh, the vehicle {what} {taken:.2f} Wh")

    # The next driver

    def _next_session(self) -> None:
        world = self.world
        world.config = replace(world.config, site_power=QUICK_MODULES.max_power)
        world.site.ask(0.0, 0.0, world.now)
        world.next_vehicle(plans.next_vehicle(self.plan))
        self._run(0.2)
        if world.session.state in {ChargeState.AUTHORIZING, ChargeState.AUTHORIZED}:
            # A token of the last driver that was held up on its way: this one sees it and cancels it.
            world.stop()
            self._run(1.0)
        for action in (world.plug_in, world.token, world.start):
            action()
            self._run(0.3)
        charges = self._until(lambda world: world.session.state is ChargeState.CHARGING and world.power.current > 5.0, CHARGE_TIME)
        if not charges:
            self.checker.fail("next_session", world.now, f"does not charge: {self._words()}")
            return
        self._run(0.3)
        world.stop()
        ends = self._until(lambda world: world.session.state in {ChargeState.FINISHED, ChargeState.FAULTED}, FINISH_TIME)
        well = ends and world.session.state is ChargeState.FINISHED and world.session.stop_cause is StopCause.LOCAL
        if not well or world.records[-1].status is not RecordStatus.CLOSED or not world.unplug().success:
            self.checker.fail("next_session", world.now, f"does not end well: {self._words()}")


def _measured(plan: Plan) -> bool:
    """Return whether the meter saw everything or was told of it: nothing between the modules and the register was disturbed, and one session took it all.

    A meter that is away asks can_bridge afterwards, unless the mains failed meanwhile: then nobody knows.
    """
    between = {
        "POWER.rx",
        *_AT_THE_BOARD.get(plan.link, ()),
        "power_report",
        "session_state",
        "can_bridge",
        "modules_silent",
    }
    plugged_once = sum(action.name == "plug_in" for action in plan.actions) == 1
    away = any(item.target == "energy_meter" for item in plan.disturbances) and any(
        item.kind == plans.POWER_FAILURE for item in plan.disturbances
    )
    return plugged_once and not away and all(item.target not in between for item in plan.disturbances)


def _told_in_time(plan: Plan) -> bool:
    """Return whether the meter heard of what flowed before its record ended: later it counts it for nobody, in the register alone."""
    between = {"POWER.rx", "power_report", "modules_silent", *_AT_THE_BOARD.get(plan.link, ())}
    return all(item.target not in between for item in plan.disturbances)


def _released(world: CampaignWorld) -> bool:
    """Return whether nothing holds the connector."""
    return not world.locked and not _goes_on(world)


def _goes_on(world: CampaignWorld) -> bool:
    """Return whether a session of an AC output goes on: no lock holds a tethered connector, and nobody ends it."""
    return world.config.link == PILOT and world.session.state in ACTIVE


def _in_service(world: CampaignWorld) -> bool:
    """Return whether the next driver may come: a fault that bars a session shows in the state a step after it came."""
    return world.session.state is ChargeState.AVAILABLE and world.safety_state.reaction < Reaction.BLOCK


def play(plan: Plan, databases: Mapping[str, SignalDatabase], until: str = "") -> Result:
    """Play a plan, or as much of it as breaks the invariant `until`; the same plan gives the same result."""
    played = Play(plan, databases)
    played.checker.until = until
    return played.run()
