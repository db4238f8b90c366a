"""A meter that is read: which answers count, what is told of those that do not, and what becomes of records meanwhile."""

from dataclasses import dataclass, field, replace
from math import isnan, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_core.energy_meter import MeterConfig
from evse_core.energy_meter_read import ReadMeter
from evse_core.meter_link import CAN, MeterLinkConfig
from evse_core.record_keeper import RecordKeeper
from evse_core.tariff import Tariff
from evse_core.types import ChargeRecord, MeterReading, MeterReport, MeterStatus, PowerReport, RecordStatus, SessionState, StopCause
from evse_simulators.memory_ledger import MemoryLedger

LINK = MeterLinkConfig(kind=CAN)
BEGIN = 1_000_000.0


def report(wh: float, power: float = 0.0, **other: Any) -> MeterReport:
    """Return an answer at 400 V."""
    values: dict[str, Any] = {"import_wh": wh, "export_wh": 0.0, "voltage": 400.0, "current": power / 400.0, "power": power, "serial": "A1"}
    return MeterReport(**values | {"vendor": "Maker", "model": "M-1"} | other)


@dataclass
class Bench:
    """A keeper with a meter on a table."""

    link: MeterLinkConfig = LINK
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    now: float = 100.0
    wh: float = 5000.0

    def __post_init__(self) -> None:
        self.told: list[ChargeRecord] = []
        self.count = 0
        # What all answers in begin() and end() have.
        self.same: dict[str, Any] = {}
        self.start()

    def start(self) -> None:
        """Start the program with what the ledger holds."""
        self.keeper = RecordKeeper(MeterConfig(), Tariff("EUR", "0.50"), 1, self.ledger, self.told.append, lambda *_: None, self.link)
        self.keeper.recover(self.now)

    def read(self, wh: float | None = None, power: float = 0.0, after: float = 0.5, **other: Any) -> MeterStatus:
        """Let time pass and the meter answer; returns its status."""
        self.now += after
        self.wh = self.wh if wh is None else wh
        self.keeper.on_meter(report(self.wh, power, **other), self.now, BEGIN + self.now)
        return self.status

    def session(self, active: bool, seconds: float = 0.0) -> None:
        """Publish session_state for a while."""
        for _ in range(int(seconds / 0.1) + 1):
            self.now += 0.1
            state = SessionState(session_id=f"s-{self.count}", transaction_active=active, token="T", stop_cause=StopCause.LOCAL)
            self.keeper.on_session(state, self.now, BEGIN + self.now)
            self.keeper.tick(self.now, BEGIN + self.now)

    def modules(self, power: float, seconds: float) -> None:
        """Let the power modules deliver."""
        for _ in range(int(seconds / 0.1)):
            self.now += 0.1
            self.keeper.on_power(PowerReport(complete=True, age=0.0, voltage=400.0, current=power / 400.0), self.now, BEGIN + self.now)

    def begin(self) -> None:
        """Begin a session with a good reading."""
        self.count += 1
        self.session(True)
        self.read(**self.same)
        self.session(True)
        assert self.keeper.open is not None

    def end(self) -> ChargeRecord:
        """End it with a good reading after the delay of the register."""
        self.session(False)
        self.read(after=1.5, **self.same)
        self.session(False)
        assert self.keeper.open is None
        return self.told[-1]

    @property
    def reading(self) -> MeterReading:
        return self.keeper.reading(self.now)

    @property
    def status(self) -> MeterStatus:
        return self.reading.meter_status


def test_a_session_is_billed_by_the_registers_of_the_meter() -> None:
    bench = Bench()
    bench.begin()
    bench.read(5100.0, 40_000.0, after=9.0)
    record = bench.end()
    assert (record.begin_register_wh, record.end_register_wh, record.cost) == (5000.0, 5100.0, 5)
    assert (record.meter_vendor, record.meter_model, record.meter_serial, record.max_power) == ("Maker", "M-1", "A1", 40_000.0)
    assert (record.begin_meter_status, record.end_meter_status) == (MeterStatus.GOOD, MeterStatus.GOOD)


