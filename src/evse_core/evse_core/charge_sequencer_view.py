"""What the charging sequence sees in one step: inputs that are fresh enough to act upon, and the facts that follow from them.

A report that is stale or incomplete is None; a number that is not known is NaN. Every comparison with NaN is false, so each fact is worded such that
false is the safe answer.
"""

from dataclasses import dataclass
from math import inf, isfinite
from math import nan as NAN
from operator import attrgetter
from typing import TypeVar

from evse_core.charge_sequencer_config import LONGEST_VALIDITY, SHORTEST_VALIDITY, SequencerConfig
from evse_core.charge_sequencer_session import Actions, Driver, Session, VehicleLimits
from evse_core.sample import Sample, fresh
from evse_core.types import (
    Authorization,
    CanStatus,
    ChargeRecord,
    ChargeState,
    ControllerReport,
    DriverRules,
    IoReport,
    PowerBudget,
    PowerReport,
    Reaction,
    RecordStatus,
    SafetyState,
    SessionRequest,
    VehicleReport,
)

NO_CONTROLLER = ControllerReport()
# Highest V2H sequence number that the sources name (can.md 2.1, 0x201): a vehicle with another one follows steps that nobody here knows.
KNOWN_SEQUENCES = 2
# Why a CHAdeMO vehicle is not discharged by default.
UNVERIFIED = "CHAdeMO discharge rests on unverified sources; charge_sequencer.unverified_discharge allows it (docs/bidirectional.md)"

Report = TypeVar("Report", VehicleReport, PowerReport, IoReport)

# Bits of 102.4 and 102.5 with which the vehicle stops at once (can.md 2.4), and what they are called.
VEHICLE_FAULTS = {
    "fault_battery_overvoltage": "battery over-voltage",
    "fault_battery_undervoltage": "battery under-voltage",
    "fault_current_deviation": "current deviates from the request",
    "fault_battery_temperature": "battery temperature",
    "fault_voltage_deviation": "voltage readings differ",
    "system_fault": "fault in the charging system",
    "shift_not_parked": "shifter not in park",
}
_FAULT_FLAGS = attrgetter(*VEHICLE_FAULTS)


@dataclass(frozen=True, slots=True)
class SequencerInputs:
    """All that the sequence reads; requests are those taken since the last step, fresh_id is the identifier for a session that starts in this step."""

    vehicle: Sample[VehicleReport] | None = None
    power: Sample[PowerReport] | None = None
    io: Sample[IoReport] | None = None
    safety: Sample[SafetyState] | None = None
    can_status: Sample[CanStatus] | None = None
    authorization: Sample[Authorization] | None = None
    rules: Sample[DriverRules] | None = None
    budget: Sample[PowerBudget] | None = None
    record: Sample[ChargeRecord] | None = None
    requests: tuple[SessionRequest, ...] = ()
    fresh_id: str = ""
    stamp: float = 0.0


