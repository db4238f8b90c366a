"""What safety_monitor makes of a meter that is read: each status, and a meter that disagrees with the power modules, either way."""

from typing import Any

import pytest
from safety_bench import Bench

from evse_core.safety_config import SafetyConfig
from evse_core.types import ChargeState, MeterStatus

S = ChargeState
CONFIG = SafetyConfig()
LONG = 20.0  # [s] longer than every debounce of the meter's faults and the grace after the start
BAD = [status for status in MeterStatus if status not in (MeterStatus.UNKNOWN, MeterStatus.GOOD)]


def told(state: ChargeState, **meter: Any) -> tuple[tuple[str, ...], bool]:
    """Return the faults, and whether there is a permit, after a while with such a meter."""
    bench = Bench()
    bench.run(LONG, state)
    bench.run(LONG, state, {"meter": meter})
    return bench.faults, bench.permit


@pytest.mark.parametrize("status", BAD)
def test_a_meter_that_cannot_be_believed_ends_a_session_and_bars_the_next(status: MeterStatus) -> None:
    fault = "meter_runs_backwards" if status is MeterStatus.BACKWARDS else "meter_silent"
    assert fault in told(S.CHARGING, meter_status=status, meter_detail="why", healthy=False)[0]
    assert "meter_silent" in told(S.AVAILABLE, meter_status=status, meter_detail="why", healthy=False)[0]


@pytest.mark.parametrize("status", [MeterStatus.UNKNOWN, MeterStatus.GOOD])
@pytest.mark.parametrize("state", [S.AVAILABLE, S.CHARGING])
def test_a_meter_that_counts_is_no_fault(status: MeterStatus, state: ChargeState) -> None:
    assert told(state, meter_status=status)[0] == ()


def energies(told_wh: float, modules_wh: float, way: str) -> dict[str, float]:
    if way == "to":
        return {"session_energy_wh": told_wh, "session_loss_wh": 0.0, "session_reference_wh": modules_wh}
    return {"session_export_wh": told_wh, "session_export_reference_wh": modules_wh}


@pytest.mark.parametrize("way", ["to", "from"])
@pytest.mark.parametrize(("ratio", "differs"), [(0.9, True), (0.96, False), (1.04, False), (1.1, True)])
def test_an_energy_that_the_modules_do_not_know_of_is_told_either_way(way: str, ratio: float, differs: bool) -> None:
    modules = 40_000.0
    assert ("meter_disagrees" in told(S.CHARGING, **energies(modules * ratio, modules, way))[0]) is differs


def test_a_small_difference_of_energy_is_a_step_of_the_register() -> None:
    near = CONFIG.meter_energy_tolerance
    assert "meter_disagrees" not in told(S.CHARGING, **energies(0.99 * near, 0.0, "to"))[0]
    assert "meter_disagrees" in told(S.CHARGING, **energies(1.01 * near, 0.0, "to"))[0]


def test_losses_of_the_cable_are_no_disagreement() -> None:
    modules, loss = 40_000.0, 3000.0
    assert told(S.CHARGING, session_energy_wh=modules - loss, session_loss_wh=loss, session_reference_wh=modules)[0] == ()
