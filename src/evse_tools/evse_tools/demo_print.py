"""The end of a demo on the screen: receipts, time line, energies, fault, processes, where the files are."""

from collections.abc import Sequence
from math import isfinite

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evse_core.vehicle_link import PILOT
from evse_core.words import in_words
from evse_tools.demo_faults import Outcome
from evse_tools.demo_processes import Usage
from evse_tools.demo_report import RESOLUTION, STATES_OF, STEPS, Energies, Report, Session
from evse_tools.live_table import state_words

# The 12 steps of the session (issue 2; CHAdeMO sequence, ../shared/reference/can.md 2.3).
STEP_WORDS = (
    "start: charge sequence signal 1",
    "vehicle sends its battery parameters",
    "battery parameters complete",
    "compatibility checked",
    "station sends its limits",
    "vehicle sends its maximum charging time",
    "vehicle permits: flag and line k",
    "locked, insulation tested, ready signal",
    "vehicle closes its contactor",
    "current on request: charging",
    "zero request, output off",
    "contactors open, output down, unlocked",
)
# Width of what is printed where there is no terminal. [characters]
PIPE_WIDTH = 160
PARTIES = {"meter": "energy meter", "csms": "CSMS", "vehicle": "vehicle's battery", "receipt": "receipt"}


def console(stderr: bool) -> Console:
    """Return where people read; files and pipes get lines that are long enough for every table."""
    result = Console(stderr=stderr, highlight=False)
    if not result.is_terminal:
        result.width = PIPE_WIDTH
    return result


def show(report: Report, out: Console) -> None:
    """Print everything."""
    for session in report.sessions:
        if session.receipt_text:
            out.print(Text(session.receipt_text.rstrip()))
            out.print()
    stepped = [session for session in report.sessions if session.track.steps]
    led = [session for session in report.sessions if session.track.link in STATES_OF and session.track.session_id]
    if stepped:
        out.print(time_line(stepped))
    if led:
        out.print(state_line(led))
    for session in led:
        if session.track.link == PILOT:
            out.print(pilot_line(session))
    if stepped or led:
        out.print(energies(report.sessions))
    gave = [session for session in report.sessions if session.exported.meter]
    if gave:
        out.print(exports(gave))
    if report.outcome is not None:
        out.print(fault(report.outcome))
    if report.processes:
        out.print(processes(report.processes))
    _files(report, out)
    for problem in report.all_problems:
        out.print(Text(f"failed: {problem}", style="bold red"), soft_wrap=True)


def state_line(sessions: Sequence[Session]) -> Table:
    """Return when each session without the steps of CHAdeMO came into each state."""
    result = Table(title="when each state began, seconds since the session's start", title_justify="left")
    result.add_column("state")
    for session in sessions:
        result.add_column(f"EVSE {session.track.evse}", justify="right")
    entered = [dict(reversed(list(session.track.session_states()))) for session in sessions]
    order = dict.fromkeys(state for session in sessions for state, _ in session.track.session_states())
    for state in order:
        result.add_row(state.name, *(f"{found[state]:.2f}" if state in found else "-" for found in entered))
    return result


def pilot_line(session: Session) -> Table:
    """Return what the control pilot showed and offered in turn, and the most that was drawn from each phase meanwhile."""
    title = f"EVSE {session.track.evse}: control pilot, seconds since the session's start"
    result = Table(title=title, title_justify="left")
    for name in ("from", "state", "offered A", "L1 A", "L2 A", "L3 A"):
        result.add_column(name, justify="left" if name == "state" else "right")
    for span in session.track.pilot_spans():
        drawn = (f"{value:.1f}" if isfinite(value) else "-" for value in span.drawn)
        result.add_row(f"{session.track.relative(span.begin):.2f}", span.state.name, f"{span.offered:.1f}" if span.offered else "-", *drawn)
    return result


