"""`station bench ocpp` with a small queue and a short rage: every figure is there, and a missed target is an exit code."""

import json

import pytest

from evse_tools import ocpp_bench


def test_the_queue_is_emptied_and_the_uplink_outlives_a_hostile_csms(capsys: pytest.CaptureFixture[str]) -> None:
    code = ocpp_bench.run(100, 60, as_json=True)
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)["figures"]}
    assert found["queue on disk"]["median"] > 0.0
    assert found["hostile frames"]["median"] >= 60
    assert found["wait for a verdict meanwhile"]["max"] < 5000.0
    assert found["verdict afterwards after"]["max"] < 5000.0
    assert code == int(found[ocpp_bench.SHARE]["max"] < ocpp_bench.TARGET or found[ocpp_bench.GROWTH]["max"] > ocpp_bench.FLAT)


@pytest.mark.parametrize(("share", "growth", "good"), [(0.8, 20.0, True), (0.79, 0.0, False), (2.0, 20.1, False)])
def test_a_missed_target_is_told(share: float, growth: float, good: bool) -> None:
    figures: ocpp_bench.Figures = {ocpp_bench.SHARE: ([share], "1"), ocpp_bench.GROWTH: ([growth], "MB")}
    assert ocpp_bench._good(figures) is good
