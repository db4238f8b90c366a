"""An energy meter that is read: its own registers, as long as they can be believed, and nothing in their place where they cannot.

Theory of operation. Each answer of the meter is judged before it counts: it must say that it measures right, have its registers, be within physical bounds,
come from the meter that was there before (serial number), not lie below what was read before, and not lie above what the rating can have delivered since.
What fails is told by the status, and the registers stay where they were last good: a record is not begun without a good reading, and a session whose meter
fails is ended by the fault meter_silent (docs/faults.md).

- TIMEOUT, FAILED, DISCONNECTED: no good answer for `max_age`; the last failure says why. Single failures are passed over.
- DISTURBED, MISSING_REGISTER, OUT_OF_RANGE: an answer that cannot count. The next good one counts again.
- BACKWARDS lasts until the register is where it was. STUCK lasts until it moves. JUMPED lasts until the program is started anew by somebody who has looked:
  with time every jump would be within the rating. What the modules say that they delivered while the register stood still is allowed for.
- EXCHANGED lasts until the known meter is back, or until the description names the new one's serial number. Then the registers are those of the new meter,
  from outside a session on.

Beside it the power modules' readings are integrated (energy_meter.py): to notice a register that stands still, and for the fault meter_disagrees. They never
correct anything. The meter that was there before is kept by the store with the registers; a meter without serial number is known by the one that the
description gives it.
"""

from dataclasses import dataclass, replace
from math import isfinite, nan
from typing import Any

from evse_core.energy_meter import HIGHEST_CURRENT, HIGHEST_VOLTAGE, EnergyMeter, MeterConfig, MeterFacts, Reading, Stored
from evse_core.meter_link import SIMULATED, MeterLinkConfig
from evse_core.meter_loss import SECONDS_PER_HOUR, Losses
from evse_core.types import MeterReport, MeterStatus, PowerReport

