"""The energy meter of one EVSE: integrates the power modules' readings into two registers that never decrease, one for each direction.

Theory of operation. A power_report carries the age of the frame behind it, so each reading has the time at which it was measured. Between two readings
at most `max_gap` apart the energy is the area of the trapezoid under the power. Over a longer gap, as after a restart of this process, the difference of
the energy counter in power_report is taken, which can_bridge keeps with this same rule; without it nothing is counted, because nobody measured it. Energy to
the vehicle (import, as OCPP calls it) and from it (export) have a register each: power the other way counts as zero, neither goes back, and the two never
make up for each other. An integrated value is a plausibility value and not legal for billing (can.md 7.5): on a real station a certified meter takes this
place (energy_meter_read.py), and what is integrated here is what it is compared with.
"""

from dataclasses import dataclass
from math import isfinite, nan
from typing import Any, Protocol

from evse_core.meter_loss import SECONDS_PER_HOUR, Losses
from evse_core.parameter import parameter
from evse_core.types import MeterStatus, PowerReport
from evse_core.vehicle_link import PILOT, link_parameter

# Frames come every 100 ms (can.md 1.3); what seems to be nearer to the last one is the same frame in another report, delivered a little faster. [s]
SAME_FRAME = 0.01
# Voltage and current beyond which a reading is no measurement, whoever reports it: the largest ratings that any configuration takes are 1500 V and 1000 A
# (safety_config.py), and modules overshoot. A register that took one such reading in could never be corrected. [V], [A]
HIGHEST_VOLTAGE, HIGHEST_CURRENT = 2000.0, 2000.0


@dataclass(frozen=True, slots=True)
class MeterFacts:
    """Which meter it is, for records: maker, model, serial number ("" of an integrated value); legal for billing; resistance of the cable behind it [ohm]."""

    vendor: str = ""
    model: str = ""
    serial: str = ""
    legal: bool = False
    cable_resistance: float = 0.0


# An integrated value is never legal for billing. Source: can.md 7.5
INTEGRATED = MeterFacts()


