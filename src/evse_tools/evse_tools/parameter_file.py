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


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Quote what ROS's parser would take for a number: to it "0008" is 8.0, though it is none in YAML 1.1."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if text[:1] in "0123456789+-." else None)


_NoAliases.add_representer(str, _text)


def write_parameters(specs: Sequence[NodeSpec], path: Path) -> Path:
    """Write the parameters of all nodes and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.dump(parameter_file(list(specs)), Dumper=_NoAliases, allow_unicode=True), encoding="utf-8")
    return path
