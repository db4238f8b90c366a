"""What a demo can be told, and what of it is wrong."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from urllib.parse import urlsplit

from evse_core.vehicle_link import CHADEMO
from evse_simulators.faults import FAULTS
from evse_tools import json_target
from evse_tools.demo_driver import Plan
from evse_tools.demo_faults import EXPECTED, expected
from evse_tools.demo_station import TOKENS
from evse_tools.description_schema import VEHICLE_SIMULATORS

# Charging time that makes a demo last about a minute. [s]
DEFAULT_SECONDS = 30.0
# The same with a discharge between two charges. [s]
DISCHARGE_SECONDS = 45.0
# Processes of one machine that find each other in time: ../shared/ros/README.md measured 45; an EVSE has 7. [1]
MOST_EVSES = 8
# Power that the site asks back in the second third of a session. Own choice, within config/v2x.yaml. [W]
DISCHARGE_POWER = 8000.0
# Seconds of charging before a fault is injected. [s]
FAULT_DELAY = 5.0


@dataclass(frozen=True)
class Options:
    """The options of `./station demo`; None or "" where one was not given."""

    evses: int | None = None
    seconds: float | None = None
    energy_wh: float | None = None
    fault: str = ""
    csms: str = ""
    json: str = ""
    description: str = ""
    output: str = ""
    link: str = ""
    discharge: bool = False

    def errors(self) -> Iterator[str]:
        """Yield what is wrong, each with its option, value and bound."""
        if self.evses is not None and not 1 <= self.evses <= MOST_EVSES:
            yield f"--evses {self.evses}: outside 1 to {MOST_EVSES}"
        if self.seconds is not None and not (isfinite(self.seconds) and 0.0 < self.seconds <= 86400.0):
            yield f"--seconds {self.seconds}: outside 0 to 86400 s"
        if self.energy_wh is not None and not (isfinite(self.energy_wh) and 0.0 < self.energy_wh <= 1e6):
            yield f"--energy-wh {self.energy_wh}: outside 0 to 1000000 Wh"
        if self.fault and self.fault not in FAULTS:
            yield f"--fault {self.fault}: unknown; known: {', '.join(sorted(FAULTS))}"
        if self.csms and (urlsplit(self.csms).scheme not in {"ws", "wss"} or not urlsplit(self.csms).netloc):
            yield f"--csms {self.csms}: not an address such as ws://host:port/path"
        if self.discharge and self.energy_wh is not None:
            yield "--discharge: charges and discharges by time; leave --energy-wh out"
        if self.link and self.link not in VEHICLE_SIMULATORS:
            yield f"--link {self.link}: unknown; known: {', '.join(VEHICLE_SIMULATORS)}"
        if self.link and self.description:
            yield f"--link {self.link}: a description says its own (vehicle_link); give one of the two"
        if self.description and not Path(self.description).is_file():
            yield f"--description {self.description}: no such file"
        if problem := json_target.refusal(self.json):
            yield problem

    def plan(self, number: int, link: str = CHADEMO) -> Plan:
        """Return what the driver at EVSE `number`, counted from 1, with a vehicle link does: the fault hits the first one."""
        fault = self.fault if number == 1 else ""
        simulator = FAULTS[fault].node if fault else ""
        early = bool(fault) and expected(fault, link).early
        discharge = DISCHARGE_POWER if self.discharge and number == 1 else 0.0
        return Plan(TOKENS[number - 1], self._seconds(fault, link), self.energy_wh or inf, fault, simulator, FAULT_DELAY, early, discharge)

    @property
    def default_link(self) -> str:
        """The vehicle link of a demo without a description: the one that was asked for, or the one that the fault needs."""
        known = EXPECTED[self.fault].links if self.fault else frozenset()
        return self.link or (next(iter(known)) if len(known) == 1 else CHADEMO)

    @property
    def needs_cabinet(self) -> bool:
        """Only a station whose EVSEs share a cabinet of modules can show the fault."""
        return bool(self.fault) and EXPECTED[self.fault].cabinet

    def fault_problem(self, links: Collection[str], cabinet: bool = False, meter: bool = True) -> str:
        """Return why the fault cannot be shown by a station with these links, with or without a cabinet or a simulated meter, "" where it can."""
        if self.fault and EXPECTED[self.fault].meter and not meter:
            return f"--fault {self.fault}: only with a meter_simulator, as in config/modbus_meter.yaml"
        if self.needs_cabinet and not cabinet:
            return f"--fault {self.fault}: only with power_cabinet, as in config/cabinet.yaml"
        known = EXPECTED[self.fault].links if self.fault else frozenset(links)
        return "" if known >= set(links) else f"--fault {self.fault}: only with vehicle link {' or '.join(sorted(known))}"

    def _seconds(self, fault: str, link: str) -> float:
        if self.seconds is not None:
            return self.seconds
        if fault:
            return expected(fault, link).seconds
        return inf if self.energy_wh is not None else DISCHARGE_SECONDS if self.discharge else DEFAULT_SECONDS