@dataclass(frozen=True, slots=True)
class View:
    """One step as guards and outputs see it; what other links than CHAdeMO see differently is a class of their own (charge_sequencer_links.py)."""

    config: SequencerConfig
    inputs: SequencerInputs
    now: float
    state: ChargeState
    entered: float
    session: Session
    driver: Driver
    actions: Actions
    in_service: bool
    shutting_down: bool
    needs_replug: bool
    vehicle: VehicleReport | None
    power: PowerReport | None
    io: IoReport | None
    safety: SafetyState | None
    # The vehicle's frames are fresh enough to be followed, not only to count as alive.
    vehicle_followed: bool
    # Voltage at the connector [V], NaN where it is not known.
    output_voltage: float
    # Current that the vehicle asks for [A], 0 where it is not known.
    request: float
    # Strongest reaction of all faults, UNKNOWN where the monitor is silent.
    reaction: Reaction

    @property
    def elapsed(self) -> float:
        """Time in this state [s]."""
        return self.now - self.entered

    @property
    def controller(self) -> ControllerReport:
        """What the charge controller asks for; nothing where it is silent, or none leads."""
        return self.vehicle.controller if self.vehicle is not None else NO_CONTROLLER

    # The connector.

    @property
    def plugged(self) -> bool:
        """The connector is known to be in the inlet."""
        return self.io is not None and self.io.plugged and not self.io.proximity_fault

    @property
    def authorization_validity(self) -> float:
        """How long a token or a start waits for the rest [s]: as the CSMS has set it within the parameter's bounds, else as described."""
        told = self.inputs.rules.value.connection_timeout if self.inputs.rules is not None else NAN
        return told if SHORTEST_VALIDITY <= told <= LONGEST_VALIDITY else self.config.authorization_validity

    @property
    def unplugged(self) -> bool:
        """The connector is known to be out."""
        return self.is_out(self.vehicle, self.io)

    @staticmethod
    def is_out(vehicle: VehicleReport | None, io: IoReport | None) -> bool:
        """Return whether these reports, None where they cannot be used, say that the connector is out."""
        return io is not None and not io.plugged

    @property
    def io_age(self) -> float:
        """Age of the I/O board's frames [s], NaN where none came."""
        return age(self.inputs.io, self.now) if self.inputs.io is not None else NAN

    @property
    def connector_temperature(self) -> float:
        """Temperature of the hottest contact [degC]; NaN where there is no sensor."""
        return self.io.connector_temperature if self.io is not None else NAN

    @property
    def may_unlock(self) -> bool:
        """The voltage at the connector is known, and low enough to be unlocked."""
        return self.output_voltage <= self.config.unlock_voltage

    @property
    def output_words(self) -> str:
        """What is known of the output, in words."""
        return f"{self.output_voltage:.0f} V"

    @property
    def contactor_open(self) -> bool:
        """The output contactor is known to be open."""
        return self.io is not None and not self.io.contactor_closed

    @property
    def contactor_closed(self) -> bool:
        """The output contactor is known to be closed."""
        return self.io is not None and self.io.contactor_closed

    @property
    def hot(self) -> bool:
        """The connector is locked or energised, as far as is known."""
        return self.io is not None and (self.io.locked or self.io.contactor_closed or self.output_voltage > self.config.unlock_voltage)

    # The modules.

    @property
    def current(self) -> float:
        """Output current [A], NaN where it is not known."""
        return self.power.current if self.power is not None else NAN

    @property
    def current_gone(self) -> bool:
        """The current is known to be so small that the contactor may open."""
        return abs(self.current) <= self.config.opening_current

    @property
    def insulation_resistance(self) -> float:
        """Lowest insulation resistance that a monitor reports [ohm]; NaN where none does."""
        sources = (self.power.insulation_resistance if self.power else NAN, self.io.insulation_resistance if self.io else NAN)
        return min((value for value in sources if isfinite(value)), default=NAN)

    @property
    def test_voltage(self) -> float:
        """Voltage of the insulation test [V]: the least of what the station and the battery bear (can.md S7)."""
        limits = self.session.limits or VehicleLimits()
        return min(self.config.max_voltage, limits.max_voltage) if isfinite(limits.max_voltage) else NAN

    @property
    def insulation_limit(self) -> float:
        """Lowest insulation resistance that passes [ohm]."""
        return max(self.config.insulation_per_volt * self.test_voltage, self.config.insulation_minimum)

    # The vehicle.

    @property
    def vehicle_faults(self) -> str:
        """The vehicle's active faults in words, "" without."""
        if self.vehicle is None or not any(_FAULT_FLAGS(self.vehicle)):
            return ""
        return ", ".join(text for name, text in VEHICLE_FAULTS.items() if getattr(self.vehicle, name))

    @property
    def vehicle_contactor_open(self) -> bool:
        """The vehicle says that its contactor is open or its welding detection done; older vehicles never say."""
        return self.vehicle is not None and self.vehicle.contactor_reported and self.vehicle.contactor_open

    @property
    def vehicle_contactor_closed(self) -> bool:
        """The vehicle says that its contactor is closed; older vehicles never say."""
        return self.vehicle is not None and self.vehicle.contactor_reported and not self.vehicle.contactor_open

    # The permit.

    @property
    def blocked(self) -> str:
        """Why no session may begin, in words; "" where one may."""
        if fresh(self.inputs.safety, self.now, self.config.idle_age) is None:
            return "the safety monitor is silent"
        if usable(self.inputs.io, self.now, self.config.idle_age) is None:
            return "the I/O board is silent"
        if problem := self.link_problem(usable(self.inputs.vehicle, self.now, self.config.idle_age)):
            return problem
        if self.safety is not None and not Reaction.NONE <= self.reaction < Reaction.BLOCK:
            return f"safety: {self.fault}"
        return ""

    @property
    def clear(self) -> bool:
        """Nothing blocks, by fresh inputs."""
        return (
            not self.link_problem(self.vehicle)
            and self.safety is not None
            and self.io is not None
            and Reaction.NONE <= self.reaction < Reaction.BLOCK
        )

    @staticmethod
    def link_problem(vehicle: VehicleReport | None) -> str:
        """Return why the other end of the vehicle link cannot be served, in words; "" where it can."""
        return ""

    @property
    def fault(self) -> str:
        """The fault that came first, in words."""
        if self.safety is None:
            return "the safety monitor is silent"
        return self.safety.first_fault or next(iter(self.safety.faults), "") or self.safety.detail or self.safety.reaction.name

    @property
    def permit(self) -> bool:
        """Power may flow."""
        return self.safety is not None and self.safety.permit

    @property
    def recorded(self) -> bool:
        """The meter's begin reading of this session is on disk."""
        record = self.inputs.record.value if self.inputs.record is not None else None
        return record is not None and record.session_id == self.session.id and record.status is RecordStatus.OPEN

    # The site.

    @property
    def budget(self) -> float:
        """Power that the site grants [W]; the safe value where no valid budget is there."""
        sample = self.inputs.budget
        if sample is None or not sample.age(self.now) <= sample.value.valid_for or not sample.value.power >= 0.0:
            return self.config.safe_power
        return sample.value.power

    @property
    def current_budget(self) -> float:
        """Current of each phase that the CSMS allows [A], infinite without such a limit. Where no valid budget is there, the safe power holds."""
        sample = self.inputs.budget
        valid = sample is not None and sample.age(self.now) <= sample.value.valid_for
        return sample.value.current if valid and sample is not None and sample.value.current >= 0.0 else inf

    # Discharging.

    @property
    def discharge_asked(self) -> float:
        """Power that the site asks back from the vehicle [W]; 0 where it asks for none, or no valid budget is there."""
        sample = self.inputs.budget
        if sample is None or not sample.age(self.now) <= sample.value.valid_for or not sample.value.discharge_power > 0.0:
            return 0.0
        return sample.value.discharge_power

    @property
    def discharge_problem(self) -> str:
        """Why this vehicle link permits no discharge, in words; "" where it does (can.md 2.6)."""
        vehicle, config = self.vehicle, self.config
        if not config.unverified_discharge:
            return UNVERIFIED
        if vehicle is None or not (config.dynamic_control and vehicle.dynamic_control):
            return "no dynamic control (110.0.0, 118.0.0)"
        if not isfinite(vehicle.max_discharge_current):
            return "the vehicle has not sent its limits of discharge (0x200)"
        if vehicle.min_discharge_soc_percent > 100.0:
            return f"the vehicle's minimum charge {vehicle.min_discharge_soc_percent:.0f} (200.6) is no percentage"
        if vehicle.discharge_sequence > KNOWN_SEQUENCES:
            return f"V2H sequence number {vehicle.discharge_sequence} is not known"
        return ""

    @property
    def discharge_range(self) -> float:
        """Largest current from the vehicle that the request permits [A]: a CHAdeMO vehicle names no range besides its limits."""
        return inf


