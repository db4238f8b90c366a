"""The nodes of the station as the monitor hears them: what is known of whom, and for how long a restart counts."""

from dataclasses import replace

import pytest
from safety_bench import DESCRIPTION, EXPECTED, STEP, Bench, inputs, node_health

from evse_core.node_watch import NodeFacts, NodeWatch
from evse_core.safety_config import SafetyConfig
from evse_core.sample import Sample
from evse_core.types import ChargeState, NodeHealth

CONFIG = SafetyConfig()
HEALTHY = {name: node_health(name) for name in EXPECTED}


def judge(nodes: dict[str, NodeHealth], age: float = 0.4, description: str = DESCRIPTION, in_grace: bool = False) -> NodeFacts:
    samples = {name: Sample(health, 100.0 - age) for name, health in nodes.items()}
    return NodeWatch(CONFIG, EXPECTED, DESCRIPTION).step(samples, description, in_grace, 100.0)


def test_nothing_is_wrong_with_healthy_nodes() -> None:
    assert judge(HEALTHY) == NodeFacts("", "", "", "", "", "", "", "")


def test_a_node_that_never_came_is_silent_after_the_grace_time_and_unknown_before() -> None:
    without = {name: health for name, health in HEALTHY.items() if name != "/recorder"}
    assert judge(without, in_grace=True).silent is None
    assert judge(without).silent == "/recorder never came"


def test_a_station_that_was_started_node_by_node_expects_nobody() -> None:
    facts = NodeWatch(CONFIG).step({}, "", False, 100.0)
    assert (facts.silent, facts.restarting, facts.description) == ("", "", "")


def test_what_a_silent_node_said_of_its_disk_is_not_known_any_more() -> None:
    full = HEALTHY | {"/evse_1/energy_meter": replace(HEALTHY["/evse_1/energy_meter"], free_space=0.0, failed_writes=3)}
    assert judge(full).disk_full
    assert judge(full).ledger_failed == "/evse_1/energy_meter could not write 3 times"
    assert (judge(full, age=6.0).disk_full, judge(full, age=6.0).ledger_failed) == (None, None)


def test_a_raised_disk_fault_is_not_cleared_by_the_silence_of_the_node() -> None:
    bench = Bench()
    bench.run(3.0, ChargeState.AVAILABLE, {"/evse_1/energy_meter": {"failed_writes": 1}})
    assert bench.faults == ("ledger_failed",)
    bench.run(20.0, ChargeState.AVAILABLE, ages={"/evse_1/energy_meter": 6.0})
    assert "ledger_failed" in bench.faults
    bench.run(CONFIG.recovery_time + 1.0, ChargeState.AVAILABLE)
    assert bench.faults == ()


def test_nodes_with_different_descriptions_are_named_and_those_without_are_not() -> None:
    mixed = HEALTHY | {"/recorder": replace(HEALTHY["/recorder"], description="e" * 64), "/other": NodeHealth(node="/other")}
    assert judge(mixed).description == "another description than safety_monitor's has /recorder"
    assert "is not the one" in judge(HEALTHY, description="e" * 64).description
    assert NodeWatch(CONFIG, EXPECTED, "").step({}, "e" * 64, False, 100.0).description == ""


@pytest.mark.parametrize(("pause", "is_loop"), [(39.0, True), (41.0, False)])
def test_restarts_count_for_the_window(pause: float, is_loop: bool) -> None:
    """Four restarts are within 120 s, or are not."""
    watch, found = NodeWatch(CONFIG, EXPECTED), False
    for number in range(8):
        now = 100.0 + pause * number
        facts = watch.step({"/ocpp_uplink": Sample(NodeHealth(node="/ocpp_uplink", started=float(number)), now)}, "", False, now)
        found |= bool(facts.station_restarting)
        assert facts.restarting == ""
    assert found is is_loop


def test_a_node_that_nobody_expects_may_restart() -> None:
    bench = Bench()
    for number in range(20):
        given = inputs(ChargeState.CHARGING, bench.now)
        stranger = Sample(NodeHealth(node="/evse_1/vehicle_simulator", started=float(number)), bench.now)
        bench.step(replace(given, nodes={**given.nodes, "/evse_1/vehicle_simulator": stranger}))
    bench.run(STEP, ChargeState.CHARGING)
    assert bench.events == []
