"""The simulated energy meter as a node: a Modbus server, fed with what flows on sim/power, or what an AC vehicle draws."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rclpy.node import Node

from evse_core.meter_link import MODBUS, MeterLinkConfig
from evse_nodes import meter_maps
from evse_nodes.params import declare, evse_number, value
from evse_nodes.run import run
from evse_simulators.meter_image import image
from evse_simulators.meter_model import FIRST_SERIAL, MeterModel, MeterOutput, SimulatedMeterConfig
from evse_simulators.meter_server import MeterServer
from evse_simulators.simulator_node import SimulatorNode

# Rate of the physics and of what the meter tells: faster than meters are, so that the register's delay is that of the configuration. [s]
PERIOD = 0.1


class MeterSimulator(SimulatorNode):
    """Runs a MeterModel; its registers outlive the process, as those of a meter do."""

    FRAMES_WAKE = False
    DATABASE = ""
    MODEL: Callable[..., Any] = MeterModel

    def __init__(self) -> None:
        # Set before the base class begins to tick.
        self._memory: Path | None = None
        self._server: MeterServer | None = None
        super().__init__("meter_simulator", self.DATABASE, SimulatedMeterConfig, type(self).MODEL, PERIOD)
        link, number = declare(self, MeterLinkConfig, "meter."), evse_number(self)
        self.model.serial = FIRST_SERIAL + number
        self._map = meter_maps.load(link.map) if link.kind == MODBUS else None
        self._memory = Path(value(self, "data_dir", "data", "folder of the meter's registers")) / f"meter_simulator_{number}.json"
        self._recall()
        if self._map is not None:
            self._server = MeterServer(link)
        self.read("sim/power", self.model.on_power)
        self.read("sim/station_lines", self.model.on_station_lines)
        self.read("sim/vehicle_lines", self.model.on_vehicle_lines)

    def _recall(self) -> None:
        assert self._memory is not None
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(self._memory.read_text(encoding="utf-8"))
            self.model.register_wh, self.model.export_wh = float(kept["import_wh"]), float(kept["export_wh"])

    def publish(self, output: MeterOutput, due: bool) -> None:
        """Show what the meter tells on Modbus; its registers are kept before."""
        if self._memory is None or not due:
            return
        self._keep(self._memory)
        if self._server is not None and self._map is not None:
            self._server.image = None if output.report is None else image(self._map, output.report)

    def _keep(self, memory: Path) -> None:
        """Keep the registers: not against a loss of power, but against the end of this process."""
        memory.parent.mkdir(parents=True, exist_ok=True)
        aside = memory.with_suffix(".new")
        aside.write_text(json.dumps({"import_wh": self.model.register_wh, "export_wh": self.model.export_wh}), encoding="utf-8")
        aside.replace(memory)

    def close(self) -> None:
        """Close server and bus."""
        if self._server is not None:
            self._server.close()
        super().close()


def make() -> Node:
    """Make the node."""
    return MeterSimulator()


def main() -> int:
    """Run the node."""
    return run(make)