class Stored(Protocol):
    """What a store has kept of a meter (record_store.Store). Registers are those of the vehicle's end, losses what was taken off or added. [Wh]"""

    @property
    def register_wh(self) -> float:
        """Register of energy to vehicles."""

    @property
    def export_register_wh(self) -> float:
        """Register of energy from vehicles."""

    @property
    def max_power(self) -> float:
        """Highest power since the begin of the record [W]."""

    @property
    def counter_wh(self) -> float:
        """Counter of power_report up to which the register has counted, NaN where unknown."""

    @property
    def export_counter_wh(self) -> float:
        """The same of energy from vehicles."""

    @property
    def loss_wh(self) -> float:
        """Losses that were taken off."""

    @property
    def export_loss_wh(self) -> float:
        """Losses that were added."""

    @property
    def meter(self) -> str:
        """Identity of the meter that the registers are those of, "" of an integrated value."""

    @property
    def stamp(self) -> float:
        """ROS time of the last save [s]."""


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """Times of the energy meter, and what its receipts say about the station."""

    max_gap: float = parameter(1.0, "s", "Readings further apart are not integrated over", "own: ten frames of 100 ms", 0.2, 5.0)
    idle_period: float = parameter(1.0, "s", "Period of readings while idle", "msg/MeterReading.msg: 1 Hz", 0.1, 10.0)
    charging_period: float = parameter(0.25, "s", "Period of readings in a session", "msg/MeterReading.msg: 4 Hz", 0.05, 1.0)
    max_missed: float = parameter(
        1000.0,
        "Wh",
        "Most energy that the counter in power_report may add after a gap",
        "own: 10 s at 350 kW, by then meter_silent has stopped",
        0.0,
        10000.0,
    )
    resume_time: float = parameter(
        10.0,
        "s",
        "Longest wait after a restart for the session of a record that was left open",
        "own: discovery takes up to 3 s",
        1.0,
        60.0,
    )
    settle_time: float = parameter(
        3.0,
        "s",
        "Longest wait for the end of the current before a record whose session is gone is interrupted",
        "own: permit_timeout and a ramp of 100 A/s from 200 A",
        0.0,
        30.0,
    )
    sync_period: float = parameter(
        5.0, "s", "Longest time that a loss of power may take from the register", "own: wear of the disk against 70 Wh at 50 kW", 0.1, 600.0
    )
    vehicle_link: str = link_parameter()
    serial: str = parameter("", "", "Serial number of the station on signed records", "can.md 7.1: GS, MS")
    evse_id: str = parameter("", "", "EVSE identifier on signed records, such as DE*ABC*E0001; empty: station and number", "can.md 7.1: CI")
    station_name: str = parameter("", "", "Name of the station on receipts", "can.md 7.4: receipt")
    place: str = parameter("", "", "Business name and place on receipts", "can.md 7.4: receipt")
    time_zone: str = parameter("UTC", "", "Time zone of receipts, such as Europe/Berlin", "can.md 7.5: times with zone")

    @property
    def current_type(self) -> str:
        """Kind of current that is metered, AC or DC."""
        return "AC" if self.vehicle_link == PILOT else "DC"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the modules delivered at a monotonic time [s]: voltage [V], current [A], power towards the vehicle [W]."""

    time: float
    voltage: float
    current: float
    # Power that a meter measured itself; NaN: voltage times current. [W]
    measured: float = nan

    @property
    def power(self) -> float:
        """Power towards the vehicle [W], negative towards the station."""
        return self.measured if isfinite(self.measured) else self.voltage * self.current


class EnergyMeter:
    """The registers [Wh], the highest power [W] since begin(), and the counters of power_report up to which the registers have counted [Wh].

    Those with `export` are about energy from the vehicle. register_wh is that of the vehicle's end, mains_wh that of the meter; without a resistance of the
    cable they are the same.
    """

    facts = INTEGRATED
    identity = ""

    def __init__(
        self,
        config: MeterConfig,
        register_wh: float,
        max_power: float = 0.0,
        counter_wh: float = nan,
        export_register_wh: float = 0.0,
        export_counter_wh: float = nan,
        losses: Losses | None = None,
    ) -> None:
        self._config = config
        self.losses = losses or Losses(0.0)
        self.register_wh, self.export_register_wh = register_wh, export_register_wh
        self.max_power = max_power
        self.counter_wh = counter_wh
        self.export_counter_wh = export_counter_wh
        self.last: Reading | None = None

    @property
    def mains_wh(self) -> float:
        """Register of energy to vehicles at the meter, before the cable."""
        return self.register_wh + self.losses.import_wh

    @property
    def export_mains_wh(self) -> float:
        """Register of energy from vehicles at the meter."""
        return self.export_register_wh - self.losses.export_wh

    def on_report(self, report: PowerReport, now: float) -> bool:
        """Take a report received at now [s]; returns whether it brought a new reading."""
        reading = _reading(report, now)
        if reading is None or (self.last is not None and reading.time - self.last.time < SAME_FRAME):
            return False
        if self.last is not None and reading.time - self.last.time <= self._config.max_gap:
            hours = (reading.time - self.last.time) / SECONDS_PER_HOUR
            rise = (max(self.last.power, 0.0) + max(reading.power, 0.0)) / 2.0 * hours
            export_rise = (max(-self.last.power, 0.0) + max(-reading.power, 0.0)) / 2.0 * hours
        else:
            rise = self._missed(report.energy_wh, self.counter_wh)
            export_rise = self._missed(report.export_energy_wh, self.export_counter_wh)
        self.losses.on_reading(reading.time, reading.current**2, reading.current < 0.0, self._config.max_gap)
        taken, added = self.losses.on_rise(rise, export_rise)
        self.register_wh += rise - taken
        self.export_register_wh += export_rise + added
        self.counter_wh, self.export_counter_wh = report.energy_wh, report.export_energy_wh
        self.max_power = max(self.max_power, reading.power)
        self.last = reading
        return True

    def _missed(self, counter_wh: float, before_wh: float) -> float:
        """Return what a counter has counted since this meter looked last [Wh]; a counter that went back has begun anew, and all of it is news."""
        if not (isfinite(counter_wh) and isfinite(before_wh)):
            return 0.0
        missed = counter_wh - before_wh if counter_wh >= before_wh else counter_wh
        # More than a session can have delivered in the time is no measurement.
        return missed if 0.0 <= missed <= self._config.max_missed else 0.0

    def begin(self) -> None:
        """Begin a session: the highest power counts from here, and losses of the one before are none of this one."""
        self.max_power = 0.0
        self.losses.reset()

    def in_session(self, open_record: bool) -> None:
        """Take whether a record is open: of no account to an integrated value."""

    def status(self, now: float) -> MeterStatus:
        """Return UNKNOWN: an integrated value has no state of its own."""
        return MeterStatus.UNKNOWN

    def read_since(self, time: float) -> bool:
        """Return whether the registers are known as they were at a time [s] or later: what is integrated is always as it is."""
        return True

    def details(self, now: float) -> dict[str, Any]:
        """Return what a MeterReading says beside registers and present values, by field."""
        return {"mains_register_wh": self.mains_wh, "loss_wh": self.losses.import_wh}

    def fresh(self, now: float) -> Reading | None:
        """Return the last reading if it is recent enough to speak for the present."""
        if self.last is None or now - self.last.time > self._config.max_gap:
            return None
        return self.last


def _reading(report: PowerReport, now: float) -> Reading | None:
    """Return what a report measured and when, None where it tells nothing."""
    if not report.complete or not all(isfinite(value) for value in (report.age, report.voltage, report.current)):
        return None
    if abs(report.voltage) > HIGHEST_VOLTAGE or abs(report.current) > HIGHEST_CURRENT:
        return None
    return Reading(now - max(report.age, 0.0), report.voltage, report.current)


def whole_wh(register_wh: float) -> int:
    """Return a register in whole Wh: the resolution of receipts (can.md 7.4: 0.001 kWh) and of OCPP 1.6 meterStart and meterStop."""
    return round(register_wh)


def billed_wh(begin_register_wh: float, end_register_wh: float) -> int:
    """Return the energy of a session [Wh] as everybody bills it: the difference of the two registers in whole Wh, never negative."""
    return max(whole_wh(end_register_wh) - whole_wh(begin_register_wh), 0)