def test_readings_of_the_modules_never_move_the_register() -> None:
    bench = Bench()
    bench.begin()
    bench.modules(40_000.0, 5.0)
    assert bench.keeper.register_wh == 5000.0
    assert bench.reading.session_reference_wh == pytest.approx(40_000.0 * 4.9 / 3600.0)


def test_without_a_reading_no_record_is_begun() -> None:
    bench = Bench()
    bench.session(True, seconds=20.0)
    assert bench.keeper.open is None
    assert bench.told == []
    assert bench.status is MeterStatus.NOT_READ
    bench.read()
    bench.session(True)
    assert bench.keeper.open is not None


def test_a_reading_that_was_made_before_the_begin_was_asked_for_is_no_begin_reading() -> None:
    bench = Bench()
    bench.read()
    bench.session(True, seconds=1.0)
    assert bench.keeper.open is None
    bench.read(5001.0)
    bench.session(True)
    assert bench.keeper.open is not None
    assert bench.keeper.open.begin_register_wh == 5001.0


def test_the_end_reading_waits_for_what_reaches_the_register_late() -> None:
    bench = Bench()
    bench.begin()
    bench.session(False)
    bench.read(5010.0, after=0.5)
    bench.session(False)
    assert bench.keeper.open is not None, "a reading 0.6 s after the end does not have what flowed last"
    bench.read(5012.0, after=0.6)
    bench.session(False)
    assert bench.told[-1].end_register_wh == 5012.0


def test_a_meter_that_is_silent_at_the_end_is_waited_for_and_then_marked() -> None:
    bench = Bench()
    bench.begin()
    bench.read(5100.0, 40_000.0, after=9.0)
    bench.session(False, seconds=LINK.end_wait - 0.3)
    assert bench.keeper.open is not None
    bench.session(False, seconds=0.5)
    record = bench.told[-1]
    assert (record.status, record.end_register_wh, record.end_meter_status) == (RecordStatus.CLOSED, 5100.0, MeterStatus.TIMEOUT)


WRONG = [
    ({"wh": nan}, MeterStatus.MISSING_REGISTER),
    ({"wh": -1.0}, MeterStatus.OUT_OF_RANGE),
    ({"wh": 1e13}, MeterStatus.OUT_OF_RANGE),
    ({"power": nan}, MeterStatus.MISSING_REGISTER),
    ({"voltage": 2500.0}, MeterStatus.OUT_OF_RANGE),
    ({"current": -3000.0}, MeterStatus.OUT_OF_RANGE),
    ({"export_wh": -0.1}, MeterStatus.OUT_OF_RANGE),
    ({"fault": "a sensor is missing"}, MeterStatus.DISTURBED),
    ({"serial": "B2"}, MeterStatus.EXCHANGED),
    ({"wh": 4999.0}, MeterStatus.BACKWARDS),
    ({"wh": 6000.0}, MeterStatus.JUMPED),
    ({"export_wh": 900.0}, MeterStatus.JUMPED),
]


@pytest.mark.parametrize(("answer", "status"), WRONG)
def test_an_answer_that_cannot_be_believed_is_told_and_does_not_count(answer: dict[str, Any], status: MeterStatus) -> None:
    bench = Bench()
    bench.begin()
    assert bench.read(**answer) is status
    reading = bench.reading
    assert not reading.healthy
    assert reading.meter_detail
    assert reading.register_wh == 5000.0
    assert isnan(reading.power)


@pytest.mark.parametrize(("answer", "status"), WRONG)
def test_with_such_an_answer_no_session_begins(answer: dict[str, Any], status: MeterStatus) -> None:
    bench = Bench()
    bench.read(5000.0)
    bench.session(True)
    assert bench.read(**answer) is status
    bench.session(True, seconds=2.0)
    assert bench.keeper.open is None


