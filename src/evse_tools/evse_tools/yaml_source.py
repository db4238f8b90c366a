"""YAML with the line of every key, and with duplicate keys refused: a second `max_current` must not silently win."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

# Levels of a description; the schema has five.
DEEPEST = 20
# Tags of mappings and lists; anything else would be a Python object or a set.
PLAIN = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
# Where a value stands: keys of mappings and indices of lists, from the top.
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    file: str
    text: str
    key: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.text}" if self.key else f"{place}: {self.text}"


@dataclass(frozen=True, slots=True)
class YamlSource:
    """Data of a file with the line of each key."""

    file: str
    data: Any
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def problem(self, path: KeyPath, text: str) -> Problem:
        """Return a problem at path; where that key does not exist, with the line of the nearest one above it."""
        line = next((self.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.lines), 0)
        return Problem(self.file, text, dotted(path), line)


def dotted(path: KeyPath) -> str:
    """Return a path as people write it: evses[0].rating.max_current."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def read(path: Path) -> tuple[YamlSource, list[Problem]]:
    """Read a file; the problems say what is wrong with it as YAML."""
    name = str(path)
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except OSError as error:
        return YamlSource(name, None), [Problem(name, f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError:
        return YamlSource(name, None), [Problem(name, "is not UTF-8 text")]
    except yaml.YAMLError as error:
        return YamlSource(name, None), [_syntax(name, error)]
    return build(name, node)


def build(name: str, node: yaml.Node | None) -> tuple[YamlSource, list[Problem]]:
    """Return the data of a composed document."""
    walk = _Walk(name)
    try:
        data = walk.value(node, ()) if node is not None else None
    except yaml.YAMLError as error:
        return YamlSource(name, None), [_syntax(name, error)]
    return YamlSource(name, data, walk.lines), walk.problems


def _syntax(name: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    text = " ".join(filter(None, (getattr(error, "context", None), getattr(error, "problem", None)))) or str(error)
    return Problem(name, f"is not YAML: {text}", line=mark.line + 1 if mark else 0)


class _Walk:
    """Builds the data of a document and notes lines on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self._scalars = yaml.constructor.SafeConstructor()
        # Keys written in a mapping itself, by the node's identity: an aliased node is walked more than once, but merged only the first time.
        self._own: dict[int, set[int]] = {}

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if len(path) > DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"more than {DEEPEST} levels, or an alias inside itself", problem_mark=node.start_mark)
        if not isinstance(node, yaml.ScalarNode) and node.tag not in PLAIN:
            raise yaml.MarkedYAMLError(problem=f"the tag {node.tag} is not known", problem_mark=node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalars.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        # Keys that come with `<<: *anchor` may be overridden, keys that stand here may not.
        own = self._own.setdefault(id(node), {id(key_node) for key_node, _ in node.value})
        self._scalars.flatten_mapping(node)
        seen = set()
        for key_node, value_node in node.value:
            key = str(self._scalars.construct_object(key_node))
            where, line = (*path, key), key_node.start_mark.line + 1
            if key in seen:
                self.problems.append(Problem(self.name, f"is given twice, first in line {self.lines[where]}", dotted(where), line))
            if id(key_node) in own:
                seen.add(key)
            self.lines[where] = line
            result[key] = self.value(value_node, where)
        return result