def time_line(sessions: Sequence[Session]) -> Table:
    """Return when each session reached each step."""
    result = Table(title="when each step began, seconds since the session's start", title_justify="left")
    result.add_column("step", justify="right")
    result.add_column("what happens")
    for session in sessions:
        result.add_column(f"EVSE {session.track.evse}", justify="right")
    reached = [dict(session.track.session_steps()) for session in sessions]
    for step in range(1, STEPS + 1):
        times = [f"{found[step]:.2f}" if step in found else "-" for found in reached]
        result.add_row(str(step), STEP_WORDS[step - 1], *times)
    ends = [f"{session.track.relative(session.track.end):.2f}" if session.track.is_over else "-" for session in sessions]
    result.add_row("", "session over", *ends)
    return result


def energies(sessions: Sequence[Session]) -> Table:
    """Return the energy of each session as the four parties know it."""
    result = Table(title="energy of the session, and deviation from the meter", title_justify="left")
    result.add_column("EVSE", justify="right")
    for words in PARTIES.values():
        result.add_column(words, justify="right")
    for session in sessions:
        result.add_row(str(session.track.evse), *(_energy(session.energies, name) for name in PARTIES))
    return result


def exports(sessions: Sequence[Session]) -> Table:
    """Return the energy that each vehicle gave, as three parties know it: OCPP 1.6 bills none."""
    result = Table(title="energy that the vehicle gave, and deviation from the meter", title_justify="left")
    result.add_column("EVSE", justify="right")
    names = [name for name in PARTIES if name != "csms"]
    for name in names:
        result.add_column(PARTIES[name], justify="right")
    for session in sessions:
        result.add_row(str(session.track.evse), *(_energy(session.exported, name) for name in names))
    return result


def fault(outcome: Outcome) -> Table:
    """Return what a fault led to."""
    result = Table(title=f"fault {outcome.fault}", title_justify="left", show_header=False)
    raised = "\n".join(f"{event.fault}: {event.reaction.name}, {event.detail}" for event in outcome.raised)
    rows = (
        ("raised by safety_monitor", raised or "nothing"),
        ("permit withdrawn", _after(outcome.permit_after)),
        ("power off", _after(outcome.power_off_after)),
        ("session ended by", in_words(outcome.stop_cause)),
        ("state after the session", state_words(outcome.end_state)),
        ("connector", f"stays in: {outcome.locked_in}" if outcome.locked_in else "unplugged"),
        ("as the fault table says", "no: " + "; ".join(outcome.problems) if outcome.problems else "yes"),
    )
    for row in rows:
        result.add_row(*row)
    return result


def processes(usages: Sequence[Usage]) -> Table:
    """Return memory and processor time of the processes."""
    result = Table(title="processes", title_justify="left")
    for name in ("process", "memory MB", "CPU s", "CPU %"):
        result.add_column(name, justify="left" if name == "process" else "right")
    for usage in usages:
        result.add_row(usage.name, f"{usage.memory_mb:.0f}", f"{usage.cpu_s:.1f}", f"{usage.cpu_percent:.1f}")
    total = (sum(usage.memory_mb for usage in usages), sum(usage.cpu_s for usage in usages), sum(usage.cpu_percent for usage in usages))
    result.add_row("all", f"{total[0]:.0f}", f"{total[1]:.1f}", f"{total[2]:.1f}", style="bold")
    return result


def _energy(energies: Energies, name: str) -> str:
    value = getattr(energies, name)
    if value is None:
        return "-"
    deviation = energies.deviation(name) if name in RESOLUTION else None
    return f"{value / 1e3:.4f} kWh" + (f" ({100 * deviation:+.3f} %)" if deviation is not None else "")


def _after(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms after the injection" if isfinite(seconds) else "no"


def _files(report: Report, out: Console) -> None:
    started = f"charging {report.charging_after:.1f} s after the command, " if report.charging_after is not None else ""
    out.print(Text(f"{started}{report.duration:.0f} s in all"))
    for words, path in (("chart", report.chart), ("recording", report.recording)):
        if path:
            out.print(Text(f"{words}: {path}"), soft_wrap=True)
    for session in report.sessions:
        if session.receipt:
            out.print(Text(f"receipt: {session.receipt}"), soft_wrap=True)