@pytest.mark.parametrize(("answer", "status"), [row for row in WRONG if row[1] is not MeterStatus.JUMPED])
def test_the_next_good_answer_counts_again(answer: dict[str, Any], status: MeterStatus) -> None:
    bench = Bench()
    bench.begin()
    assert bench.read(**answer) is status
    assert bench.read(5001.0) is MeterStatus.GOOD
    assert bench.reading.register_wh == 5001.0


def test_a_jump_stays_until_somebody_has_looked_and_started_anew() -> None:
    bench = Bench()
    bench.begin()
    bench.read(9000.0)
    assert bench.read(5001.0, after=3600.0) is MeterStatus.JUMPED
    bench.session(False, seconds=6.0)
    assert bench.told[-1].end_register_wh == 5000.0
    assert bench.told[-1].end_meter_status is MeterStatus.JUMPED
    bench.start()
    assert bench.read(9000.0) is MeterStatus.GOOD


def test_a_register_that_runs_ahead_of_the_rating_bit_by_bit_has_jumped() -> None:
    bench = Bench()
    bench.begin()
    seen = [bench.read(5000.0 + 0.5 * step * 100_000.0 / 3600.0, 40_000.0) for step in range(60)]
    assert seen[10] is MeterStatus.GOOD
    assert seen[-1] is MeterStatus.JUMPED


def test_what_the_rating_allows_is_no_jump() -> None:
    bench = Bench()
    bench.begin()
    assert bench.read(5000.0 + 50_000.0 * 10.0 / 3600.0, 50_000.0, after=10.0) is MeterStatus.GOOD


def test_a_register_that_stands_still_under_power_is_stuck_until_it_moves() -> None:
    bench = Bench(wh=0.0)
    bench.begin()
    bench.modules(40_000.0, 40.0)
    assert bench.read(power=40_000.0) is MeterStatus.GOOD, "444 Wh may be the step of a register"
    bench.modules(40_000.0, 10.0)
    assert bench.read(power=40_000.0) is MeterStatus.STUCK
    assert bench.read(560.0, power=40_000.0) is MeterStatus.GOOD


def test_a_meter_that_does_not_answer_is_passed_over_once_and_then_told_with_its_reason() -> None:
    bench = Bench()
    bench.begin()
    bench.keeper.on_meter_failure(MeterStatus.FAILED, "exception 4", bench.now)
    assert bench.status is MeterStatus.GOOD
    bench.now += LINK.max_age + 0.1
    assert bench.status is MeterStatus.FAILED
    assert bench.reading.meter_detail == "exception 4"
    bench.keeper.on_meter_failure(MeterStatus.DISCONNECTED, "gone", bench.now)
    assert bench.status is MeterStatus.DISCONNECTED
    assert bench.read() is MeterStatus.GOOD


def test_an_exchanged_meter_is_accepted_when_the_description_names_it_and_its_registers_count_from_where_they_are() -> None:
    bench = Bench()
    bench.begin()
    bench.end()
    assert bench.read(40.0, serial="B2") is MeterStatus.EXCHANGED
    bench.link = replace(LINK, serial="B2")
    bench.start()
    assert bench.read(40.0, serial="B2") is MeterStatus.GOOD
    bench.same = {"serial": "B2"}
    bench.begin()
    bench.read(50.0, 1000.0, serial="B2")
    assert bench.ledger.register_wh == 50.0
    assert bench.told[-1].meter_serial == "B2"
    bench.start()
    assert bench.keeper.register_wh == 50.0


def test_a_meter_with_another_number_than_the_description_says_is_refused() -> None:
    bench = Bench(link=replace(LINK, serial="A2"))
    assert bench.read() is MeterStatus.EXCHANGED
    assert "A2" in bench.reading.meter_detail


def test_a_meter_takes_the_place_of_an_integrated_register() -> None:
    bench = Bench(link=MeterLinkConfig())
    bench.ledger.register_wh = 700.0
    bench.link = LINK
    bench.start()
    assert bench.read(5.0) is MeterStatus.GOOD
    assert bench.ledger.register_wh == 5.0