def output_voltage(io: IoReport | None, power: PowerReport | None) -> float:
    """Return the voltage at the connector [V], NaN where it is not known (docs/design.md, Output voltage)."""
    if io is None:
        return NAN
    if isfinite(io.connector_voltage):
        return abs(io.connector_voltage)
    return abs(power.voltage) if power is not None and io.contactor_closed else NAN


def requested(vehicle: VehicleReport | None) -> float:
    """Return the current that a vehicle asks for whose frames can be followed [A], 0 where it is not known; inside a range what came over OCPP.

    Never below 0: a negative request is a permission to discharge, and who asks for that is the site (charge_sequencer_discharge.py).
    """
    if vehicle is not None and vehicle.controller.range_mode and isfinite(vehicle.controller.dynamic_current):
        controller = vehicle.controller
        return max(min(controller.dynamic_current, controller.current_max, vehicle.current_request), controller.current_min, 0.0)
    return max(vehicle.current_request, 0.0) if vehicle is not None and isfinite(vehicle.current_request) else 0.0


def age(sample: Sample[Report], now: float) -> float:
    """Return the age [s] of the oldest frame behind a report, NaN where it has none."""
    said = sample.value.age
    return max(now - sample.received, 0.0) + max(said, 0.0) if isfinite(said) else NAN


def usable(sample: Sample[Report] | None, now: float, limit: float) -> Report | None:
    """Return the report if it is complete and its frames are at most limit [s] old."""
    return sample.value if sample is not None and sample.value.complete and age(sample, now) <= limit else None


def unfit(view: View) -> str:
    """Return why the vehicle cannot be served, in words; "" where it can (can.md S3). Limits that were latched count before live ones."""
    vehicle, config, latched = view.vehicle, view.config, view.session.limits
    if vehicle is None:
        return "the vehicle is silent"
    target, maximum = (latched.target_voltage, latched.max_voltage) if latched else (vehicle.target_voltage, vehicle.max_voltage)
    if vehicle.protocol_number > config.known_protocol_number:
        return f"protocol number {vehicle.protocol_number} is not known"
    if not config.min_voltage <= target <= config.max_voltage:
        return f"target voltage {target:.0f} V is outside {config.min_voltage:.0f} to {config.max_voltage:.0f} V"
    if not maximum >= config.min_voltage:
        return f"maximum voltage {maximum:.0f} V is below {config.min_voltage:.0f} V"
    if vehicle.min_current > config.max_current:
        return f"minimum current {vehicle.min_current:.0f} A is above {config.max_current:.0f} A"
    return view.vehicle_faults
