"""node_health of every node: that it lives, since when, with which description, and how it stands with its storage. run.py makes one for each node.

A node that writes offers `storage() -> Storage`; what it says is told once a second.
"""

import shutil
import time
from dataclasses import dataclass
from math import nan
from pathlib import Path

from rclpy.node import Node

from evse_core.types import NodeHealth
from evse_nodes import params, topics
from evse_nodes.executor import every

# msg/NodeHealth.msg: 1 Hz. [s]
PERIOD = 1.0
# When this process began to run Python, the same for all of its nodes. [s since the epoch]
STARTED = time.time()


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a node writes, None where nobody needs to know, and how many writes have failed since the last one that worked."""

    folder: Path | None
    failed_writes: int = 0

    def free_space(self) -> float:
        """Return the room left [B] for a process without privileges; NaN where the folder cannot be asked."""
        if self.folder is None:
            return nan
        try:
            return float(shutil.disk_usage(self.folder).free)
        except OSError:
            return nan


def description_digest(node: Node) -> str:
    """Return the digest of the description that a node was started with, "" where it was started without."""
    if node.has_parameter("description_digest"):
        return str(node.get_parameter("description_digest").value)
    digest: str = params.value(node, "description_digest", "", "SHA-256 of the station description that the node was started with")
    return digest


class NodeHealthWriter:
    """Publishes for one node, the first time as soon as it is made."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._description = description_digest(node)
        self._write = topics.writer(node, "node_health")
        self._tell()
        every(node, PERIOD, self._tell)

    def _tell(self) -> None:
        storage: Storage | None = getattr(self._node, "storage", lambda: None)()
        self._write(
            NodeHealth(
                node=self._node.get_fully_qualified_name(),
                started=STARTED,
                description=self._description,
                free_space=storage.free_space() if storage else nan,
                failed_writes=storage.failed_writes if storage else 0,
            )
        )
