"""The charging sequence of an AC output with a control pilot: sessions on an ideal board, then everything that goes otherwise (can.md section 3)."""

from dataclasses import replace
from itertools import pairwise
from math import isnan, nan

import pytest

from evse_core.charge_sequencer import ChargeSequencer, SequencerConfig, SequencerInputs
from evse_core.control_pilot import LEAST
from evse_core.safety_inputs import PERMIT_STATES
from evse_core.sample import Sample
from evse_core.types import (
    AcReport,
    CanStatus,
    ChargeRecord,
    ChargeState,
    IoCommand,
    IoReport,
    PilotState,
    PowerBudget,
    PowerFunction,
    PowerReport,
    Reaction,
    RecordStatus,
    RequestKind,
    SafetyState,
    SessionRequest,
    StopCause,
)

S, P = ChargeState, PilotState
STEP, MAINS = 0.05, 230.0
CONFIG = SequencerConfig(vehicle_link="pilot", max_current=32.0, max_power=22_080.0, ac_phases=3, socket_outlet=True)


class Rig:
    """A sequencer with a board that does what it is told, and a vehicle whose state the test sets."""

    def __init__(self, config: SequencerConfig = CONFIG) -> None:
        self.sequencer, self.config, self.now = ChargeSequencer(config), config, 0.0
        self.pilot, self.cable, self.drawn = P.A, 32.0, 0.0
        self.reaction, self.first_fault, self.budget, self.cuts = Reaction.NONE, "", 22_080.0, 0
        self.current_budget, self.mains = nan, MAINS
        self.locks = self.closes = self.passes = self.keeps_records = self.talks = True
        self.temperature, self.latch = 40.0, False
        self.io, self.requests, self.told = IoCommand(), [], IoCommand()
        self.log: list[tuple[float, IoCommand]] = []
        self.states: list[ChargeState] = []
        self.live = False

    @property
    def state(self) -> ChargeState:
        return self.sequencer.state

    def report(self) -> IoReport:
        closed = self.io.close_contactor and self.closes
        shown = P.F if self.io.pilot_unavailable else self.pilot
        ac = AcReport(
            pilot_state=shown,
            cable_current=nan if self.pilot is P.A else self.cable,
            latch_pressed=self.latch,
            output_live=closed or self.live,
            phases_closed=self.io.phases if closed else 0,
            residual_current_tested=self.passes and not closed,
        )
        return IoReport(
            complete=True,
            age=0.02,
            locked=self.io.lock and self.locks,
            contactor_closed=closed,
            earth_ok=True,
            connector_temperature=self.temperature,
            ac=ac,
        )

    def step(self) -> None:
        """Go on by one step; the board follows at once."""
        self.now += STEP
        session = self.sequencer._session.id
        record = ChargeRecord(status=RecordStatus.OPEN, session_id=session) if self.keeps_records else ChargeRecord()
        current = self.drawn * self.io.phases if self.io.close_contactor else 0.0
        permit = self.state in PERMIT_STATES and self.reaction is not Reaction.EMERGENCY
        safety = SafetyState(permit=permit, reaction=self.reaction, first_fault=self.first_fault)
        inputs = SequencerInputs(
            power=Sample(PowerReport(complete=True, age=0.02, voltage=self.mains, current=current, enabled=True), self.now),
            io=Sample(self.report(), self.now) if self.talks else None,
            safety=Sample(safety, self.now),
            can_status=Sample(CanStatus(cut_count=self.cuts), self.now),
            budget=Sample(PowerBudget(power=self.budget, valid_for=5.0, current=self.current_budget), self.now),
            record=Sample(record, self.now),
            requests=tuple(self.requests),
            fresh_id="s-1",
        )
        self.requests = []
        outputs = self.sequencer.step(inputs, self.now)
        self.session, self.power = outputs.session, outputs.power
        if outputs.publish_commands:
            self.io = outputs.io
        self.log.append((self.now, self.io))
        if not self.states or self.states[-1] is not self.state:
            self.states.append(self.state)

    def run(self, seconds: float) -> "Rig":
        for _ in range(round(seconds / STEP)):
            self.step()
        return self

    def ask(self, kind: RequestKind, **more: object) -> None:
        self.requests.append(SessionRequest(kind=kind, **more))  # type: ignore[arg-type]

    def begin(self, state: PilotState = P.B) -> "Rig":
        """Plug in and start with an authorised token; return where the vehicle waits in state B."""
        self.run(0.2)
        self.pilot = state
        self.run(0.2)
        self.ask(RequestKind.START, token="TAG", authorized=True)
        return self.run(1.0)

    def charge(self) -> "Rig":
        self.begin()
        self.pilot, self.drawn = P.C, 16.0
        self.run(1.0)
        assert self.state is S.CHARGING
        return self

    def offers(self) -> list[tuple[float, float]]:
        """Return when the signalled current changed, and to what; 0 for none."""
        found: list[tuple[float, float]] = []
        for now, io in self.log:
            current = 0.0 if isnan(io.pilot_current) else io.pilot_current
            if not found or found[-1][1] != current:
                found.append((now, current))
        return found


