"""The moment at which a CHAdeMO session ended, and the questions that the table of cases (chademo_cases.py) asks about it."""

from dataclasses import dataclass

from evse_core import chademo_session as c
from evse_core.chademo_output import Output, contactor_closed
from evse_core.chademo_session import LOSS, Observation
from evse_core.chademo_signs import Sign
from evse_core.chademo_steps import Step, View

# Below this the charger's reading is no current: byte 3 of 0x109 counts whole amperes, and a request of 1 A gives 0 or 1. [A]
NOTHING_FLOWS = 1.0
# Below this a request is too small to miss its answer. [A]
CLEAR_REQUEST = 3.0
# A battery does not rise by this much without current; meters step by 1 V and wander by some volts. [V]
OPEN_PATH_RISE = 10.0
# The charger counts the time left in steps of 1 min above 25 min 30 s and of 10 s below: the last step before 0. [s]
LAST_STEP = 60.0


@dataclass(frozen=True, slots=True)
class Context:
    """What a case may look at: the observation, the first signs, and the state at their time."""

    observation: Observation
    signs: tuple[Sign, ...]
    view: View
    steps: tuple[Step, ...]

    @property
    def t(self) -> float:
        return self.signs[0].t if self.signs else self.observation.end

    @property
    def output(self) -> Output:
        return self.view.output

    @property
    def charging(self) -> bool:
        """Tell whether the charger reported charging until the sign came, the frame of the sign excluded."""
        return bool(self.observation.track(c.CHARGING).at(self.t)) or bool(self.observation.track(c.CHARGING).at(self.t - 1e-6))

    @property
    def charged(self) -> bool:
        return self.view.charging_at is not None and self.view.charging_at <= self.t

    def reached(self, number: int) -> Step | None:
        return next((step for step in self.steps if step.step == number), None)

    @property
    def ready(self) -> bool:
        """Tell whether lock and insulation test were over."""
        step = self.reached(8)
        return step is not None and step.complete

    def value(self, name: str) -> float | None:
        """Return what a signal said when the sign came."""
        return self.observation.track(name).at(self.t)

    @property
    def request(self) -> float:
        """Return the current request just before the sign. [A]"""
        return self.observation.track("request").at(self.t - 1e-6) or 0.0

    @property
    def asked_at(self) -> float | None:
        """Return when current was first requested after the contactor had closed, before the sign."""
        closed = self.reached(9)
        asked = None if closed is None else self.observation.track("request").first(bool, closed.t)
        return asked if asked is not None and asked < self.t else None

    @property
    def sign(self) -> str:
        return self.signs[0].evidence if self.signs else ""


# Conditions of the table, each a question about the moment of the first sign.


def always(_: Context) -> bool:
    return True


def charging(context: Context) -> bool:
    return context.charging


def not_charged(context: Context) -> bool:
    return not context.charged


def time_ran_out(context: Context) -> bool:
    """Tell whether the charger's count of the time left came down to 0: it stood at the last step before, or at 0 while charging."""
    left = [_time_left(context, t) for t in (context.t - 1e-6, context.t)]
    return (
        any(seconds is not None and seconds <= 0 for seconds in left)
        and (previous := _last_nonzero_time(context)) is not None
        and previous <= LAST_STEP
    )


def _time_left(context: Context, t: float) -> float | None:
    tens, minutes = context.observation.track(c.LEFT_10S).at(t), context.observation.track(c.LEFT_MIN).at(t)
    if tens is None or minutes is None or (tens >= 2550 and minutes >= 255):
        return None
    return tens if tens < 2550 else minutes * 60


def _last_nonzero_time(context: Context) -> float | None:
    times = {*context.observation.track(c.LEFT_10S).times, *context.observation.track(c.LEFT_MIN).times}
    before = [left for t in sorted(times) if t <= context.t and (left := _time_left(context, t)) is not None and left > 0]
    return before[-1] if before else None


def over_threshold(context: Context) -> bool:
    """Tell whether the output stood at or above the threshold of 0x108 bytes 4-5 while charging, in the last half second."""
    threshold = context.value(c.THRESHOLD)
    readings = context.observation.readings_in(context.t - LOSS / 2, context.t)
    return context.charging and bool(threshold) and any(reading.voltage >= (threshold or 0) for reading in readings)


def over_available(context: Context) -> bool:
    """Tell whether the request was above what the charger had said to have, 0x108 byte 3."""
    available = context.value(c.AVAILABLE_CURRENT)
    return context.charging and bool(available) and context.request > (available or 0)


def nothing_flows(context: Context) -> bool:
    """Tell whether current was clearly requested while charging, and none flowed at all."""
    if not context.charging or context.view.charging_at is None or context.request < CLEAR_REQUEST:
        return False
    readings = context.observation.readings_in(context.view.charging_at, context.t)
    return bool(readings) and max(reading.current for reading in readings) <= NOTHING_FLOWS


def path_open(context: Context) -> bool:
    """Tell whether no current flowed although the charger raised its voltage: nothing that takes current was connected."""
    return nothing_flows(context) and voltage_rise(context) >= OPEN_PATH_RISE


def voltage_rise(context: Context) -> float:
    """Return by how much the output rose from the last reading before charging to its peak. [V]"""
    begun = context.view.charging_at or context.t
    readings = context.observation.readings_in(begun, context.t)
    return max((reading.voltage for reading in readings), default=0.0) - (readings[0].voltage if readings else 0.0)


def no_request(context: Context) -> bool:
    """Tell whether the contactor had closed, with battery voltage at the output, and no current was ever requested."""
    return not context.charged and context.output.battery is not None and context.reached(9) is not None and context.asked_at is None


def request_unanswered(context: Context) -> bool:
    return not context.charged and context.asked_at is not None


def closed_without_voltage(context: Context) -> bool:
    """Tell whether the vehicle reported its contactor closed and no voltage came."""
    return not context.charged and contactor_closed(context.observation) is not None and context.output.battery is None


def contactor_never_closed(context: Context) -> bool:
    """Tell whether the test was over and the vehicle's contactor did not close: by its own flag, or for want of voltage where it has none."""
    closed = contactor_closed(context.observation) is not None or context.output.battery is not None
    return not context.charged and context.ready and not closed


def test_not_passed(context: Context) -> bool:
    """Tell whether the charger's own test voltage had been seen and the test was not over."""
    return not context.charged and bool(context.output.tests) and not context.ready


def live_without_test(context: Context) -> bool:
    """Tell whether a voltage stood at the output that no test explains."""
    return not context.charged and not context.output.tests and context.output.unclear is not None


def never_permitted(context: Context) -> bool:
    t = context.observation.track(c.ENABLED).set_at()
    return not context.charged and (t is None or t > context.t)


def log_ends_charging(context: Context) -> bool:
    return bool(context.observation.track(c.CHARGING).last)


def only_vehicle(context: Context) -> bool:
    return context.observation.first_of(c.CHARGER_MESSAGES) is None and context.observation.first_of(c.VEHICLE_MESSAGES) is not None


def only_charger(context: Context) -> bool:
    return context.observation.first_of(c.VEHICLE_MESSAGES) is None and context.observation.first_of(c.CHARGER_MESSAGES) is not None


def both_silent(context: Context) -> bool:
    """Tell whether both parties fell silent together while other nodes of the bus went on."""
    last = max(context.observation.last_of((*c.VEHICLE_MESSAGES, *c.CHARGER_MESSAGES)) or 0.0, 0.0)
    return context.observation.end - last > LOSS
