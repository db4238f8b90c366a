"""The node energy_manager and a probe: budgets of several EVSEs, at their rate and at once on a change."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from evse_msgs.srv import SetDischarge
from probe import Probe

from evse_core.types import ChargingLimit, SessionState

# Longer than the default, so that what happens at once can be told from what waits for its turn, on a busy machine, too. [s]
PERIOD = 3.0


class Site(Probe):
    """Two EVSEs on 50 kW, each sending its session_state at 10 Hz."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.sessions = {1: SessionState(), 2: SessionState()}
        self.silent: set[int] = set()
        self.budgets = {number: self.read("power_budget", f"evse_{number}") for number in (1, 2)}
        self.every(0.1, self.send)
        self.manager = self.start("energy_manager", {"site_limit": 50_000, "evses": [1, 2], "period": PERIOD, "export_limit": 20_000}, "/")

    def send(self) -> None:
        """Publish what each EVSE says."""
        for number, session in self.sessions.items():
            if number not in self.silent:
                self.write("session_state", session, f"evse_{number}")

    def power(self, number: int) -> float:
        """Return the last budget of an EVSE [W], NaN before the first."""
        return float(self.budgets[number][-1][1].power) if self.budgets[number] else float("nan")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    try:
        yield site
    finally:
        site.close()


def test_budgets_come_in_their_period_and_add_up_to_the_site(site: Site) -> None:
    site.until(lambda: all(site.budgets.values()), what="budgets")
    begin = {number: len(found) for number, found in site.budgets.items()}
    site.spin(2.5 * PERIOD)
    for number, found in site.budgets.items():
        assert 2 <= len(found) - begin[number] <= 3
        assert found[-1][1].valid_for == 5.0
    assert site.power(1) + site.power(2) == 50_000.0


def test_a_session_gets_the_unused_share_and_gives_it_back_before_the_other_gets_it(site: Site) -> None:
    site.until(lambda: all(site.budgets.values()), what="budgets")
    site.sessions[1] = SessionState(session_active=True)
    site.until(lambda: site.power(1) == 50_000.0, 20.0, "the whole site for the only session")
    begun = time.monotonic()
    site.sessions[2] = SessionState(session_active=True)
    lowered = site.until(lambda: site.power(1) == 25_000.0 and site.budgets[1][-1][0], 20.0, "the lower share")
    assert lowered - begun < PERIOD / 2
    assert site.power(2) == 0.0
    raised = site.until(lambda: site.power(2) == 25_000.0 and site.budgets[2][-1][0], 20.0, "the higher share")
    assert raised - lowered >= 0.9


def test_a_limit_of_the_csms_holds_at_once(site: Site) -> None:
    site.sessions = {1: SessionState(session_active=True), 2: SessionState(session_active=True)}
    site.until(lambda: site.power(1) == 25_000.0, what="the share")
    asked = time.monotonic()
    site.write("charging_limit", ChargingLimit(power=7_000.0), "evse_1")
    site.until(lambda: site.power(1) == 7_000.0, 20.0, "the limited share")
    assert site.budgets[1][-1][0] - asked < PERIOD / 2
    site.until(lambda: site.power(2) == 43_000.0, 20.0, "the rest for the other")


def test_an_evse_that_fell_silent_keeps_its_share(site: Site) -> None:
    site.sessions = {1: SessionState(session_active=True), 2: SessionState(session_active=True)}
    site.until(lambda: site.power(1) == 25_000.0 == site.power(2), what="the shares")
    site.silent = {2}
    site.spin(3.0 + 2.0 * PERIOD)
    assert (site.power(1), site.power(2)) == (25_000.0, 25_000.0)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [({"evses": [1, 1]}, "evses: [1, 1]"), ({"evses": [0]}, "evses: [0]"), ({"site_limit": -5.0}, "site_limit: -5.0 W is below 0.0 W")],
)
def test_wrong_input_ends_it_with_code_2_and_a_name(tmp_path: Path, parameters: dict[str, Any], words: str) -> None:
    probe = Probe(tmp_path)
    try:
        process = probe.start("energy_manager", parameters, "/")
        probe.until(lambda: process.poll() is not None, what="the end of the node")
        assert process.returncode == 2
        assert words in probe.log("energy_manager")
    finally:
        probe.close()


def test_what_the_site_asks_back_is_shared_at_once_and_runs_out(site: Site) -> None:
    for number in (1, 2):
        site.sessions[number] = SessionState(session_id="s", session_active=True, discharge_available=6000.0 * number)
    site.until(lambda: all(site.budgets.values()), what="budgets")
    site.spin(0.5)
    answer = site.call("/set_discharge", SetDischarge, power=30_000.0, valid_for=60.0)
    assert not answer.success
    assert "export_limit" in answer.message
    began = time.monotonic()
    assert site.call("/set_discharge", SetDischarge, power=16_000.0, valid_for=4.0).success
    site.until(lambda: [site.budgets[number][-1][1].discharge_power for number in (1, 2)] == [6000.0, 10_000.0], what="both shares")
    assert time.monotonic() - began < PERIOD
    site.until(lambda: all(site.budgets[number][-1][1].discharge_power == 0.0 for number in (1, 2)), what="the end of the request")
    assert 3.5 < time.monotonic() - began < 4.0 + PERIOD + 1.5
