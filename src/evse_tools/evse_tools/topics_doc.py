"""docs/topics.md: the graph's table of topics, drawn from evse_nodes/topics.py and the messages' own first lines."""

from pathlib import Path

from evse_nodes import qos
from evse_nodes.topics import EVSE_TOPICS, STATION_TOPICS, Topic

QOS_NAMES = {id(value): name for name, value in vars(qos).items() if name.isupper()}
HEAD = """# Topics

Generated from `evse_nodes/topics.py` and `msg/` by `./station docs`. Units, signs and rates stand in the message files.
"""


def topics_markdown(contract: Path) -> str:
    """Return the page; contract is the folder of the .msg files."""
    evse = _table(EVSE_TOPICS, contract)
    station = _table(STATION_TOPICS, contract)
    return f"{HEAD}\n## Of one EVSE, in `/evse_N`\n\n{evse}\n\n## Of the station, in `/`\n\n{station}\n"


def _table(rows: tuple[Topic, ...], contract: Path) -> str:
    lines = ["| topic | message | QoS | written by | read by | what it is |", "|---|---|---|---|---|---|"]
    return "\n".join(lines + [_row(row, contract) for row in rows])


def _row(row: Topic, contract: Path) -> str:
    name = row.type.__name__
    first = (contract / f"{name}.msg").read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
    readers = ", ".join(row.readers) or "recorder, dashboards"
    return f"| `{row.name}` | [{name}](../msg/{name}.msg) | {QOS_NAMES[id(row.qos)]} | {row.writer} | {readers} | {first} |"