def test_a_session_from_plug_to_unplug() -> None:
    rig = Rig().charge()
    assert (rig.io.close_contactor, rig.io.lock, rig.io.phases, rig.io.pilot_current) == (True, True, 3, 32.0)
    assert (rig.power.function, rig.power.current) == (PowerFunction.POWER_TRANSFER, 96.0)
    rig.run(5.0)
    rig.ask(RequestKind.STOP, stop_cause=StopCause.REMOTE)
    rig.run(0.5)
    assert (rig.state, rig.io.close_contactor, isnan(rig.io.pilot_current)) == (S.RAMPING_DOWN, True, True)
    rig.pilot = P.B
    rig.run(2.0)
    assert (rig.state, rig.io.lock, rig.session.stop_cause) == (S.FINISHED, False, StopCause.REMOTE)
    rig.pilot = P.A
    rig.run(0.2)
    assert rig.states == [
        S.AVAILABLE, S.PREPARING, S.AUTHORIZED, S.WAITING_FOR_VEHICLE, S.LOCKING, S.WAITING_FOR_REQUEST, S.CHARGING, S.RAMPING_DOWN,
        S.CLOSING, S.UNLOCKING, S.FINISHED, S.AVAILABLE,
    ]  # fmt: skip


def test_nothing_is_offered_without_a_token() -> None:
    rig = Rig().run(0.2)
    rig.pilot = P.C
    rig.run(5.0)
    assert rig.offers() == [(STEP, 0.0)]
    assert not any(io.close_contactor for _, io in rig.log)


@pytest.mark.parametrize("lacks", ["locks", "passes", "keeps_records"])
def test_nothing_is_offered_without_lock_self_test_and_begin_reading(lacks: str) -> None:
    rig = Rig()
    setattr(rig, lacks, False)
    rig.begin().run(10.0)
    assert len(rig.offers()) == 1
    assert rig.session.stop_cause is StopCause.CHARGER_FAULT


def test_a_tethered_cable_needs_no_lock_and_no_coding() -> None:
    rig = Rig(replace(CONFIG, socket_outlet=False))
    rig.locks, rig.cable = False, nan
    rig.charge()
    assert (rig.io.lock, rig.io.pilot_current) == (False, 32.0)


def test_a_vehicle_may_leave_state_c_and_come_back() -> None:
    rig = Rig().charge()
    for _ in range(3):
        rig.pilot = P.B
        rig.step()
        assert not rig.io.close_contactor
        rig.run(3.0)
        assert (rig.state, rig.io.pilot_current) == (S.WAITING_FOR_REQUEST, 32.0)
        rig.pilot = P.C
        rig.run(0.5)
        assert (rig.state, rig.io.close_contactor) == (S.CHARGING, True)


@pytest.mark.parametrize("state", [P.A, P.B, P.E, P.F, P.UNKNOWN])
def test_the_contactor_is_told_to_open_in_the_step_that_shows_no_ready_vehicle(state: PilotState) -> None:
    rig = Rig().charge()
    rig.pilot = state
    rig.step()
    assert not rig.io.close_contactor


def test_who_pulls_the_connector_ends_the_session_and_breaks_nothing() -> None:
    rig = Rig(replace(CONFIG, socket_outlet=False)).charge()
    rig.pilot = P.A
    rig.run(3.0)
    assert (rig.state, rig.session.stop_cause) == (S.AVAILABLE, StopCause.UNPLUGGED)
    assert S.FAULTED not in rig.states


def test_a_pressed_latch_stops_before_the_connector_is_out() -> None:
    rig = Rig(replace(CONFIG, socket_outlet=False)).charge()
    rig.latch = True
    rig.run(0.1)
    assert (rig.state, rig.session.stop_cause) == (S.RAMPING_DOWN, StopCause.LOCAL)


@pytest.mark.parametrize(("cable", "offered"), [(13.0, 13.0), (20.0, 20.0), (63.0, 32.0)])
def test_no_more_is_offered_than_the_cable_bears(cable: float, offered: float) -> None:
    rig = Rig()
    rig.cable = cable
    assert rig.charge().io.pilot_current == offered


