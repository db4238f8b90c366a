"""What charge_sequencer remembers: the driver's actions, and everything about one session. A new session starts from a fresh object."""

from dataclasses import dataclass, field
from enum import Flag, auto
from math import inf, isfinite
from math import nan as NAN

from evse_core.types import IoReport, RequestKind, SessionRequest, StopCause


class Malfunction(Flag):
    """Bits of 109.5 that tell the vehicle why the station stops (can.md 2.4)."""

    NONE = 0
    CHARGER = auto()
    SYSTEM = auto()
    INCOMPATIBLE = auto()


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a session ends, what the vehicle is told, and whether the EVSE is to be seen by somebody afterwards."""

    cause: StopCause = StopCause.NONE
    malfunction: Malfunction = Malfunction.NONE
    faulted: bool = False


@dataclass(frozen=True, slots=True)
class VehicleLimits:
    """What the vehicle said when it gave its permission: not stable before (can.md 2.7)."""

    max_voltage: float = NAN
    target_voltage: float = NAN
    max_current: float = NAN


class Held:
    """Measures how long a condition has held without a break."""

    def __init__(self) -> None:
        self.since: float | None = None

    def update(self, condition: bool, now: float) -> None:
        """Take the condition as it is now."""
        if not condition:
            self.since = None
        elif self.since is None:
            self.since = now

    def longer_than(self, limit: float, now: float) -> bool:
        """Return whether it has held for at least limit [s]."""
        return self.since is not None and now - self.since >= limit


@dataclass(slots=True)
class CurrentControl:
    """Announcement, set point and what they are measured against; rule: charge_sequencer_current.py. All in A but the times [s]."""

    announced: float = 0.0
    set_point: float = 0.0
    expected: float = 0.0
    limited: bool = False
    # 1: to the vehicle, -1: from it. The set point is never of the other sign; both turn at rest.
    direction: int = 1
    at_rest: Held = field(default_factory=Held)
    # What could be taken from the vehicle; it gave what it may give, see charge_sequencer_discharge.py.
    possible: float = 0.0
    exhausted: bool = False
    raised: float = -inf
    then: float = -inf
    zero_request: Held = field(default_factory=Held)
    derated: Held = field(default_factory=Held)
    # The coolant of the cable works.
    cooled: Held = field(default_factory=Held)
    excess: Held = field(default_factory=Held)


@dataclass(slots=True)
class AcOffer:
    """What an AC output offers by its control pilot; rule: charge_sequencer_pilot_current.py. `current` per phase [A], 0 for none; times [s].

    changed: the duty cycle changed; withdrawn: an offer was taken back while the vehicle may still draw; wanted: so many phases since `wanted_since`;
    phases_changed: the number of phases changed; woken: the pilot began to wake the vehicle, attempts: how often so far.
    """

    current: float = 0.0
    phases: int = 0
    changed: float = -inf
    withdrawn: float = inf
    wanted_phases: int = 0
    wanted_since: float = -inf
    phases_changed: float = -inf
    woken: float = -inf
    attempts: int = 0
    simplified: bool = False
    derated: Held = field(default_factory=Held)
    unusable: Held = field(default_factory=Held)


@dataclass(slots=True)
class Session:
    """One session, from sequence signal 1 to the unlocked connector."""

    id: str = ""
    token: str = ""
    parent_token: str = ""
    remote: bool = False
    started: float = -inf
    step: int = 0
    ending: Ending = field(default_factory=Ending)
    malfunction: Malfunction = Malfunction.NONE
    detail: str = ""
    faulted: bool = False
    # Steps 2 to 7; with a charge controller: it has left its idle phases, it has announced the session.
    heard: bool = False
    negotiated: bool = False
    announced: bool = False
    limits: VehicleLimits | None = None
    permitted: float = inf
    unfit: Held = field(default_factory=Held)
    # Step 8.
    voltage_before: Held = field(default_factory=Held)
    lock_commanded: float | None = None
    locked: bool = False
    recorded: bool = False
    contactor_seen: bool = False
    cuts: int | None = None
    at_test_voltage: Held = field(default_factory=Held)
    good_readings: int = 0
    last_reading: float = -inf
    ready: bool = False
    # Step 10.
    charged: bool = False
    control: CurrentControl = field(default_factory=CurrentControl)
    offer: AcOffer = field(default_factory=AcOffer)
    battery_missing: Held = field(default_factory=Held)
    deadline: float = inf
    remaining: float = NAN
    # Steps 11 and 12.
    stopped: bool = False
    opening: float | None = None
    ready_withdrawn: float | None = None
    unlocked: Held = field(default_factory=Held)
    unlock_failed: bool = False
    over: bool = False

    def end(self, ending: Ending, detail: str) -> None:
        """Keep the first cause; add what it means for the vehicle and for the end."""
        if self.ending.cause is StopCause.NONE and ending.cause is not StopCause.NONE:
            self.ending, self.detail = ending, detail
        self.malfunction |= ending.malfunction
        self.faulted = self.faulted or ending.faulted


@dataclass(frozen=True, slots=True)
class Actions:
    """What the driver and the back end did since the last step."""

    start: bool = False
    stop: bool = False
    token: str = ""
    requests: tuple[SessionRequest, ...] = ()

    def asked(self, kind: RequestKind) -> SessionRequest | None:
        """Return the first request of a kind."""
        for request in self.requests:
            if request.kind is kind:
                return request
        return None


# Sizes of the board's counters (msg/IoReport.msg): start button, stop button, tokens.
COUNTERS = (256, 256, 16)


@dataclass(slots=True)
class Driver:
    """Buttons, tokens and what came of them, outside a session.

    The board counts presses and tokens. The first report, the first after the board was silent, and a counter that jumped back only set the base: a restart
    of either side is no press of a button.
    """

    token: str = ""
    parent_token: str = ""
    remote: bool = False
    started: float = -inf
    refused: float = -inf
    # An AC vehicle has shown state B since it was plugged in; one that never does is a simplified one.
    waited: bool = False
    _base: tuple[int, int, int] | None = None

    def take(self, io: IoReport | None, requests: tuple[SessionRequest, ...]) -> Actions:
        """Return the actions in this step; None for a board that has been silent for long."""
        old, self._base = self._base, None if io is None else (io.start_count, io.stop_count, io.token_count)
        if io is None or old is None or self._base is None or self._base == old:
            return Actions(requests=requests)
        start, stop, token = (_advanced(*counter) for counter in zip(self._base, old, COUNTERS, strict=True))
        return Actions(start, stop, io.token if token else "", requests)

    def hold(self, token: str, remote: bool) -> None:
        """Keep a token that asks for a session."""
        self.token, self.parent_token, self.remote = token, "", remote

    def forget(self) -> None:
        """Drop token and start: the next session begins anew."""
        self.token = self.parent_token = ""
        self.remote, self.started = False, -inf


def _advanced(new: int, old: int, size: int) -> bool:
    """Return whether a counter went on by a number of presses that a person can make, rather than back."""
    return 0 < (new - old) % size <= size // 2


def same_token(left: str, right: str) -> bool:
    """Compare tokens without regard to case, as OCPP's identifiers are; an empty one equals nothing."""
    return bool(left) and left.casefold() == right.casefold()


def known(value: float, otherwise: float) -> float:
    """Return value where it is finite, else the other."""
    return value if isfinite(value) else otherwise