# Registers fall by less than this only where they are rounded: float64 against a sum of two. [Wh]
ROUNDING = 1e-3
# A register beyond this is no measurement: 350 kW for 300 years. [Wh]
HIGHEST_REGISTER = 1e12
# Meters and modules measure a few per cent apart, and their readings are not of one moment. [ratio]
MARGIN = 1.25
# What flowed while this program was away is believed up to this time at full power where the clock does not say how long it was. [s]
AWAY = 60.0
PHASES = ("l1", "l2", "l3")
# Identity of a meter that nobody has given a name.
UNNAMED = "without serial number"
# Fields of a MeterReading that are those of the MeterReport.
SHOWN = ("frequency", *(f"{what}_{phase}" for what in ("voltage", "current", "power") for phase in PHASES))
_LATCHED = frozenset({MeterStatus.BACKWARDS, MeterStatus.STUCK, MeterStatus.JUMPED, MeterStatus.EXCHANGED})


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be held of an answer, and why."""

    status: MeterStatus = MeterStatus.GOOD
    detail: str = ""


GOOD = Judgement()


class ReadMeter:
    """A meter behind `link`, from where a store left it. Registers [Wh]: mains_wh as the meter shows it, register_wh at the vehicle's end of the cable."""

    counter_wh = export_counter_wh = nan

    def __init__(self, config: MeterConfig, link: MeterLinkConfig, stored: Stored) -> None:
        self._link = link
        self.losses = Losses(link.cable_resistance, stored.loss_wh, stored.export_loss_wh)
        self.mains_wh, self.export_mains_wh = stored.register_wh + stored.loss_wh, stored.export_register_wh - stored.export_loss_wh
        self.max_power = stored.max_power
        self.identity = stored.meter
        # Of another meter, which takes its place with the first good reading outside a session.
        self.adopted: str | None = None
        self.last: Reading | None = None
        self._report = MeterReport()
        self._judgement = Judgement(MeterStatus.NOT_READ, "the meter has not been read yet")
        self._failure: tuple[float, Judgement] | None = None
        self._stored_at = stored.stamp
        self._reference = EnergyMeter(config, 0.0)
        self._moved_at = (0.0, 0.0)
        self._excess = (0.0, 0.0)
        # Of a session that an earlier run began nobody knows where it began.
        self._session_reference = (nan, nan)
        self._in_session = False

    @property
    def register_wh(self) -> float:
        """Register of energy to vehicles at the vehicle's end."""
        return self.mains_wh - self.losses.import_wh

    @property
    def export_register_wh(self) -> float:
        """Register of energy from vehicles at the vehicle's end."""
        return self.export_mains_wh + self.losses.export_wh

    @property
    def facts(self) -> MeterFacts:
        """Which meter it is."""
        report = self._report
        # A meter that says that it is a simulation is none that anybody certified, whatever the description says.
        legal = self._link.legal and report.model != SIMULATED
        model = f"{report.model} {SIMULATED}" if self._link.simulated and report.model != SIMULATED else report.model
        return MeterFacts(report.vendor, model, self.identity, legal, self._link.cable_resistance)

    # What comes in

    def on_report(self, report: PowerReport, now: float) -> bool:
        """Take what the power modules say, to compare with; never news for the registers."""
        self._reference.on_report(report, now)
        return False

    def on_sample(self, report: MeterReport, time: float, stamp: float) -> bool:
        """Take an answer of the meter that came at a time [s] and ROS time [s]; returns whether it counts."""
        report = _turned(report) if self._link.reversed else report
        self._failure = None
        judgement = self._judge(report, time, stamp)
        self._judgement = judgement
        if judgement != GOOD:
            return False
        self._count(report, time)
        return True

    def on_failure(self, status: MeterStatus, detail: str, time: float) -> None:
        """Take that the meter did not answer, or with what cannot be used."""
        self._failure = (time, Judgement(status, detail))

    def _judge(self, report: MeterReport, time: float, stamp: float) -> Judgement:
        if self._judgement.status is MeterStatus.JUMPED:
            return self._judgement
        form = _form(report, self.losses.resistance > 0.0)
        if form != GOOD:
            return form
        whose = self._whose(report)
        return self._course(report, time, stamp) if whose == GOOD else whose

    def _whose(self, report: MeterReport) -> Judgement:
        """Return whether this is the meter that was there before, or one that the description names."""
        told, expected = report.serial, self._link.serial
        if told and expected and told != expected:
            return Judgement(MeterStatus.EXCHANGED, f"the meter has the serial number {told}, the description says {expected}")
        found = told or expected or UNNAMED
        if found == self.identity:
            return GOOD
        if self._in_session or (self.identity and found != expected):
            return Judgement(
                MeterStatus.EXCHANGED, f"the meter has the serial number {found}, the one before had {self.identity or 'none'}"
            )
        return self._adopt(report, found)

    def _adopt(self, report: MeterReport, identity: str) -> Judgement:
        """Begin to count with another meter, from where its registers stand."""
        self.identity = self.adopted = identity
        self.losses = Losses(self._link.cable_resistance)
        self.mains_wh, self.export_mains_wh = report.import_wh, report.export_wh if isfinite(report.export_wh) else 0.0
        self.last = None
        self._moved_at = self._referred
        return GOOD

    @property
    def _referred(self) -> tuple[float, float]:
        """What the power modules have delivered and taken since this program began [Wh]."""
        return self._reference.register_wh, self._reference.export_register_wh

    def _course(self, report: MeterReport, time: float, stamp: float) -> Judgement:
        """Return whether the registers go on from where they were."""
        export = report.export_wh if isfinite(report.export_wh) else self.export_mains_wh
        rises = (report.import_wh - self.mains_wh, export - self.export_mains_wh)
        if min(rises) < -ROUNDING:
            return Judgement(MeterStatus.BACKWARDS, f"a register fell by {-min(rises):.3f} Wh")
        excess = self._beyond(rises, time, stamp)
        if self._counts_on and max(excess) > self._link.jump_wh:
            return Judgement(
                MeterStatus.JUMPED, f"a register rose by {max(excess):.0f} Wh more than the rating allows, in one go or bit by bit"
            )
        self._excess = excess if self._counts_on else (0.0, 0.0)
        return self._movement(rises)

    def _beyond(self, rises: tuple[float, float], time: float, stamp: float) -> tuple[float, float]:
        """Return how far the registers are ahead of what the rating allows [Wh]; what they were ahead of it goes away at the rate of the rating."""
        still = max(new - old for new, old in zip(self._referred, self._moved_at, strict=True))
        power = max(self._link.max_power, self._link.max_discharge_power)
        allowed = MARGIN * (power * self._seconds(time, stamp) / SECONDS_PER_HOUR + still)
        before = self._excess
        return max(before[0] + rises[0] - allowed, 0.0), max(before[1] + rises[1] - allowed, 0.0)

    @property
    def _counts_on(self) -> bool:
        """Whether the register has to go on from where it was: outside a session what is read first is where counting begins."""
        return self.last is not None or self._in_session

    def _seconds(self, time: float, stamp: float) -> float:
        """Return the time since the registers were read last [s]."""
        if self.last is not None:
            return time - self.last.time
        away = stamp - self._stored_at
        return away if self._stored_at > 0.0 and away > AWAY else AWAY

    def _movement(self, rises: tuple[float, float]) -> Judgement:
        """Return whether a register stands still though the power modules deliver."""
        new, old = self._referred, self._moved_at
        self._moved_at = (new[0] if rises[0] > 0.0 else old[0], new[1] if rises[1] > 0.0 else old[1])
        still = max(new[0] - self._moved_at[0], new[1] - self._moved_at[1])
        if still > self._link.stuck_wh:
            return Judgement(MeterStatus.STUCK, f"the register stands still; the power modules have delivered {still:.0f} Wh meanwhile")
        return GOOD

    def _count(self, report: MeterReport, time: float) -> None:
        export = report.export_wh if isfinite(report.export_wh) else self.export_mains_wh
        rise, export_rise = max(report.import_wh - self.mains_wh, 0.0), max(export - self.export_mains_wh, 0.0)
        self.mains_wh, self.export_mains_wh = max(self.mains_wh, report.import_wh), max(self.export_mains_wh, export)
        self.losses.on_reading(time, sum(current**2 for current in _currents(report)), report.power < 0.0, self._link.max_age)
        self.losses.on_rise(rise, export_rise)
        self.max_power = max(self.max_power, report.power)
        self.last = Reading(time, report.voltage, report.current, report.power)
        self._report = report

    # What is asked

    def begin(self) -> None:
        """Begin a session: the highest power and the comparison with the modules count from here, and losses of the one before are none of this one."""
        self.max_power = 0.0
        self.losses.reset()
        if self.losses.resistance == 0.0:
            # Losses are not compensated any more: the register is what the meter shows.
            self.losses = Losses(0.0)
        self._session_reference = self._referred

    def in_session(self, open_record: bool) -> None:
        """Take whether a record is open: another meter then takes no place."""
        self._in_session = open_record

    def fresh(self, now: float) -> Reading | None:
        """Return the last good reading if it is recent enough to speak for the present."""
        return self.last if self.last is not None and self.status(now) is MeterStatus.GOOD else None

    def read_since(self, time: float) -> bool:
        """Return whether the registers were read at a time [s] or later."""
        return self.last is not None and self.last.time >= time

    def status(self, now: float) -> MeterStatus:
        """Return how the meter stands."""
        return self._present(now).status

    def _present(self, now: float) -> Judgement:
        if self._judgement.status is not MeterStatus.GOOD and (self._failure is None or self._judgement.status in _LATCHED):
            return self._judgement
        if self.last is not None and now - self.last.time <= self._link.max_age and self._judgement == GOOD:
            return GOOD
        if self._failure is not None:
            return self._failure[1]
        age = f"{now - self.last.time:.1f} s" if self.last is not None else "ever"
        return Judgement(MeterStatus.TIMEOUT, f"the meter has not answered for {age}")

    def details(self, now: float) -> dict[str, Any]:
        """Return what a MeterReading says beside registers and present values, by field; measured values only while they are fresh."""
        present = self._present(now)
        shown = {name: getattr(self._report, name) for name in SHOWN} if present == GOOD else {}
        compared = [
            counted - before if self._in_session else nan for counted, before in zip(self._referred, self._session_reference, strict=True)
        ]
        return shown | {
            "meter_status": present.status,
            "meter_detail": present.detail,
            "meter_clock": self._report.clock if present == GOOD else nan,
            "meter_serial": self.identity,
            "mains_register_wh": self.mains_wh,
            "loss_wh": self.losses.import_wh,
            "session_reference_wh": compared[0],
            "session_export_reference_wh": compared[1],
        }


