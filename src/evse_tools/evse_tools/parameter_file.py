"""The ROS parameter file of a whole station."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from evse_tools.node_specs import NodeSpec, parameter_file


class _NoAliases(yaml.SafeDumper):
    """ROS's own YAML parser knows no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        """Write each value out."""
        return True


def write_parameters(specs: Sequence[NodeSpec], path: Path) -> Path:
    """Write the parameters of all nodes and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.dump(parameter_file(list(specs)), Dumper=_NoAliases, allow_unicode=True), encoding="utf-8")
    return path
