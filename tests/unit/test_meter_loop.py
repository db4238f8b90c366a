"""The loop of energy_meter with a meter that is read: answers are calls with a text, and a snapshot in the middle of a session decides on the same."""

import json
from math import isnan
from pathlib import Path

import pytest

from evse_core.energy_meter_loop import ANSWER, METER, POWER, SESSION
from evse_core.meter_answer import as_text, from_text
from evse_core.snapshot import capture, restore
from evse_core.trace import STEP, Loop
from evse_core.types import MeterReport, MeterStatus, PowerReport, SessionState
from evse_tools.description import load
from evse_tools.node_specs import decided_with, node_specs
from evse_tools.verify_rules import loops

CONFIG = Path(__file__).resolve().parents[2] / "config"
STAMP = 1.7e9


def made(name: str = "modbus_meter.yaml") -> Loop:
    return loops(decided_with(node_specs(load(CONFIG / name))))["/evse_1/energy_meter"]()


def report(wh: float, power: float = 40_000.0) -> MeterReport:
    return MeterReport(complete=True, age=0.05, import_wh=wh, export_wh=0.0, voltage=400.0, current=power / 400.0, power=power, serial="7")


def test_an_answer_survives_as_a_text() -> None:
    found, age, status, detail = from_text(as_text(report(5.0), 0.25, MeterStatus.GOOD, ""))
    assert found is not None
    assert (found.import_wh, found.serial, age, status, detail) == (5.0, "7", 0.25, MeterStatus.GOOD, "")
    assert isnan(found.frequency)
    assert from_text(as_text(None, 1.0, MeterStatus.FAILED, "exception 4")) == (None, 1.0, MeterStatus.FAILED, "exception 4")
    with pytest.raises((ValueError, KeyError)):
        from_text(json.dumps({"age": 1.0}))


def run(loop: Loop, begin: int, end: int) -> list[str]:
    """Give the loop a session with a meter that is read twice a second and fails at times; return what it says, as text: NaN equals NaN there."""
    said = []
    for tick in range(begin, end):
        now = 100.0 + tick * 0.1
        stamp = STAMP + now
        outputs = list(loop.on(POWER, PowerReport(complete=True, age=0.0, voltage=400.0, current=100.0), now, stamp))
        if tick % 5 == 0:
            bad = tick % 35 == 0
            text = as_text(
                None if bad else report(5000.0 + tick * 1.1), 0.02, MeterStatus.FAILED if bad else MeterStatus.GOOD, "why" if bad else ""
            )
            outputs += loop.on(ANSWER, text, now, stamp)
        session = SessionState(session_id="s", transaction_active=20 <= tick < 150, token="T")
        outputs += loop.on(SESSION, session, now, stamp)
        outputs += loop.on(STEP, "", now, stamp)
        said += [repr((name, value)) for name, value in outputs]
    return said


def test_a_state_that_was_read_back_decides_on_the_same() -> None:
    whole = made()
    run(whole, 0, 90)
    halved = made()
    restore(halved, capture(whole))
    rest = run(whole, 90, 260)
    assert rest == run(halved, 90, 260)
    assert any("charge_record" in text and "CLOSED" in text for text in rest)


def test_a_report_of_the_bus_counts_once_it_is_complete_and_as_old_as_it_is() -> None:
    loop = made("can_meter.yaml")
    loop.on(METER, MeterReport(complete=False, age=0.0, import_wh=1.0, power=0.0), 1.0, STAMP)
    (reading,) = [value for name, value in loop.on(STEP, "", 1.0, STAMP) if name == "meter_reading"]
    assert reading.meter_status is MeterStatus.NOT_READ
    loop.on(METER, report(5000.0), 5.0, STAMP + 4.0)
    (reading,) = [value for name, value in loop.on(STEP, "", 5.0, STAMP + 4.0) if name == "meter_reading"]
    assert (reading.meter_status, reading.register_wh) == (MeterStatus.GOOD, 5000.0)
