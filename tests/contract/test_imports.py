"""What each package may import, so that rules stay pure and a real station needs no simulator."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "src"

# Rules: no ROS, no clock, no thread, no I/O, no logging. cantools is there for the types of database objects, which come in already loaded; of cryptography
# only what computes is used: keys come in, signatures are deterministic.
# A solver (highspy, with numpy for its arrays) computes, too; its time limit is the one clock here, and tests and campaigns end it by its number of nodes.
PURE = {"__future__", "abc", "base64", "binascii", "bisect", "collections", "copy", "cantools", "cryptography", "dataclasses",
        "datetime", "decimal", "enum", "evse_core", "fractions",
        "functools", "hashlib", "heapq", "highspy", "itertools", "json", "math", "numpy", "operator", "random", "re", "statistics", "string", "struct",
        "textwrap",
        "types", "typing", "zoneinfo"}  # fmt: skip
FORBIDDEN_CALLS = {"open", "print", "input", "exec", "eval"}
CLOCK_CALLS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("date", "today"),
    ("random", "random"),
    ("random", "uniform"),
    ("random", "randint"),
}


def modules(package: str) -> list[Path]:
    return sorted((SOURCES / package / package).rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", modules("evse_core"), ids=lambda path: path.stem)
def test_rules_import_nothing_that_touches_the_world(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(ast.parse(path.read_text()))}
    assert roots <= PURE, f"{path.name} imports {sorted(roots - PURE)}"


@pytest.mark.parametrize("path", modules("evse_core"), ids=lambda path: path.stem)
def test_rules_read_no_clock_and_open_nothing(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = node.func
            assert not (isinstance(called, ast.Name) and called.id in FORBIDDEN_CALLS), (
                f"{path.name}:{node.lineno} calls {ast.unparse(called)}"
            )
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
                assert (called.value.id, called.attr) not in CLOCK_CALLS, f"{path.name}:{node.lineno} calls {ast.unparse(called)}"


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("evse_core", {"evse_nodes", "evse_simulators", "evse_tools"}),
        ("evse_nodes", {"evse_simulators", "evse_tools"}),
        ("evse_simulators", {"evse_tools"}),
    ],
)
def test_packages_depend_in_one_direction_only(package: str, forbidden: set[str]) -> None:
    for path in modules(package):
        roots = {name.split(".")[0] for name in imports(ast.parse(path.read_text()))}
        assert not roots & forbidden, f"{path.name} imports {sorted(roots & forbidden)}"


def test_messages_stop_at_the_border() -> None:
    """Only convert, topics and the nodes that serve services see evse_msgs; nobody but convert builds a message."""
    for path in modules("evse_nodes"):
        if path.stem in {"convert", "topics"}:
            continue
        assert "evse_msgs.msg" not in set(imports(ast.parse(path.read_text()))), f"{path.name} imports evse_msgs.msg"
