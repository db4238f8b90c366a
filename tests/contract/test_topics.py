"""The graph as one table: what must never drift from it."""

from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from evse_nodes import topics
from evse_tools.topics_doc import topics_markdown

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_topics_is_what_the_table_says() -> None:
    assert (ROOT / "docs/topics.md").read_text(encoding="utf-8") == topics_markdown(ROOT / "msg")


def test_every_message_of_the_contract_travels_on_a_topic_or_inside_a_message() -> None:
    inside = {"AcReport", "CanBusStatus", "CanFrame", "ControllerReport", "ControllerCommand", "PriceLine"}
    travelling = {row.type.__name__ for row in topics.TOPICS.values()}
    assert travelling | inside == {path.stem for path in (ROOT / "msg").glob("*.msg")}


@pytest.mark.parametrize("row", topics.TOPICS.values(), ids=lambda row: row.name)
def test_both_ends_of_a_topic_go_through_the_table(row: topics.Topic) -> None:
    """The writer's source names the topic, and so does each reader's."""
    for node in (row.writer.replace(topics.EVERY_NODE, "node_health").replace(topics.EVERY_RULE, "decision_trace"), *row.readers):
        package = "evse_simulators" if node.endswith("_simulator") else "evse_nodes"
        sources = list((ROOT / "src" / package / package).glob(f"{node}*.py")) + list((ROOT / "src" / package / package).glob("ocpp_*.py"))
        assert any(f'"{row.name}"' in path.read_text(encoding="utf-8") for path in sources), f"{node} does not name {row.name}"
