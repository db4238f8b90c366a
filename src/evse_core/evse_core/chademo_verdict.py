"""What ended a CHAdeMO session, who ended it, and why: the observation, matched with the table of known cases; the first that fits wins.

A case looks at the first sign of the end (chademo_signs.py) and at what had been reached by then. It says what the frames prove, apart from what is likely:
d1, d2, switch k, the lock and the insulation monitor are not on the bus. A sequence that fits no case is `unknown_sequence`: nobody guesses.
"""

from dataclasses import dataclass

from evse_core.chademo_cases import CASES, COMPLETE, FAILED, UNKNOWN, Case
from evse_core.chademo_context import Context
from evse_core.chademo_phrases import Text
from evse_core.chademo_session import Observation
from evse_core.chademo_signs import Sign, first_signs
from evse_core.chademo_steps import Step, steps, view_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement: outcome, who, cause, time and signs of the end, steps reached, and sentences apart for what is proven, likely and worth a check."""

    outcome: str
    ended_by: str
    cause: str
    t: float | None
    signs: tuple[Sign, ...]
    steps: tuple[Step, ...]
    proven: str
    likely: str
    check: str

    @property
    def explanation(self) -> str:
        """Return the judgement as some plain sentences for a field engineer."""
        return " ".join(part for part in (self.proven, self.likely, self.check) if part)


def judge(observation: Observation) -> Verdict:
    """Return the verdict on one observed session."""
    signs = first_signs(observation)
    context = _context(observation, signs, signs[0].t if signs else None)
    case = next(case for case in CASES if case.fits(context))
    if case.outcome != FAILED:  # an orderly or open end: steps 11 and 12 count
        context = _context(observation, signs, None)
    outcome, text = _finished(case, context)
    t = signs[0].t if signs else None
    return Verdict(outcome, case.ended_by, case.cause, t, signs, context.steps, text.proven, text.likely, text.check)


def _context(observation: Observation, signs: tuple[Sign, ...], broken_at: float | None) -> Context:
    return Context(observation, signs, view_of(observation, broken_at), steps(observation, broken_at))


def _finished(case: Case, context: Context) -> tuple[str, Text]:
    """Return outcome and words; an orderly end is complete only where the frames show that the current stopped."""
    text = case.text(context)
    if case.outcome != COMPLETE or context.reached(11) is not None:
        return case.outcome, text
    return UNKNOWN, Text(text.proven, text.likely, "The log ends before the shut-down does, so whether it was orderly cannot be told.")