def test_an_open_session_goes_on_after_a_restart_with_what_the_meter_counted_meanwhile() -> None:
    bench = Bench()
    bench.begin()
    bench.read(5100.0, 40_000.0, after=9.0)
    bench.start()
    bench.session(True)
    assert bench.keeper.register_wh == 5100.0
    bench.read(5150.0, 40_000.0, after=3.0)
    bench.session(True)
    assert bench.keeper.open is not None
    assert isnan(bench.reading.session_reference_wh), "nobody knows what the modules delivered meanwhile"
    assert bench.end().end_register_wh == 5150.0


def test_a_meter_that_counts_the_other_way_is_turned() -> None:
    bench = Bench(link=replace(LINK, reversed=True))
    bench.begin()
    bench.read(5000.0, -20_000.0, export_wh=20.0)
    assert (bench.reading.register_wh, bench.reading.power) == (20.0, 20_000.0)


@pytest.mark.parametrize(("certificate", "simulated", "legal"), [("MID 123", False, True), ("", False, False), ("", True, False)])
def test_a_record_is_legal_only_with_a_certificate(certificate: str, simulated: bool, legal: bool) -> None:
    bench = Bench(link=replace(LINK, certificate=certificate, simulated=simulated))
    bench.begin()
    assert bench.told[-1].legal is legal
    assert ("SIMULATED" in bench.told[-1].meter_model) is simulated
    assert bench.reading.legal is legal


def test_a_meter_that_says_that_it_is_simulated_is_never_legal() -> None:
    bench = Bench(link=replace(LINK, certificate="MID 123"))
    bench.same = {"model": "SIMULATED"}
    bench.begin()
    assert not bench.told[-1].legal


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"kind": "modbus"}, "map: is missing"),
        ({"kind": "modbus", "map": "x"}, "either host"),
        ({"kind": "modbus", "map": "x", "host": "h", "serial_port": "/dev/x"}, "either host"),
        ({"kind": "ethernet"}, "kind: 'ethernet' is none of power_link"),
        ({"kind": "can", "map": "x"}, "map: belongs to kind modbus"),
        ({"certificate": "MID"}, "certificate: an integrated value"),
        ({"kind": "can", "certificate": "MID", "simulated": True}, "certificate: a simulated meter has none"),
        ({"kind": "can", "parity": "X"}, "parity: 'X' is none of N, E, O"),
        ({"kind": "can", "max_age": 0.5, "poll_period": 0.5}, "max_age: 0.5 s is below two poll_period"),
        ({"kind": "can", "end_wait": 1.0}, "end_wait: 1.0 s is not above register_delay"),
        ({"vehicle_link": "pilot", "cable_milliohm": 5.0}, "cable_milliohm: an integrated value of AC"),
    ],
)
def test_a_link_whose_parts_do_not_fit_is_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MeterLinkConfig(**keys)


# Losses of the cable