def _form(report: MeterReport, needs_current: bool) -> Judgement:
    """Return whether an answer can be a measurement at all."""
    if report.fault:
        return Judgement(MeterStatus.DISTURBED, f"the meter says: {report.fault}")
    missing = [name for name, found in _needed(report, needs_current).items() if not found]
    if missing:
        return Judgement(MeterStatus.MISSING_REGISTER, f"the meter tells no {missing[0]}")
    beyond = next((name for name, (value, low, high) in _bounds(report).items() if isfinite(value) and not low <= value <= high), "")
    return Judgement(MeterStatus.OUT_OF_RANGE, f"{beyond} {getattr(report, beyond):g} is no measurement") if beyond else GOOD


def _needed(report: MeterReport, needs_current: bool) -> dict[str, bool]:
    return {
        "register of energy to the vehicle": isfinite(report.import_wh),
        "power": isfinite(report.power),
        "current, which the compensation of losses needs": bool(_currents(report)) or not needs_current,
    }


def _bounds(report: MeterReport) -> dict[str, tuple[float, float, float]]:
    power = HIGHEST_VOLTAGE * HIGHEST_CURRENT
    return {
        "import_wh": (report.import_wh, 0.0, HIGHEST_REGISTER),
        "export_wh": (report.export_wh, 0.0, HIGHEST_REGISTER),
        "voltage": (report.voltage, -HIGHEST_VOLTAGE, HIGHEST_VOLTAGE),
        "current": (report.current, -HIGHEST_CURRENT, HIGHEST_CURRENT),
        "power": (report.power, -power, power),
    }


def _currents(report: MeterReport) -> list[float]:
    """Return the currents that flow through the cable, those of the phases where they are known [A]."""
    phases = [value for value in (report.current_l1, report.current_l2, report.current_l3) if isfinite(value)]
    return phases or [value for value in (report.current,) if isfinite(value)]


def _turned(report: MeterReport) -> MeterReport:
    """Return what a meter says that is wired the other way round."""
    signs = {name: -getattr(report, name) for name in ("power", "power_l1", "power_l2", "power_l3", "current")}
    return replace(report, import_wh=report.export_wh, export_wh=report.import_wh, **signs)
