"""What was odd in a CHAdeMO session, whether or not it mattered: oddities of real vehicles and chargers, lost frames, unsafe order.

../shared/reference/can.md 2.1 (periods, generations), 2.4 (limits) and 2.7 (oddities seen in the field).
"""

from collections.abc import Callable, Iterator, Sequence

from evse_core import chademo_session as c
from evse_core.chademo_figures import energy_wh, uncounted
from evse_core.chademo_output import DISCHARGED, contactor_closed, output, reports_contactor
from evse_core.chademo_session import LOSS, Observation, Traffic
from evse_core.chademo_signs import party_pauses, survived_signs
from evse_core.chademo_steps import SAFE_TO_UNLOCK

# Both sides send every 100 ms; measured vehicles 98 to 102 ms, chargers 91 to 133 ms: can.md 2.1. [s]
SLOW_PERIOD = 0.15
# Idle current readings of some chargers are offset by 5 to 8 A; meters count whole amperes (can.md 2.7). [A]
IDLE_CURRENT = 2.0


def quirks(observation: Observation, ended_at: float | None) -> tuple[str, ...]:
    """Return one sentence per oddity. ended_at: the first sign of the end, None where there is none."""
    return tuple(sentence for rule in RULES for sentence in rule(observation, ended_at))


def holes(observation: Observation) -> list[tuple[float, float]]:
    """Return the spans longer than LOSS / 3 in which neither party was heard though both spoke before and after: recorder or bus was dead. [s]"""
    core = observation.frames((*c.VEHICLE_MESSAGES, *c.CHARGER_MESSAGES))
    return [span for pause in (core[0].pauses if core else ()) if (span := _shared_pause(pause, core)) is not None]


def _shared_pause(pause: tuple[float, float], core: Sequence[Traffic]) -> tuple[float, float] | None:
    """Return the part of a pause in which every identifier paused, None where one was heard."""
    start, stop = pause
    for traffic in core:
        other = next((each for each in traffic.pauses if each[0] < stop and start < each[1]), None)
        if other is None:
            return None
        start, stop = max(start, other[0]), min(stop, other[1])
    return (start, stop) if stop - start > LOSS / 3 else None


def _periods(observation: Observation, _: float | None) -> Iterator[str]:
    for identifier, name in observation.names.items():
        period = observation.traffic[identifier].period
        if name in (*c.VEHICLE_MESSAGES, *c.CHARGER_MESSAGES) and period is not None and period > SLOW_PERIOD:
            yield f"0x{identifier:X} comes every {period * 1000:.0f} ms instead of every 100 ms"


def _gaps(observation: Observation, _: float | None) -> Iterator[str]:
    dead = holes(observation)
    for start, stop in dead:
        yield f"no frame of either party from {start:.2f} s to {stop:.2f} s: the recorder lost frames, or the bus was dead"
    parties = (("vehicle", c.VEHICLE_MESSAGES), ("charger", c.CHARGER_MESSAGES))
    for party, messages in parties:
        for start, stop in party_pauses(observation.frames(messages)):
            if not any(a < stop and start < b for a, b in dead):
                yield f"the {party} was silent from {start:.2f} s to {stop:.2f} s, longer than the {LOSS:g} s after which it counts as lost"


def _generations(observation: Observation, _: float | None) -> Iterator[str]:
    vehicle, charger = observation.track(c.PROTOCOL_EV), observation.track(c.PROTOCOL_SE)
    if vehicle.last is not None and charger.last is not None and vehicle.last != charger.last:
        yield f"vehicle announces protocol {vehicle.last:g}, charger {charger.last:g}: both then use the older rules"
    if len(vehicle.values) > 1:
        yield f"the vehicle changed its protocol number from {vehicle.values[0]:g} to {vehicle.values[1]:g} at {vehicle.times[1]:.2f} s"
    for party, last in (("vehicle", vehicle.last), ("charger", charger.last)):
        if last == 0 or (last or 0) > 3:
            yield f"the {party} announces protocol {last:g}: {'before 0.9' if last == 0 else 'not a known generation'}"


def _reference(observation: Observation, _: float | None) -> Iterator[str]:
    values = observation.track(c.REFERENCE).values
    if len(values) > 1:
        yield f"the reference of the charged rate (0x100 byte 6) changed: {', '.join(f'{value:g}' for value in values[:4])}"
    elif values and values[0] != 100:
        yield f"the reference of the charged rate (0x100 byte 6) is {values[0]:g} instead of 100"