@pytest.mark.parametrize("cable", [0.0, nan])
def test_a_cable_that_nobody_knows_is_not_used(cable: float) -> None:
    rig = Rig()
    rig.cable = cable
    rig.begin().run(8.0)
    assert len(rig.offers()) == 1
    assert rig.session.stop_cause is StopCause.INCOMPATIBLE


def test_ventilation_is_a_matter_of_the_room() -> None:
    rig = Rig().begin()
    rig.pilot = P.D
    rig.run(1.0)
    assert not rig.io.close_contactor
    rig.run(5.0)
    assert rig.session.stop_cause is StopCause.INCOMPATIBLE
    rig = Rig(replace(CONFIG, ventilated=True)).begin()
    rig.pilot = P.D
    assert rig.run(1.0).io.close_contactor


def test_a_simplified_vehicle_gets_ten_amperes_or_nothing() -> None:
    rig = Rig().begin(P.C)
    assert (rig.state, rig.io.pilot_current) == (S.CHARGING, 10.0)
    rig = Rig(replace(CONFIG, simplified_current=0.0)).begin(P.C).run(8.0)
    assert len(rig.offers()) == 1


def test_a_budget_becomes_an_offer_on_all_phases() -> None:
    rig = Rig()
    rig.budget = 11_040.0
    assert rig.charge().io.pilot_current == pytest.approx(16.0)


def test_duty_cycles_stand_for_five_seconds() -> None:
    rig = Rig().charge()
    for number in range(400):
        rig.budget = (8_000.0, 20_000.0, 12_000.0)[number % 3]
        rig.run(0.1)
    times = [now for now, _ in rig.offers()]
    assert len(times) > 6
    assert all(later - now >= 5.0 - 1e-6 for now, later in pairwise(times[1:]))


def test_a_limit_per_phase_is_offered_as_it_is_whatever_the_mains_voltage() -> None:
    rig = Rig().charge()
    rig.mains, rig.budget, rig.current_budget = 240.0, 6.0 * 690.0 * 1.1, 6.0
    assert rig.run(6.0).io.pilot_current == pytest.approx(6.0)
    rig.current_budget = 5.9
    assert isnan(rig.run(0.1).io.pilot_current)
    rig.current_budget = nan
    assert rig.run(6.0).io.pilot_current == pytest.approx(6.3)


def test_too_little_budget_suspends_and_more_of_it_resumes() -> None:
    rig = Rig().charge()
    rig.run(6.0)
    rig.budget = 3_000.0
    rig.step()
    assert isnan(rig.io.pilot_current)
    assert (rig.state, rig.io.close_contactor) == (S.CHARGING, True)
    rig.run(1.0)
    rig.pilot = P.B
    rig.run(1.0)
    assert (rig.state, rig.io.close_contactor, rig.session.limited) == (S.WAITING_FOR_REQUEST, False, True)
    rig.budget = 22_080.0
    rig.run(5.0)
    assert rig.io.pilot_current == 32.0


def test_a_vehicle_that_does_not_stop_is_disconnected_after_six_seconds() -> None:
    rig = Rig().charge()
    rig.budget = 0.0
    rig.run(5.9)
    assert rig.io.close_contactor
    rig.run(0.3)
    assert not rig.io.close_contactor
    rig = Rig().charge()
    rig.ask(RequestKind.STOP, stop_cause=StopCause.REMOTE)
    rig.run(5.9)
    assert rig.io.close_contactor
    rig.run(0.3)
    assert not rig.io.close_contactor


def test_a_fault_waits_for_three_seconds_only() -> None:
    rig = Rig().charge()
    rig.reaction, rig.first_fault = Reaction.STOP, "mains_low"
    rig.run(2.9)
    assert (rig.state, rig.io.close_contactor) == (S.RAMPING_DOWN, True)
    rig.run(0.3)
    assert not rig.io.close_contactor
    assert rig.session.stop_cause is StopCause.CHARGER_FAULT


def test_one_phase_is_used_where_three_are_too_many_and_phases_change_with_nothing_connected() -> None:
    rig = Rig(replace(CONFIG, phase_switching=True)).charge()
    rig.budget = 3_000.0
    rig.run(1.0)
    rig.pilot = P.B
    rig.run(58.0)
    assert (rig.io.phases, isnan(rig.io.pilot_current)) == (3, True)
    rig.run(12.0)
    assert (rig.io.phases, rig.io.pilot_current) == (1, pytest.approx(13.0))
    rig.pilot = P.C
    rig.run(1.0)
    rig.budget = 22_080.0
    rig.run(61.0)
    assert isnan(rig.io.pilot_current)
    rig.pilot = P.B
    rig.run(12.0)
    assert (rig.io.phases, rig.io.pilot_current) == (3, 32.0)
    before = rig.log[0][1]
    for _, io in rig.log:
        assert io.phases == before.phases or not (io.close_contactor or before.close_contactor)
        before = io


