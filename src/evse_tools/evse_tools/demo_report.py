"""What a demo has to say in the end: energies compared, what went wrong, and the JSON that others build on."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

from evse_core.types import ChargeState
from evse_core.vehicle_link import PILOT, SECC
from evse_tools.demo_faults import Outcome
from evse_tools.demo_processes import Usage
from evse_tools.demo_track import Track

# Largest deviation of the energies from the meter's (issue 2: "agree within 0.5 %"). [1]
AGREEMENT = 0.005
# What each source rounds to; a session of a few Wh may differ by this much on top. [Wh]
# The vehicle rounds nothing, but a divider at the output takes some 0.4 mA out of its battery where no module gives current.
RESOLUTION = {"csms": 1.0, "vehicle": 0.01, "receipt": 1.0}
# The sequence has so many steps (issue 2, "The session").
STEPS = 12
# States that a session passes; of several in a row, one.
States = tuple[tuple[ChargeState, ...], ...]
# Of every session with a charge controller, which precharges its vehicle or, with CHAdeMO, lets it connect itself.
LED_STATES: States = (
    (ChargeState.WAITING_FOR_VEHICLE,),
    (ChargeState.LOCKING,),
    (ChargeState.CABLE_CHECK,),
    (ChargeState.LOWERING_OUTPUT,),
    (ChargeState.PRECHARGE, ChargeState.WAITING_FOR_CONTACTOR),
    (ChargeState.CHARGING,),
    (ChargeState.RAMPING_DOWN,),
    (ChargeState.CLOSING,),
)


@dataclass(frozen=True)
class Energies:
    """The energy of one session as four parties know it [Wh]; None where a party does not say."""

    meter: float | None = None
    csms: float | None = None
    vehicle: float | None = None
    receipt: float | None = None

    def deviation(self, name: str) -> float | None:
        """Return how far a party is from the meter, relative; None where either does not say."""
        value = getattr(self, name)
        if value is None or not self.meter:
            return None
        return float(value / self.meter - 1.0)

    def problems(self, required: Iterable[str]) -> list[str]:
        """Return one line per party that disagrees with the meter or, where required, does not say."""
        missing = [f"no energy from the {name}" for name in required if getattr(self, name) is None]
        if self.meter is None:
            return missing
        allowed = {name: AGREEMENT * self.meter + resolution for name, resolution in RESOLUTION.items()}
        values = {name: getattr(self, name) for name in RESOLUTION}
        return missing + [
            f"energy of the {name} {value:.3f} Wh, of the meter {self.meter:.3f} Wh: more than {AGREEMENT:.1%} apart"
            for name, value in values.items()
            if value is not None and abs(value - self.meter) > allowed[name]
        ]


@dataclass(frozen=True)
class Session:
    """One session as the report tells it."""

    track: Track
    energies: Energies
    receipt: str
    receipt_text: str
    problems: tuple[str, ...]
    exported: Energies = Energies()
    # The final price in minor units, as record, topic, receipt and CSMS say it.
    prices: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the JSON's `sessions`; times in seconds from the session's start."""
        track, record = self.track, self.track.record
        return {
            "evse": track.evse,
            "link": track.link,
            "session_id": track.session_id,
            "transaction_id": track.transaction.transaction_id or None,
            "stop_reason": track.session.stop_cause.name.lower(),
            "stop_detail": track.session.stop_detail,
            "end_state": track.end_state.name.lower(),
            "duration_s": _rounded(track.relative(track.end)),
            "energy_wh": asdict(self.energies),
            "exported_wh": {name: value for name, value in asdict(self.exported).items() if name != "csms"},
            "deviation": {name: self.energies.deviation(name) for name in RESOLUTION},
            "cost": record.cost if record else None,
            "prices": dict(self.prices),
            "currency": record.currency if record else None,
            "soc_percent": _rounded(track.session.soc_percent),
            "states": [{"state": state.name.lower(), "t": _rounded(time)} for state, time in track.session_states()],
            "steps": [{"step": step, "t": _rounded(time)} for step, time in track.session_steps()],
            "faults": [event.fault for event in track.faults if event.active],
            "receipt": self.receipt or None,
            "problems": list(self.problems),
        }


