"""Charge controllers with several pistols on one bus: EVSEs share it, and differ by pistol index."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from can_bench import EVSE_V3, IO

from evse_core.can_bridge import CanBridge, CanBridgeConfig
from evse_core.types import BusLink
from evse_tools.description import DescriptionError, from_data
from evse_tools.node_specs import node_specs

DUAL: dict[str, Any] = yaml.safe_load((Path(__file__).resolve().parents[2] / "config" / "ccs_dual.yaml").read_text(encoding="utf-8"))


def changed(**bridge: Any) -> dict[str, Any]:
    """Return the description with another can_bridge of the second EVSE."""
    data = copy.deepcopy(DUAL)
    data["evses"][1]["can_bridge"].update(bridge)
    return data


def test_two_pistols_share_a_bus_and_their_simulators_answer_as_the_bridges_listen() -> None:
    specs = node_specs(from_data(DUAL | {"composition": "node"}))
    for name, key in (("can_bridge", "controller_pistol"), ("vehicle_simulator", "pistol")):
        assert [spec.parameters[key] for spec in specs if spec.name == name] == [1, 2]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (changed(controller_pistol=1), "1 is the pistol index of another EVSE"),
        (changed(io_bus=DUAL["evses"][0]["can_bridge"]["io_bus"]), "each link needs its own"),
        (changed(power_bus=DUAL["evses"][0]["can_bridge"]["vehicle_bus"]), "each link needs its own"),
        (changed(power_bus=DUAL["evses"][0]["can_bridge"]["power_bus"]), "each link needs its own"),
    ],
)
def test_what_cannot_share_a_bus_is_refused(data: dict[str, Any], words: str) -> None:
    with pytest.raises(DescriptionError, match=words):
        from_data(data)


def test_a_chademo_vehicle_shares_its_bus_with_nobody() -> None:
    data = copy.deepcopy(DUAL)
    data["evses"][1]["vehicle_link"] = "chademo"
    data["evses"][1]["vehicle_simulator"] = data["evses"][1].pop("secc_simulator")
    with pytest.raises(DescriptionError, match="each link needs its own"):
        from_data(data)


def test_a_bridge_hears_its_own_pistol_only() -> None:
    bridges = {
        pistol: CanBridge(CanBridgeConfig(vehicle_link="secc", controller_pistol=pistol), {"evse_v3": EVSE_V3, "io_board": IO})
        for pistol in (1, 2)
    }
    for pistol, state in ((1, 3), (2, 7)):
        frame = EVSE_V3.encode("Advantics_Controller_Status", {"State": state}, pistol=pistol)
        for bridge in bridges.values():
            bridge.on_frame(BusLink.VEHICLE, frame, 1.0)
    phases = {}
    for pistol, bridge in bridges.items():
        (report,) = (report.value for report in bridge.reports(1.0) if report.topic == "vehicle_report")
        phases[pistol] = report.controller.phase.name
    assert phases == {1: "CONNECTED", 2: "CHARGING"}
