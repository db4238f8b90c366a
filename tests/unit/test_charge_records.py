"""When records begin and end, and what they then say."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_core.charge_records import RecordAction, Register, actions, begun, ended
from evse_core.tariff import Tariff
from evse_core.types import RecordStatus, SessionState, StopCause

BEGIN, CLOSE, INTERRUPT = RecordAction.BEGIN, RecordAction.CLOSE, RecordAction.INTERRUPT


@pytest.mark.parametrize(
    ("open_session", "session", "active", "known", "wanted"),
    [
        ("", "", False, False, ()),
        ("", "a", False, False, ()),
        ("", "a", True, False, (BEGIN,)),
        ("", "a", True, True, ()),  # closed after a restart of the meter: not billed twice
        ("", "", True, False, ()),
        ("a", "a", True, True, ()),
        ("a", "a", False, False, (CLOSE,)),
        ("a", "", False, False, (INTERRUPT,)),  # the sequencer was restarted
        ("a", "b", False, False, (INTERRUPT,)),
        ("a", "b", True, False, (INTERRUPT, BEGIN)),
        ("a", "b", True, True, (INTERRUPT,)),
    ],
)
def test_what_a_session_asks_for(open_session: str, session: str, active: bool, known: bool, wanted: tuple[RecordAction, ...]) -> None:
    assert actions(open_session, SessionState(session_id=session, transaction_active=active), known) == wanted


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.booleans()), max_size=30))
def test_each_session_is_begun_once_and_ended_once_at_most(steps: list[tuple[str, bool]]) -> None:
    open_session, begun_ids, ended_ids = "", [], []
    for session_id, active in steps:
        session = SessionState(session_id=session_id, transaction_active=active)
        for action in actions(open_session, session, session_id in begun_ids):
            if action is BEGIN:
                assert open_session == ""
                open_session = session_id
                begun_ids.append(session_id)
            else:
                ended_ids.append(open_session)
                open_session = ""
        assert actions(open_session, session, session_id in begun_ids) == ()
    assert len(set(begun_ids)) == len(begun_ids)
    assert begun_ids[: len(ended_ids)] == ended_ids


def test_a_record_from_begin_to_end() -> None:
    session = SessionState(session_id="s", token="04A2B3C4", transaction_active=True)
    opened = begun(session, 2, 17, Tariff("EUR", "0.50"), Register(1000.2, 300.0, 999.0, 50.0))
    assert (opened.status, opened.evse_id, opened.record_number, opened.token) == (RecordStatus.OPEN, 2, 17, "04A2B3C4")
    assert (opened.begin, opened.begin_register_wh, opened.max_power, opened.cost, opened.legal) == (50.0, 1000.2, 0.0, 0, False)
    closed = ended(opened, RecordStatus.CLOSED, StopCause.LOCAL, Register(3000.9, 800.4, 41_000.0, 90.0))
    assert (closed.begin, closed.begin_register_wh, closed.record_number) == (50.0, 1000.2, 17)
    assert (closed.end, closed.end_register_wh, closed.max_power, closed.stop_cause) == (90.0, 3000.9, 41_000.0, StopCause.LOCAL)
    assert closed.cost == 100  # 3001 - 1000 Wh at 0.50 EUR are 1.0005 EUR
    assert (closed.begin_export_register_wh, closed.end_export_register_wh) == (300.0, 800.4)


# price of export, cost of 2 kWh at 0.50 EUR with 0.5 kWh and with 10 kWh from the vehicle, in cents
@pytest.mark.parametrize(("price", "some", "much"), [("0", 100, 100), ("0.30", 85, -200), ("0.01", 99, 90)])
def test_energy_from_the_vehicle_is_credited_only_where_the_tariff_says_so(price: str, some: int, much: int) -> None:
    session = SessionState(session_id="s", transaction_active=True)
    opened = begun(session, 1, 1, Tariff("EUR", "0.50", price), Register(0.0, 100.0, 0.0, 1.0))
    costs = [ended(opened, RecordStatus.CLOSED, StopCause.LOCAL, Register(2000.0, end, 0.0, 2.0)).cost for end in (600.0, 10_100.0)]
    assert costs == [some, much]


def test_a_record_that_has_no_price_of_export_credits_none() -> None:
    opened = begun(SessionState(session_id="s", transaction_active=True), 1, 1, Tariff("EUR", "0.50"), Register(0.0, 0.0, 0.0, 1.0))
    old = replace(opened, export_price_per_kwh="")
    assert ended(old, RecordStatus.CLOSED, StopCause.LOCAL, Register(2000.0, 500.0, 0.0, 2.0)).cost == 100


def test_the_price_is_that_of_the_begin_and_nothing_runs_backwards() -> None:
    opened = begun(SessionState(session_id="s", transaction_active=True), 1, 1, Tariff("JPY", "30"), Register(5000.0, 70.0, 0.0, 100.0))
    closed = ended(opened, RecordStatus.INTERRUPTED, StopCause.RESTART, Register(4000.0, 60.0, 0.0, 40.0))
    assert (closed.end, closed.end_register_wh, closed.cost, closed.currency) == (100.0, 5000.0, 0, "JPY")
    assert closed.end_export_register_wh == 70.0
