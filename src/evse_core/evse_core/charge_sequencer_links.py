"""What the charging sequence does differently by vehicle link."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from evse_core import charge_sequencer_pilot_table as pilot
from evse_core import charge_sequencer_secc_table as secc
from evse_core import charge_sequencer_table as chademo
from evse_core import vehicle_link
from evse_core.charge_sequencer_chademo_outputs import CHADEMO as CHADEMO_OUTPUTS
from evse_core.charge_sequencer_current import control
from evse_core.charge_sequencer_outputs import LinkOutputs
from evse_core.charge_sequencer_pilot_current import control as pilot_control
from evse_core.charge_sequencer_pilot_outputs import PILOT as PILOT_OUTPUTS
from evse_core.charge_sequencer_pilot_view import PilotView
from evse_core.charge_sequencer_pilot_watch import PILOT as PILOT_WATCH
from evse_core.charge_sequencer_secc_outputs import SECC as SECC_OUTPUTS
from evse_core.charge_sequencer_secc_view import SeccView
from evse_core.charge_sequencer_secc_watch import SECC as SECC_WATCH
from evse_core.charge_sequencer_steps import next_step
from evse_core.charge_sequencer_table import States, Transition, by_state
from evse_core.charge_sequencer_view import View
from evse_core.charge_sequencer_watch import CHADEMO as CHADEMO_WATCH
from evse_core.charge_sequencer_watch import Rules
from evse_core.types import ChargeState


def _no_step(_: View) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Link:
    """One vehicle link: what it sees, its rows in order and by state, groups of states for the diagram, what it notes and puts out, its count of steps."""

    view: type[View]
    transitions: tuple[Transition, ...]
    rows: Mapping[ChargeState, tuple[Transition, ...]]
    groups: Mapping[str, States]
    watch: Rules
    outputs: LinkOutputs
    control: Callable[[View], None] = control
    next_step: Callable[[View], int] = _no_step


LINKS = {
    vehicle_link.CHADEMO: Link(
        View, chademo.TRANSITIONS, by_state(chademo.TRANSITIONS), chademo.GROUPS, CHADEMO_WATCH, CHADEMO_OUTPUTS, next_step=next_step
    ),
    vehicle_link.SECC: Link(SeccView, secc.TRANSITIONS, by_state(secc.TRANSITIONS), secc.GROUPS, SECC_WATCH, SECC_OUTPUTS),
    vehicle_link.PILOT: Link(
        PilotView, pilot.TRANSITIONS, by_state(pilot.TRANSITIONS), pilot.GROUPS, PILOT_WATCH, PILOT_OUTPUTS, pilot_control
    ),
}
