"""What the safety monitor sees in one step: each input if it is fresh, its age if not, and what follows from several of them.

An input is None in the view while it is stale, missing or incomplete, so a condition cannot use an old value by mistake.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite, isnan, nan
from typing import Any

from evse_core.node_watch import NodeFacts, Nodes
from evse_core.safety_config import SafetyConfig
from evse_core.safety_inputs import Input
from evse_core.safety_links import LINKS, Link
from evse_core.safety_trends import Trends
from evse_core.sample import Sample
from evse_core.types import (
    CabinetReport,
    CanStatus,
    ChargeState,
    IoCommand,
    IoReport,
    MeterReading,
    PowerBudget,
    PowerCommand,
    PowerFunction,
    PowerReport,
    SessionState,
    VehicleLink,
    VehicleReport,
)

# Longest age [s] of an input that never came.
NEVER = inf


@dataclass(frozen=True, slots=True)
class SafetyInputs:
    """Everything that the monitor reads, and what people ask of it.

    nodes: the newest node_health of each node, by full name. description: digest of the description's file as it is now, "" where nobody looks.
    latch_problem: why latched faults could not be read, told in the first steps after a start.
    """

    vehicle: Sample[VehicleReport] | None = None
    power: Sample[PowerReport] | None = None
    io: Sample[IoReport] | None = None
    can_status: Sample[CanStatus] | None = None
    session: Sample[SessionState] | None = None
    power_command: Sample[PowerCommand] | None = None
    io_command: Sample[IoCommand] | None = None
    meter: Sample[MeterReading] | None = None
    budget: Sample[PowerBudget] | None = None
    cabinet: Sample[CabinetReport] | None = None
    nodes: Nodes = field(default_factory=dict)
    description: str = ""
    latch_problem: str = ""
    reset: bool = False
    emergency_stop: bool = False
    stamp: float = 0.0


@dataclass(frozen=True, slots=True)
class View:
    """One step as the conditions of the fault table see it."""

    config: SafetyConfig
    link: Link
    state: ChargeState
    ages: Mapping[Input, float]
    in_grace: bool
    vehicle: VehicleReport | None
    power: PowerReport | None
    io: IoReport | None
    can: CanStatus | None
    session: SessionState | None
    command: PowerCommand | None
    io_command: IoCommand | None
    meter: MeterReading | None
    cabinet: CabinetReport | None
    allowed_current: float
    allowed_discharge: float
    permitted: bool
    held: frozenset[str]
    unfollowed_stop: str
    emergency_request: bool
    trends: Trends
    # The connector is known to be in the inlet, to be out of it.
    plugged: bool
    unplugged: bool
    # Power may flow, as far as is known.
    energised: bool
    # Voltage at the connector [V]; NaN where it is not known.
    connector_voltage: float
    nodes: NodeFacts
    latch_problem: str
    output_raised: bool

    @property
    def contactor_commanded(self) -> bool:
        """The contactor is told to close and can_bridge relays it; without a fresh command can_bridge opens it (design.md, The permit 4)."""
        return self.io_command is not None and self.io_command.close_contactor and self.can is not None and self.can.power_allowed

    def missing(self) -> list[Input]:
        """Return the inputs that the permit needs in this state and that are not fresh."""
        return [name for name in self.link.needs.get(self.state, ()) if getattr(self, _FIELDS[name]) is None]


# Where the view has what the permit may need.
_FIELDS = {
    Input.VEHICLE: "vehicle",
    Input.POWER: "power",
    Input.IO: "io",
    Input.CAN: "can",
    Input.SESSION: "session",
    Input.POWER_COMMAND: "command",
    Input.IO_COMMAND: "io_command",
}


def connector_voltage(io: IoReport | None, power: PowerReport | None) -> float:
    """Return the voltage at the connector [V]; NaN where it is not known (design.md, Output voltage)."""
    if io is None:
        return nan
    if isfinite(io.connector_voltage):
        return io.connector_voltage
    return power.voltage if power is not None and io.contactor_closed else nan


def ages(inputs: SafetyInputs, now: float) -> dict[Input, float]:
    """Return the age [s] of what each input tells; NEVER where it never came or tells nothing usable."""
    return {
        Input.VEHICLE: _report_age(inputs.vehicle, now),
        Input.POWER: _power_age(inputs.power, now),
        Input.IO: _report_age(inputs.io, now),
        Input.CAN: _age(inputs.can_status, now),
        Input.SESSION: _age(inputs.session, now),
        Input.POWER_COMMAND: _age(inputs.power_command, now),
        Input.IO_COMMAND: _age(inputs.io_command, now),
        Input.METER: _age(inputs.meter, now),
        Input.CABINET: _cabinet_age(inputs.cabinet, now),
    }


def limits(config: SafetyConfig) -> dict[Input, float]:
    """Return the age [s] up to which each input counts as fresh."""
    return {
        Input.VEHICLE: getattr(config, LINKS[config.vehicle_link].vehicle_timeout),
        Input.POWER: config.modules_timeout,
        Input.IO: config.io_timeout,
        Input.CAN: config.bridge_timeout,
        Input.SESSION: config.session_timeout,
        Input.POWER_COMMAND: config.command_timeout,
        Input.IO_COMMAND: config.command_timeout,
        Input.METER: config.meter_timeout,
        Input.CABINET: config.cabinet_timeout,
    }


def _age(sample: Sample[Any] | None, now: float) -> float:
    return NEVER if sample is None else max(now - sample.received, 0.0)


def _report_age(sample: Sample[VehicleReport] | Sample[PowerReport] | Sample[IoReport] | None, now: float) -> float:
    """Return the age of the frames behind a report: their age when it was sent and its own since."""
    if sample is None or not sample.value.complete or isnan(sample.value.age):
        return NEVER
    return max(sample.value.age, 0.0) + max(now - sample.received, 0.0)


def _power_age(sample: Sample[PowerReport] | None, now: float) -> float:
    """Return the same for the modules; a report without voltage or current tells nothing."""
    known = sample is not None and isfinite(sample.value.voltage) and isfinite(sample.value.current)
    return _report_age(sample, now) if known else NEVER


def _cabinet_age(sample: Sample[CabinetReport] | None, now: float) -> float:
    """Return the age of the newest frame of the cabinet: a module_allocator that hears nothing knows nothing."""
    return NEVER if sample is None or isnan(sample.value.age) else max(sample.value.age, 0.0) + max(now - sample.received, 0.0)


class CurrentEnvelope:
    """The highest current that the request explains: rises with it at once, falls after a delay and with the slowest ramp that is no fault.

    One for each direction, both as sizes [A]; limit is the rating.
    """

    def __init__(self, config: SafetyConfig, limit: float) -> None:
        self._config = config
        self._limit = limit
        self._value = 0.0
        self._held = -inf
        self._then = -inf

    def step(self, reference: float, now: float) -> float:
        """Return the allowed current [A], tolerance included, for a request [A]."""
        if reference >= self._value:
            self._value, self._held = reference, now
        elif now - self._held > self._config.current_delay:
            fall = self._config.current_ramp * max(now - max(self._then, self._held + self._config.current_delay), 0.0)
            self._value = max(reference, self._value - fall)
        self._then = now
        return min(self._with_tolerance(self._value), self._with_tolerance(self._limit))

    def _with_tolerance(self, current: float) -> float:
        return current + max(self._config.current_tolerance, current * self._config.current_tolerance_percent / 100.0)


def requested_current(command: PowerCommand | None, vehicle: VehicleReport | None, state: ChargeState) -> float:
    """Return the current [A] that the sequence and, while it charges, the vehicle ask for; 0 where unknown."""
    if command is None or command.function not in _POWER_FUNCTIONS or not isfinite(command.current):
        return 0.0
    if state is ChargeState.CHARGING and vehicle is not None and isfinite(vehicle.current_request):
        return max(min(command.current, vehicle.current_request), 0.0)
    return max(command.current, 0.0)


def requested_discharge(
    config: SafetyConfig,
    command: PowerCommand | None,
    vehicle: VehicleReport | None,
    power: PowerReport | None,
    asked: float,
    state: ChargeState,
) -> float:
    """Return the size of the current [A] from the vehicle that is commanded, as far as site (asked [W]), rating and vehicle permit; 0 where unknown."""
    commanded = command is not None and command.function is PowerFunction.POWER_TRANSFER and command.current < 0.0
    if not commanded or command is None or vehicle is None or power is None or state is not ChargeState.CHARGING:
        return 0.0
    if not may_discharge(vehicle) or not isfinite(vehicle.soc_percent) or not power.voltage > 0.0 or not isfinite(command.current):
        return 0.0
    vehicle_power = vehicle.max_discharge_power if vehicle.max_discharge_power > 0.0 else inf
    watts = min(config.max_discharge_power, vehicle_power, asked)
    return max(min(-command.current, config.max_discharge_current, vehicle.max_discharge_current, watts / power.voltage), 0.0)


def may_discharge(vehicle: VehicleReport) -> bool:
    """Return whether a vehicle permits that current is taken from it: by its word and a limit above 0 A, behind a charge controller by its range, too."""
    in_range = vehicle.link is not VehicleLink.SECC or (vehicle.controller.range_mode and vehicle.controller.current_min < 0.0)
    return vehicle.discharge_compatible and vehicle.max_discharge_current > 0.0 and in_range


def discharge_asked(budget: Sample[PowerBudget] | None, now: float) -> float:
    """Return the power [W] that the site asks back; 0 where it asks for none, or its word has run out."""
    valid = budget is not None and budget.age(now) <= budget.value.valid_for and budget.value.discharge_power > 0.0
    return budget.value.discharge_power if valid and budget is not None else 0.0


class OutputWatch:
    """Remembers that this station put a voltage on the modules' output, until it has been seen gone."""

    def __init__(self, config: SafetyConfig) -> None:
        self._config = config
        self._raised = False

    def step(self, command: PowerCommand | None, power: PowerReport | None) -> bool:
        """Return whether the output carries what this station put on it, as far as is known."""
        if command is not None and command.function in _POWER_FUNCTIONS:
            self._raised = True
        elif power is not None and power.voltage <= self._config.touch_voltage:
            self._raised = False
        return self._raised


_POWER_FUNCTIONS = (PowerFunction.INSULATION_TEST, PowerFunction.PRECHARGE, PowerFunction.POWER_TRANSFER)
