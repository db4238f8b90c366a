"""YAML with the line of every key, and with duplicate keys refused: a second `max_current` must not silently win."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

# Levels of a description; the schema has five.
DEEPEST = 20
# Values of a description, those that aliases repeat counted each time: a station of 99 EVSEs with every key has some 20,000. More are a mistake or a bomb.
MOST = 100_000
# Bytes of a description; the same station has 1 MB.
LARGEST = 4_000_000
# Bits of a whole number without its sign: ROS parameters are int64.
INTEGER_BITS = 63
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
        return printable(f"{place}: {self.key}: {self.text}" if self.key else f"{place}: {self.text}")


@dataclass(frozen=True, slots=True)
class YamlSource:
    """Data of a file with the line of each key, and the SHA-256 of the file in hexadecimal; "" for what is no file."""

    file: str
    data: Any
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    digest: str = ""

    def problem(self, path: KeyPath, text: str) -> Problem:
        """Return a problem at path; where that key does not exist, with the line of the nearest one above it."""
        line = next((self.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.lines), 0)
        return Problem(self.file, text, dotted(path), line)


def printable(text: str) -> str:
    """Return a text without what a terminal would obey or cannot show."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def dotted(path: KeyPath) -> str:
    """Return a path as people write it: evses[0].rating.max_current."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


class _Loader(yaml.SafeLoader):
    """Refuses levels beyond DEEPEST while it scans: PyYAML takes the square of their number, and then overflows the stack."""

    def fetch_flow_collection_start(self, token: Any) -> None:
        """Take a [ or {."""
        self._refuse(self.flow_level)
        super().fetch_flow_collection_start(token)

    def add_indent(self, column: int) -> bool:
        """Take a new level of indentation."""
        self._refuse(len(self.indents))
        return bool(super().add_indent(column))

    def _refuse(self, level: int) -> None:
        if level > 2 * DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"more than {DEEPEST} levels", problem_mark=self.get_mark())


def read(path: Path) -> tuple[YamlSource, list[Problem]]:
    """Read a file; the problems say what is wrong with it as YAML."""
    name = str(path)
    try:
        if path.stat().st_size > LARGEST:
            return YamlSource(name, None), [Problem(name, f"has more than {LARGEST} bytes")]
        content = path.read_bytes()
        node = yaml.compose(content.decode("utf-8"), _Loader)
    except OSError as error:
        return YamlSource(name, None), [Problem(name, f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError:
        return YamlSource(name, None), [Problem(name, "is not UTF-8 text")]
    except yaml.YAMLError as error:
        return YamlSource(name, None), [_syntax(name, error)]
    source, problems = build(name, node)
    return replace(source, digest=hashlib.sha256(content).hexdigest()), problems


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


def _can_be_passed_on(text: str) -> bool:
    """Return whether a text has neither NUL, which ends it for the operating system, nor half of a surrogate pair, which is no UTF-8."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


class _Walk:
    """Builds the data of a document and notes lines on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self._scalars = yaml.constructor.SafeConstructor()
        # Keys written in a mapping itself, by the node's identity: an aliased node is walked more than once, but merged only the first time.
        self._own: dict[int, set[int]] = {}
        self._count = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        self._count += 1
        if self._count > MOST:
            raise yaml.MarkedYAMLError(problem=f"more than {MOST} values, counting what aliases repeat", problem_mark=node.start_mark)
        if len(path) > DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"more than {DEEPEST} levels, or an alias inside itself", problem_mark=node.start_mark)
        if not isinstance(node, yaml.ScalarNode) and node.tag not in PLAIN:
            raise yaml.MarkedYAMLError(problem=f"the tag {node.tag} is not known", problem_mark=node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Any:
        """Return the value of a scalar; PyYAML raises many kinds for one that looks like a number or a date and is none."""
        try:
            value = self._scalars.construct_object(node, deep=True)
        except (ValueError, AttributeError, LookupError, TypeError, OverflowError) as error:
            kind = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(
                problem=f"a value that is no {kind} though it is written as one", problem_mark=node.start_mark
            ) from error
        if isinstance(value, int) and value.bit_length() > INTEGER_BITS:
            raise yaml.MarkedYAMLError(problem="a whole number that has more than 64 bits", problem_mark=node.start_mark)
        if isinstance(value, str) and not _can_be_passed_on(value):
            raise yaml.MarkedYAMLError(
                problem="a text with a character that no file, process or message can carry", problem_mark=node.start_mark
            )
        return value

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key that is a list or a mapping", problem_mark=node.start_mark)
        return str(self._scalar(node))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        # Keys that come with `<<: *anchor` may be overridden, keys that stand here may not.
        own = self._own.setdefault(id(node), {id(key_node) for key_node, _ in node.value})
        self._scalars.flatten_mapping(node)
        seen = set()
        for key_node, value_node in node.value:
            key = self._key(key_node)
            where, line = (*path, key), key_node.start_mark.line + 1
            if key in seen:
                self.problems.append(Problem(self.name, f"is given twice, first in line {self.lines[where]}", dotted(where), line))
            if id(key_node) in own:
                seen.add(key)
            self.lines[where] = line
            result[key] = self.value(value_node, where)
        return result