@dataclass(frozen=True)
class Report:
    """A demo as a whole."""

    sessions: Sequence[Session]
    recording: str
    chart: str
    charging_after: float | None
    duration: float
    processes: Sequence[Usage]
    outcome: Outcome | None
    problems: Sequence[str]

    @property
    def all_problems(self) -> list[str]:
        """Return everything that makes the demo fail."""
        own = [f"EVSE {session.track.evse}: {problem}" for session in self.sessions for problem in session.problems]
        return [*self.problems, *own]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON. `receipt` is the first session's, each session has its own, too."""
        receipts = [session.receipt for session in self.sessions if session.receipt]
        return {
            "sessions": [session.as_dict() for session in self.sessions],
            "recording": self.recording or None,
            "chart": self.chart or None,
            "receipt": receipts[0] if receipts else None,
            "ok": not self.all_problems,
            "problems": self.all_problems,
            "charging_after_s": self.charging_after,
            "duration_s": _rounded(self.duration),
            "fault": _outcome(self.outcome),
            "processes": [asdict(usage) | {"cpu_percent": round(usage.cpu_percent, 1)} for usage in self.processes],
        }


# Of every session of an AC output.
AC_STATES: States = (
    (ChargeState.WAITING_FOR_VEHICLE,),
    (ChargeState.LOCKING,),
    (ChargeState.WAITING_FOR_REQUEST,),
    (ChargeState.CHARGING,),
    (ChargeState.RAMPING_DOWN,),
    (ChargeState.CLOSING,),
)
# By vehicle link, where states and not the 12 steps of CHAdeMO tell how far a session came.
STATES_OF = {SECC: LED_STATES, PILOT: AC_STATES}


def completeness(track: Track, shared: Collection[str] = ()) -> list[str]:
    """Return what is missing for a session that went as it should; `shared` are faults of a part that a fault at another EVSE has broken for all."""
    problems = [] if track.is_over else [f"the session did not end; it is in {track.session.state.name}"]
    steps = [step for step, _ in track.steps]
    missed = [
        " or ".join(state.name for state in states)
        for states in STATES_OF.get(track.link, ())
        if not any(isfinite(track.entered(state)) for state in states)
    ]
    if missed:
        problems.append(f"states not reached: {', '.join(missed)}")
    elif track.link not in STATES_OF and steps != list(range(1, STEPS + 1)):
        problems.append(f"steps reached: {', '.join(map(str, steps)) or 'none'}")
    if not isfinite(track.entered(ChargeState.CHARGING)):
        problems.append(f"never charged: {track.session.stop_cause.name} {track.session.stop_detail}".rstrip())
    if track.record is None:
        problems.append("no closed billing record")
    problems += [f"fault {event.fault}: {event.detail}" for event in track.faults if event.active and event.fault not in shared]
    return problems


def _outcome(outcome: Outcome | None) -> dict[str, Any] | None:
    if outcome is None:
        return None
    return {
        "fault": outcome.fault,
        "raised": [{"fault": event.fault, "reaction": event.reaction.name.lower(), "detail": event.detail} for event in outcome.raised],
        "reaction": outcome.reaction.name.lower(),
        "permit_withdrawn_after_s": _rounded(outcome.permit_after),
        "power_off_after_s": _rounded(outcome.power_off_after),
        "stop_cause": outcome.stop_cause.name.lower(),
        "end_state": outcome.end_state.name.lower(),
        "connector_locked_in": outcome.locked_in or None,
        "as_the_fault_table_says": not outcome.problems,
        "problems": list(outcome.problems),
    }


def _rounded(value: float) -> float | None:
    """Return a number to the millisecond or milliwatt-hour, None for NaN: JSON has none."""
    return round(value, 3) if isfinite(value) else None