def test_losses_of_the_cable_are_taken_off_and_never_turn_the_register_back() -> None:
    bench = Bench(link=replace(LINK, cable_milliohm=20.0))
    bench.begin()
    registers = []
    for second in range(360):
        # 100 A through 20 mOhm are 200 W; the register goes in steps of 10 Wh.
        bench.read(5000.0 + 10.0 * (second * 40_000.0 / 3600.0 // 10.0), 40_000.0, after=1.0)
        registers.append(bench.reading.register_wh)
        reading = bench.reading
        assert reading.mains_register_wh == pytest.approx(reading.register_wh + reading.loss_wh)
    assert registers == sorted(registers)
    assert bench.reading.session_loss_wh == pytest.approx(200.0 * 360.0 / 3600.0, abs=1.0)
    record = bench.end()
    assert record.cable_resistance == 0.02
    taken = record.end_mains_wh - record.begin_mains_wh - (record.end_register_wh - record.begin_register_wh)
    assert taken == pytest.approx(20.0, abs=1.0)


def test_losses_of_each_phase_count() -> None:
    bench = Bench(link=replace(LINK, cable_milliohm=10.0))
    bench.begin()
    phases = {f"current_l{phase}": 32.0 for phase in (1, 2, 3)}
    for second in range(1, 101):
        bench.read(5000.0 + second * 22_000.0 / 3600.0, 22_000.0, after=1.0, **phases)
    assert bench.reading.session_loss_wh == pytest.approx(3.0 * 32.0**2 * 0.01 * 99.0 / 3600.0, rel=0.02)


def test_losses_begin_at_0_with_each_session_and_survive_a_restart() -> None:
    bench = Bench(link=replace(LINK, cable_milliohm=20.0))
    for _ in range(2):
        bench.begin()
        assert bench.reading.session_loss_wh == pytest.approx(0.0, abs=1e-9)
        bench.read(bench.wh + 11.0, 40_000.0, after=1.0)
        bench.read(bench.wh + 11.0, 40_000.0, after=1.0)
        lost = bench.reading.session_loss_wh
        assert lost == pytest.approx(200.0 * 1.0 / 3600.0, rel=0.6)
        bench.start()
        bench.read()
        bench.session(True)
        assert bench.reading.session_loss_wh == pytest.approx(lost)
        bench.end()


def test_a_meter_that_tells_no_current_cannot_be_compensated() -> None:
    bench = Bench(link=replace(LINK, cable_milliohm=20.0))
    assert bench.read(current=nan) is MeterStatus.MISSING_REGISTER


def test_of_energy_from_the_vehicle_the_loss_is_added() -> None:
    bench = Bench(link=replace(LINK, cable_milliohm=20.0, max_discharge_power=50_000.0))
    bench.begin()
    for second in range(1, 11):
        bench.read(5000.0, -40_000.0, after=1.0, export_wh=second * 11.0)
    reading = bench.reading
    assert reading.register_wh == 5000.0
    assert reading.export_register_wh - 110.0 == pytest.approx(200.0 * 9.5 / 3600.0, rel=0.05)


# Whatever comes

NUMBER = st.floats(allow_nan=True, allow_infinity=True)
ANSWER = st.builds(report, NUMBER, NUMBER, export_wh=NUMBER, voltage=NUMBER, current=NUMBER, serial=st.sampled_from(["A1", "B2", ""]))
NEAR = st.builds(report, st.floats(4990.0, 5100.0), st.floats(-5e4, 5e4), serial=st.just("A1"))


@given(st.lists(st.tuples(st.floats(0.0, 30.0), ANSWER | NEAR), max_size=30), st.sampled_from([0.0, 20.0]))
def test_whatever_a_meter_answers_registers_never_fall_and_only_good_answers_count(
    answers: list[tuple[float, MeterReport]], cable: float
) -> None:
    bench = Bench(link=replace(LINK, cable_milliohm=cable))
    bench.read(5000.0)
    bench.session(True)
    bench.read(5000.0)
    bench.session(True)
    for seconds, answer in answers:
        before = (bench.reading.register_wh, bench.reading.export_register_wh, bench.reading.mains_register_wh)
        bench.now += seconds
        bench.keeper.on_meter(answer, bench.now, BEGIN + bench.now)
        after = (bench.reading.register_wh, bench.reading.export_register_wh, bench.reading.mains_register_wh)
        assert all(new >= old - 1e-9 for new, old in zip(after, before, strict=True))
        if after != before:
            assert bench.status is MeterStatus.GOOD
            assert bench.reading.mains_register_wh == pytest.approx(max(answer.import_wh, before[2]))


def test_a_meter_of_a_new_ledger_has_no_registers_but_its_own() -> None:
    meter = ReadMeter(MeterConfig(), LINK, MemoryLedger())
    assert meter.on_sample(report(123.0), 1.0, BEGIN)
    assert (meter.register_wh, meter.identity, meter.adopted) == (123.0, "A1", "A1")