def test_a_single_phase_station_never_speaks_of_three() -> None:
    rig = Rig(replace(CONFIG, ac_phases=1, max_power=7_360.0)).charge()
    assert {io.phases for _, io in rig.log if io.close_contactor} == {1}
    assert rig.io.pilot_current == 32.0


def test_a_vehicle_that_sleeps_is_woken_once() -> None:
    rig = Rig().begin().run(100.0)
    pulses = [now for now, io in rig.log if io.pilot_unavailable]
    assert 3.9 <= pulses[-1] - pulses[0] <= 4.1
    assert 30.0 <= pulses[0] <= 33.0
    after = [io.pilot_current for now, io in rig.log if now > pulses[-1] + 1.0]
    assert set(after) == {32.0}
    assert rig.state is S.WAITING_FOR_REQUEST


def test_a_vehicle_that_charged_and_waits_is_not_woken() -> None:
    rig = Rig().charge()
    rig.pilot = P.B
    rig.run(100.0)
    assert not any(io.pilot_unavailable for _, io in rig.log)


def test_a_hot_connector_derates_and_then_stops() -> None:
    rig = Rig().charge().run(6.0)
    rig.temperature = 85.0
    rig.run(1.0)
    assert rig.io.pilot_current == pytest.approx(16.0)
    rig.temperature = 89.5
    rig.run(12.0)
    assert rig.session.stop_cause is StopCause.CHARGER_FAULT


@pytest.mark.parametrize("what", ["emergency", "cut", "board"])
def test_an_emergency_opens_at_once_and_shows_state_f(what: str) -> None:
    rig = Rig().charge()
    if what == "emergency":
        rig.reaction, rig.first_fault = Reaction.EMERGENCY, "residual_current"
    elif what == "cut":
        rig.cuts = 1
    else:
        rig.talks = False
        rig.run(0.5)
    rig.step()
    assert (rig.state, rig.io.close_contactor, rig.io.pilot_unavailable) == (S.EMERGENCY, False, True)
    rig.talks = True
    rig.run(0.4)
    assert rig.io.pilot_unavailable
    rig.run(2.0)
    assert rig.state is S.FAULTED


def test_a_fault_that_is_gone_lets_the_vehicle_be_seen_to_leave() -> None:
    rig = Rig().charge()
    rig.reaction, rig.first_fault = Reaction.EMERGENCY, "residual_current"
    rig.run(5.0)
    assert (rig.state, rig.io.pilot_unavailable) == (S.FAULTED, True)
    rig.reaction, rig.first_fault = Reaction.NONE, ""
    rig.run(1.0)
    assert (rig.state, rig.io.pilot_unavailable) == (S.FAULTED, False)
    rig.pilot = P.A
    rig.run(0.5)
    assert rig.state is S.AVAILABLE


def test_a_welded_contact_keeps_the_cable_locked() -> None:
    rig = Rig().charge()
    rig.live = True
    rig.ask(RequestKind.STOP, stop_cause=StopCause.REMOTE)
    rig.run(1.0)
    rig.pilot = P.B
    rig.run(20.0)
    assert (rig.state, rig.io.lock) == (S.FAULTED, True)


def test_an_evse_out_of_service_shows_state_f() -> None:
    rig = Rig().run(0.2)
    rig.ask(RequestKind.DISABLE)
    rig.run(0.2)
    assert (rig.state, rig.io.pilot_unavailable) == (S.UNAVAILABLE, True)


def test_a_restart_with_a_closed_contactor_opens_and_unlocks_first() -> None:
    rig = Rig()
    rig.io = IoCommand(close_contactor=True, lock=True, phases=3)
    rig.pilot = P.C
    rig.run(3.0)
    assert S.RECOVERING in rig.states
    assert (rig.state, rig.io.close_contactor, rig.io.lock) == (S.FINISHED, False, False)


def test_what_a_vehicle_could_take_is_what_it_takes_or_all_there_is() -> None:
    rig = Rig().charge()
    assert rig.session.power_wanted == pytest.approx(22_080.0)
    rig.run(6.0)
    assert rig.session.power_wanted == pytest.approx(3 * 16.0 * MAINS)
    rig.drawn = 32.0
    rig.run(1.0)
    assert rig.session.power_wanted == pytest.approx(22_080.0)


def test_no_offer_is_ever_below_the_least() -> None:
    rig = Rig().charge()
    for budget in range(0, 22_000, 500):
        rig.budget = float(budget)
        rig.run(6.0)
    assert all(current == 0.0 or current >= LEAST for _, current in rig.offers())
