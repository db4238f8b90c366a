"""docs/states.md says what the tables of the charging sequence say."""

from pathlib import Path

from evse_core.charge_sequencer_config import SequencerConfig
from evse_core.charge_sequencer_links import LINKS
from evse_core.charge_sequencer_states import states_markdown
from evse_core.parameter import parameters
from evse_core.types import ChargeState

PAGE = Path(__file__).resolve().parents[2] / "docs" / "states.md"


def test_the_page_of_states_is_what_the_tables_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == states_markdown()


def test_every_state_has_its_place_in_the_diagram_and_its_outputs() -> None:
    page = states_markdown()
    diagrams = "".join(page.split("```")[1:4])
    for state in ChargeState:
        if state is not ChargeState.UNKNOWN:
            assert state.name in diagrams
            assert page.count(f"\n| {state.name} | ") >= 1


def test_every_transition_is_a_row() -> None:
    rows = states_markdown().split("## Transitions")[1].split("## Outputs")[0]
    for row in (row for link in LINKS.values() for row in link.transitions):
        assert f"| {row.guard.text} | {row.target.name} |" in rows


def test_every_parameter_is_a_row_with_unit_and_source() -> None:
    table = states_markdown().split("## Parameters")[1]
    for item, info in parameters(SequencerConfig):
        assert f"| `{item.name}` | " in table
        assert info.source
        assert info.text
