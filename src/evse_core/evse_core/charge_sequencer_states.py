"""The states of the charging sequence as a document: diagram, transitions, outputs and times, all from the tables that the rule uses."""

from collections.abc import Callable, Iterable, Mapping

from evse_core.charge_sequencer_config import SequencerConfig
from evse_core.charge_sequencer_links import LINKS, Link
from evse_core.charge_sequencer_outputs import OUTPUTS
from evse_core.charge_sequencer_session import Ending
from evse_core.charge_sequencer_table import States, Transition
from evse_core.charge_sequencer_view import View
from evse_core.module_switching import switching_markdown
from evse_core.parameter import parameters
from evse_core.types import ChargeState, Lamp, PowerFunction, StopCause

_HEAD = """# States of the charging sequence

Generated from `evse_core/charge_sequencer_table.py`, `charge_sequencer_secc_table.py`, `charge_sequencer_outputs.py` and `charge_sequencer_config.py`;
tests/contract compares. The theory of operation is the docstring of `evse_core/charge_sequencer.py`. Which table holds, says `vehicle_link`: `chademo` where
the station is the charger on the vehicle's bus, `secc` where a charge controller leads.
"""
_DIAGRAM_NOTE = "Boxes are sets of states; an arrow from a box holds for each state in it. Guards and causes are in the table below."
_TABLE_NOTE = "The first row whose state and guard fit is taken, at most one per step (50 ms). `names` are parameters, see the last table."
_OUTPUT_NOTE = """The function is STANDBY until the contactor reports closed in CABLE_CHECK, and POWER_TRANSFER with 0 A for the ramp in RAMPING_DOWN.
Signal 1 stays for `sequence_gap` after signal 2 in CLOSING and EMERGENCY. Lowering needs an output that no battery feeds. The lock closes in LOCKING once the
connector is known to be dead, and opens in UNLOCKING; in every state a closed lock stays closed until the output is known to be at most `unlock_voltage`.
With a charge controller there are no signals 1 and 2 and no lock of the station: INSULATION_TEST, PRECHARGE and POWER_TRANSFER go out only while the controller
asks for them in that state, and lowering before the precharge on its word."""

_CABINET_NOTE = """Where several EVSEs share a cabinet of power modules, module_allocator takes each module through these states
(`evse_core/module_switching.py`). The first row whose state and guard fit is taken. A module gives current only in CONNECTED; a switch is asked to close
only in CLOSING and what follows it."""


def states_markdown() -> str:
    """Return docs/states.md."""
    parts = (
        _HEAD,
        "## Diagram",
        _DIAGRAM_NOTE,
        *(part for name, link in LINKS.items() for part in (f"### {name}", _diagram(link))),
        "## Transitions",
        _TABLE_NOTE,
        *(part for name, link in LINKS.items() for part in (f"### {name}", _transitions(link))),
        "## Outputs",
        _OUTPUT_NOTE,
        _outputs(),
    )
    cabinet = ("## A module of a cabinet", _CABINET_NOTE, switching_markdown())
    return "\n\n".join(part.strip() for part in (*parts, "## Parameters", _parameters(), *cabinet)) + "\n"


def _diagram(link: Link) -> str:
    boxes = (
        f"    state {name} {{\n" + "".join(f"        {state.name}\n" for state in sorted(states)) + "    }"
        for name, states in link.groups.items()
    )
    lines = (f"    {source} --> {target}" for source, target in _arrows(link))
    return "\n".join(("```mermaid", "stateDiagram-v2", "    [*] --> INITIALISING", *boxes, *lines, "```"))


def _arrows(link: Link) -> list[tuple[str, str]]:
    """Return each pair of source and target once, boxes for their states."""
    pairs = dict.fromkeys((source, row.target.name) for row in link.transitions for source in _names(row.sources, link.groups))
    boxed = {(state.name, target) for box, target in pairs if box in link.groups for state in link.groups[box]}
    return [pair for pair in pairs if pair not in boxed and pair[0] != pair[1]]


def _names(states: States, groups: Mapping[str, States]) -> list[str]:
    """Return the boxes that lie in a set of states, and the states that are left."""
    boxes = [name for name, group in groups.items() if group <= states]
    left = states.difference(*(groups[name] for name in boxes))
    return boxes + [state.name for state in sorted(left)]


def _transitions(link: Link) -> str:
    rows = ((", ".join(_names(row.sources, link.groups)), row.guard.text, row.target.name, _cause(row)) for row in link.transitions)
    return _table(("from", "when", "to", "stop cause, flag in 109.5"), rows)


def _cause(row: Transition) -> str:
    if not isinstance(row.ending, Ending):
        return _depends(row.ending)
    words = [row.ending.cause.name] if row.ending.cause is not StopCause.NONE else []
    words += [f"{flag.name} malfunction".lower() for flag in row.ending.malfunction if flag.name]
    return ", ".join(words + (["then FAULTED"] if row.ending.faulted else []))


def _depends(ending: Callable[[View], Ending]) -> str:
    return {"stopped_by": "who asked", "_by_origin": "by its origin"}.get(ending.__name__, "by the fault")


def _outputs() -> str:
    head = ("state", "function", "lowering", "contactor", "signal 1", "signal 2", "frames to the vehicle", "session announced", "lamp")
    rows = (_output_row(state) for state in OUTPUTS)
    return _table(head, rows)


def _output_row(state: ChargeState) -> tuple[str, ...]:
    row = OUTPUTS[state]
    marks = (row.lower, row.contactor, row.sequence_1, row.sequence_2, row.transmit, row.announce)
    return state.name, PowerFunction(row.function).name, *("x" if mark else "" for mark in marks), Lamp(row.lamp).name


def _parameters() -> str:
    config = SequencerConfig()
    rows = (
        (f"`{item.name}`", str(getattr(config, item.name)), info.unit or "1", info.text, info.source) for item, info in parameters(config)
    )
    return _table(("parameter", "default", "unit", "meaning", "source"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, tuple("---" for _ in head), *rows)
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
