"""What the charging sequence does differently by vehicle link: its transitions, and what it notes in each state."""

from collections.abc import Mapping
from dataclasses import dataclass

from evse_core import charge_sequencer_secc_table as secc
from evse_core import charge_sequencer_table as chademo
from evse_core.charge_sequencer_table import States, Transition, by_state
from evse_core.charge_sequencer_watch import CHADEMO, LED, Rules
from evse_core.types import ChargeState


@dataclass(frozen=True, slots=True)
class Link:
    """One vehicle link: rows in their order, rows by state, sets of states for the diagram, and the rules of charge_sequencer_watch."""

    transitions: tuple[Transition, ...]
    rows: Mapping[ChargeState, tuple[Transition, ...]]
    groups: Mapping[str, States]
    watch: Rules


LINKS = {
    "chademo": Link(chademo.TRANSITIONS, by_state(chademo.TRANSITIONS), chademo.GROUPS, CHADEMO),
    "secc": Link(secc.TRANSITIONS, by_state(secc.TRANSITIONS), secc.GROUPS, LED),
}
