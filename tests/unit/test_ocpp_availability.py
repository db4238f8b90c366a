"""Out of service survives restarts of the sequence and of the station; in service is never set by a memory."""

from pathlib import Path

import pytest

from evse_core.types import ChargeState, SessionState
from evse_nodes.ocpp_availability import AGAIN, Availability
from evse_nodes.ocpp_settings import Settings

STARTING = SessionState(state=ChargeState.INITIALISING, available=True)
IN, OUT = SessionState(state=ChargeState.AVAILABLE, available=True), SessionState(state=ChargeState.UNAVAILABLE, available=False)


class Bench:
    """One uplink after the other with the same file; states come once a second."""

    def __init__(self, folder: Path) -> None:
        self.path, self.now = folder / "settings.json", 0.0
        self.start()

    def start(self) -> None:
        self.rule = Availability(1, Settings(self.path))

    def hear(self, *states: SessionState, period: float = 1.0) -> list[bool]:
        found = []
        for state in states:
            self.now += period
            found.append(self.rule.on_session(state, self.now))
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_restarted_sequence_is_put_out_of_service_again(bench: Bench) -> None:
    assert bench.hear(IN, OUT, OUT) == [False] * 3
    assert bench.hear(STARTING, IN) == [False, True]
    assert bench.hear(OUT, OUT) == [False, False]


def test_a_restart_whose_first_words_were_missed_is_known_by_the_silence(bench: Bench) -> None:
    bench.hear(IN, OUT)
    bench.now += 2.0
    assert bench.hear(IN) == [True]


def test_a_restarted_station_is_put_out_of_service_again(bench: Bench) -> None:
    bench.hear(IN, OUT)
    bench.start()
    assert bench.hear(STARTING, IN) == [False, True]


def test_who_does_not_obey_is_told_again_after_a_while(bench: Bench) -> None:
    bench.hear(IN, OUT)
    bench.start()
    assert bench.hear(*[IN] * 5, period=AGAIN / 2.0) == [True, False, True, False, True]


def test_a_running_sequence_that_is_put_back_into_service_stays_there(bench: Bench) -> None:
    bench.hear(IN, OUT, IN)
    bench.start()
    assert bench.hear(STARTING, IN, IN) == [False] * 3


def test_nobody_is_put_into_service_by_a_memory(bench: Bench) -> None:
    """Somebody at the station took it out of service while the uplink was away."""
    bench.hear(IN)
    bench.start()
    assert bench.hear(OUT, OUT) == [False, False]
    bench.start()
    assert bench.hear(STARTING, IN) == [False, True]


def test_without_a_file_everything_is_in_service(bench: Bench) -> None:
    assert bench.hear(STARTING, IN, IN) == [False] * 3
    assert not bench.path.exists()


def test_a_full_disk_costs_no_verdict(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.path.mkdir()
    assert bench.hear(IN, OUT, IN, OUT) == [False] * 4
    assert "availability.1 cannot be kept" in caplog.text
