"""What the words of all ends of a CHAdeMO session share: their three parts, and how a time, a place in the session and a reading are said."""

from dataclasses import dataclass

from evse_core.chademo_context import Context
from evse_core.chademo_steps import NAMES


@dataclass(frozen=True, slots=True)
class Text:
    """The words of a case: what the frames prove, what is only likely, what to check next."""

    proven: str
    likely: str = ""
    check: str = ""


def at(t: float) -> str:
    """Say a time of the log [s]."""
    return f"{t:.2f} s"


def where(context: Context) -> str:
    """Say how far the session was."""
    if not context.steps:
        return "before any step"
    step = context.steps[-1]
    return f"in step {step.step} ({NAMES[step.step]})"


def output(context: Context) -> str:
    """Say what the charger measured last."""
    reading = context.observation.reading_at(context.t)
    return (
        f"the charger's last reading was {reading.voltage:g} V, {reading.current:g} A" if reading else "there is no reading of the charger"
    )


def fault(context: Context) -> str:
    """Name the charger's fault bit."""
    bits = {"charger_malfunction": "charger malfunction", "system_malfunction": "charging system malfunction"}
    return f"its {bits.get(context.signs[0].kind, 'stop')} bit ({context.sign})"


def flow(context: Context) -> str:
    """Say what was requested, and what flowed."""
    reading = context.observation.reading_at(context.t)
    return f"requesting {context.request:g} A, with {reading.current:g} A flowing" if reading else f"requesting {context.request:g} A"


def shutdown(context: Context) -> str:
    """Say that the end was seen to its last step, where it was."""
    last = context.reached(12)
    return " Contactor open, output down and connector unlocked followed." if last is not None and last.complete else ""
