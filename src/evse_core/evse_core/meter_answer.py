"""What came of asking a meter, as a text that a recording keeps: a report or a failure, and how long ago it was asked for."""

import json
from dataclasses import asdict

from evse_core.types import MeterReport, MeterStatus


def as_text(report: MeterReport | None, age: float, status: MeterStatus, detail: str) -> str:
    """Return an answer as JSON; age [s], report None where there is none."""
    told = None if report is None else asdict(report)
    return json.dumps({"age": age, "report": told, "status": status.value, "detail": detail}, separators=(",", ":"))


def from_text(text: str) -> tuple[MeterReport | None, float, MeterStatus, str]:
    """Return what as_text was given; ValueError or KeyError for another text."""
    found = json.loads(text)
    report = None if found["report"] is None else MeterReport(**found["report"])
    return report, float(found["age"]), MeterStatus(found["status"]), str(found["detail"])