def _early_permission(observation: Observation, _: float | None) -> Iterator[str]:
    enabled, charger = observation.track(c.ENABLED).set_at(), observation.first_of(c.CHARGER_MESSAGES)
    if enabled is not None and charger is not None and enabled < charger and not observation.track(c.CHARGING).at(charger):
        yield f"the vehicle gave its permission (0x102 byte 5.0 = 1) {charger - enabled:.2f} s before the charger's first frame"


def _early_request(observation: Observation, _: float | None) -> Iterator[str]:
    request = observation.track("request")
    first = request.set_at()
    enabled = observation.track(c.ENABLED).set_at()
    if first is not None and (enabled is None or first < enabled):
        yield f"the vehicle requested {request.at(first):g} A at {first:.2f} s, before it gave its permission"
    charging = observation.track(c.CHARGING).set_at()
    closed = contactor_closed(observation)
    before = closed if closed is not None else charging
    if first is not None and before is not None and enabled is not None and enabled <= first < before and reports_contactor(observation):
        yield f"the vehicle requested {request.at(first):g} A at {first:.2f} s, before its contactor was closed"


def _no_contactor_flag(observation: Observation, _: float | None) -> Iterator[str]:
    if observation.track(c.CONTACTOR_OPEN).times and not reports_contactor(observation) and not _starts_charging(observation):
        yield "the vehicle never reports its contactor (0x102 byte 5.3 stays 0), as vehicles before 1.0"


def _starts_charging(observation: Observation) -> bool:
    track = observation.track(c.CHARGING)
    return bool(track.values) and bool(track.values[0])


def _over_available(observation: Observation, _: float | None) -> Iterator[str]:
    available = observation.track(c.AVAILABLE_CURRENT)
    over = [
        (value - (available.at(t) or 0), t)
        for t, value in observation.track("request").points()
        if available.at(t) and value > (available.at(t) or 0)
    ]
    if over:
        worst, t = max(over)
        yield f"the vehicle requested up to {worst:g} A more than the charger had (at {t:.2f} s)"


def _short_delivery(observation: Observation, _: float | None) -> Iterator[str]:
    """Name a current that stays away from the request: vehicles complain after about 5 s of more than 10 A or 10 % (can.md 2.4)."""
    request, flag, since = observation.track("request"), observation.track(c.CHARGING), None
    for reading in observation.readings:
        wanted = request.at(reading.t) or 0.0
        off = bool(flag.at(reading.t)) and abs(wanted - reading.current) > max(10.0, 0.1 * wanted)
        since = (since if since is not None else reading.t) if off else None
        if since is not None and reading.t - since >= 5.0:
            yield f"from {since:.2f} s the delivered current differs from the request by more than 10 A for over 5 s ({reading.current:g} A for {wanted:g} A)"
            return


def _paused(observation: Observation, _: float | None) -> Iterator[str]:
    track, flag = observation.track("request"), observation.track(c.CHARGING)
    for start in track.falls():
        back = track.first(bool, start)
        if back is not None and flag.at(start) and flag.at(back):
            yield f"the vehicle paused at 0 A from {start:.2f} s to {back:.2f} s and came back"


def _idle_current(observation: Observation, _: float | None) -> Iterator[str]:
    flag = observation.track(c.CHARGING)
    stopped = (flag.falls() or [float("inf")])[-1] + LOSS
    idle = [
        reading for reading in observation.readings if not flag.at(reading.t) and reading.current >= IDLE_CURRENT and reading.t < stopped
    ]
    if idle:
        top = max(reading.current for reading in idle)
        outside = energy_wh(observation, charging=False)
        yield (
            f"the charger reads up to {top:g} A from {idle[0].t:.2f} s to {idle[-1].t:.2f} s without reporting charging: an offset of its meter, or a test; "
            f"the {outside:.1f} Wh of that are not counted"
        )


def _uncounted(observation: Observation, _: float | None) -> Iterator[str]:
    if missing := uncounted(observation):
        yield f"the energy lacks {missing:.1f} s of charging without readings"


def _over_target(observation: Observation, _: float | None) -> Iterator[str]:
    target, flag = observation.track(c.TARGET), observation.track(c.CHARGING)
    over = [reading for reading in observation.readings if flag.at(reading.t) and reading.voltage > (target.at(reading.t) or float("inf"))]
    if over:
        top = max(over, key=lambda reading: reading.voltage)
        yield f"while charging the output reached {top.voltage:g} V at {top.t:.2f} s, above the vehicle's target of {target.at(top.t):g} V"


def _threshold_late(observation: Observation, _: float | None) -> Iterator[str]:
    values = observation.track(c.THRESHOLD).values
    if len(values) > 1 and values[0] == 0:
        yield "the charger's first 0x108 carries a threshold of 0 V"


