"""The node session_reporter and a probe: a report on each session that is over, also on one that is under way when the station ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from probe import Probe

from evse_core.types import ChargeState, Party, PowerReport, SessionOutcome, SessionReport, SessionState, StopCause


class Rig(Probe):
    """A sequencer and modules that say what they are told."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.session = SessionState(state=ChargeState.AVAILABLE)
        self.found = self.read("session_report")
        self.every(0.1, lambda: self.write("session_state", self.session))
        self.every(0.1, lambda: self.write("power_report", PowerReport(complete=True, age=0.02, voltage=400.0, current=50.0)))
        self.process = self.start("session_reporter", {})

    def go(self, state: ChargeState, cause: StopCause = StopCause.NONE, session: str = "s-1") -> None:
        active = state not in {ChargeState.AVAILABLE, ChargeState.FINISHED}
        self.session = SessionState(state=state, session_id=session, session_active=active, stop_cause=cause)
        self.spin(0.4)

    @property
    def reports(self) -> list[SessionReport]:
        return [report for _, report in self.found]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_each_session_that_is_over_has_a_report(rig: Rig) -> None:
    rig.until(lambda: rig.node.count_subscribers("/evse_1/session_state") > 0, what="the node")
    rig.spin(1.0)
    for state in (ChargeState.PREPARING, ChargeState.CHARGING):
        rig.go(state)
    rig.go(ChargeState.FINISHED, StopCause.LOCAL)
    assert rig.reports == []
    rig.go(ChargeState.AVAILABLE, StopCause.LOCAL)
    (report,) = rig.until(lambda: rig.reports, what="a report")
    assert (report.outcome, report.ended_by, report.session_id, report.evse_id) == (SessionOutcome.COMPLETE, Party.DRIVER, "s-1", 1)
    assert 0.2 < report.charging_time < 3.0
    rig.go(ChargeState.CHARGING, session="s-2")
    rig.process.terminate()
    rig.until(lambda: len(rig.reports) == 2, what="the report on what was under way")
    assert (rig.reports[-1].outcome, rig.reports[-1].whole) == (SessionOutcome.UNFINISHED, False)
