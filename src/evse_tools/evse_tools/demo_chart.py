"""The chart of a demo: what was seen of its sessions, as series for chart.py."""

from collections.abc import Sequence
from math import isfinite, nan
from pathlib import Path

from evse_core.types import ChargeState
from evse_tools import chart
from evse_tools.demo_report import Session
from evse_tools.demo_track import Track


def draw(sessions: Sequence[Session], injected: Sequence[float], path: Path, title: str) -> None:
    """Write the chart of all sessions as PNG; injected: when each one's fault was injected [s of the ROS clock], NaN for none."""
    chart.draw([series(session, time) for session, time in zip(sessions, injected, strict=True)], path, title)


def series(session: Session, injected: float) -> chart.Series:
    """Return what is drawn of a session: from the plugging in on, times since the session's start."""
    track, curves = session.track, session.track.curves
    zero = track.begin if isfinite(track.begin) else min(curves.time, default=0.0)
    states = [(state.name, time - zero) for state, time in _from_plug_in(track)]
    first = states[0][1] if states else 0.0
    kept = [number for number, time in enumerate(curves.time) if time - zero >= first]
    time = [curves.time[number] - zero for number in kept]
    return chart.Series(
        title=_title(session),
        time=time,
        voltage=[curves.voltage[number] for number in kept],
        current=[curves.current[number] for number in kept],
        soc_percent=[curves.soc_percent[number] for number in kept],
        states=states,
        marks=_marks(track, injected, zero),
        ac=_ac(track, zero, first),
        end=max(time, default=0.0),
    )


def _ac(track: Track, zero: float, first: float) -> chart.AcSeries | None:
    """Return what is drawn of a control pilot; None without one."""
    kept = [sample for sample in track.pilot if sample.time - zero >= first]
    if not kept:
        return None
    pilot = [(span.state.name, max(span.begin - zero, first)) for span in track.pilot_spans()]
    drawn = [[sample.drawn[phase] for sample in kept] for phase in range(3)]
    return chart.AcSeries([sample.time - zero for sample in kept], [sample.offered or nan for sample in kept], drawn, pilot)


def _from_plug_in(track: Track) -> list[tuple[ChargeState, float]]:
    """Return the states from the plugging in on, all of them where nobody plugged in."""
    plugged = next((number for number, (state, _) in enumerate(track.states) if state is ChargeState.PREPARING), 0)
    return track.states[plugged:]


def _title(session: Session) -> str:
    energy = f"{session.energies.meter / 1e3:.3f} kWh" if session.energies.meter is not None else "no record"
    given = f", {session.exported.meter / 1e3:.3f} kWh given" if session.exported.meter else ""
    return f"EVSE {session.track.evse}: {energy}{given}, ended by {session.track.session.stop_cause.name.lower().replace('_', ' ')}"


def _marks(track: Track, injected: float, zero: float) -> list[tuple[str, float]]:
    marks = [("fault injected", injected - zero)] if isfinite(injected) else []
    return marks + [(f"{event.fault}: {event.reaction.name}", event.stamp - zero) for event in track.faults if event.active]