def _remains_enabled(observation: Observation, _: float | None) -> Iterator[str]:
    faults = [t for name in (c.MALFUNCTION, c.SYSTEM_MALFUNCTION) if (t := observation.track(name).set_at()) is not None]
    last = observation.last_of(("EV_Status",))
    if faults and last is not None and last - min(faults) > LOSS and observation.track(c.ENABLED).last:
        yield f"the vehicle kept its permission (0x102 byte 5.0 = 1) for {last - min(faults):.1f} s after the charger's fault bit, to its last frame"


def _unlocked_live(observation: Observation, _: float | None) -> Iterator[str]:
    for t in observation.track(c.LOCKED).falls():
        reading = observation.reading_at(t)
        if reading is not None and reading.voltage > SAFE_TO_UNLOCK:
            yield f"DANGER: the charger unlocked at {t:.2f} s with {reading.voltage:g} V at the output (at most {SAFE_TO_UNLOCK:g} V is allowed)"


def _live_at_lock(observation: Observation, _: float | None) -> Iterator[str]:
    t = next(iter(observation.track(c.LOCKED).rises()), None)
    reading = observation.reading_at(t) if t is not None else None
    if reading is not None and reading.voltage > DISCHARGED:
        yield f"the output is live ({reading.voltage:g} V) in the frame that reports the lock (at {reading.t:.2f} s)"


def _opened_under_current(observation: Observation, _: float | None) -> Iterator[str]:
    for t in observation.track(c.CONTACTOR_OPEN).rises():
        reading = observation.reading_at(t)
        if reading is not None and reading.current > 5.0:
            yield f"the vehicle's contactor opened at {t:.2f} s while the charger read {reading.current:g} A: contactors must open below 5 A"


def _discharge(observation: Observation, _: float | None) -> Iterator[str]:
    taken = max(observation.track("SE_DischargeCapability.present_discharge_current").values, default=0.0)
    if taken > 0:
        yield f"the charger took up to {taken:g} A from the vehicle (0x208 byte 0): the energy counts charging only"
    if observation.track(c.V2X).last and 0x208 not in observation.traffic:
        yield "the charger announces discharging (0x109 byte 4.0) without sending 0x208: some vehicles fault on that"


def _no_test(observation: Observation, _: float | None) -> Iterator[str]:
    charging = observation.track(c.CHARGING)
    if charging.rises() and not output(observation, charging.rises()[0]).tests:
        yield "charging began, but no insulation test was seen in the charger's readings"


def _survived(observation: Observation, _: float | None) -> Iterator[str]:
    for sign in survived_signs(observation):
        if sign.kind not in {"stop_control", "request_zero"}:
            yield f"{sign.evidence} did not end the session"


def _first_silent(observation: Observation, ended_at: float | None) -> Iterator[str]:
    who = first_silent(observation)
    if who is not None and ended_at is not None:
        last = observation.last_of(c.VEHICLE_MESSAGES if who == "vehicle" else c.CHARGER_MESSAGES)
        yield f"the {who} stopped talking first, at {last:.2f} s"


def first_silent(observation: Observation) -> str | None:
    """Return who stopped talking first, None where both were heard to the end (to within 0.3 s, three cycles)."""
    vehicle, charger = observation.last_of(c.VEHICLE_MESSAGES), observation.last_of(c.CHARGER_MESSAGES)
    if vehicle is None or charger is None or abs(vehicle - charger) <= LOSS / 3:
        return None
    return "vehicle" if vehicle < charger else "charger"


def _malformed(observation: Observation, _: float | None) -> Iterator[str]:
    if observation.malformed:
        yield f"{observation.malformed} frames could not be decoded"
    short = [item for item in observation.traffic if item in c.CORE_IDS and item not in observation.names]
    for identifier in short:
        yield f"0x{identifier:X} is present but never decodes"


def pauses_of(traffic: Traffic) -> float:
    """Return the longest pause of an identifier. [s]"""
    return max((stop - start for start, stop in traffic.pauses), default=0.0)


RULES: tuple[Callable[[Observation, float | None], Iterator[str]], ...] = (
    _unlocked_live,
    _opened_under_current,
    _live_at_lock,
    _over_target,
    _gaps,
    _periods,
    _generations,
    _reference,
    _no_contactor_flag,
    _early_permission,
    _early_request,
    _over_available,
    _short_delivery,
    _paused,
    _idle_current,
    _uncounted,
    _threshold_late,
    _no_test,
    _remains_enabled,
    _discharge,
    _survived,
    _first_silent,
    _malformed,
)
