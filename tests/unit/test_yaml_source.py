"""YAML with lines, and without silent duplicates."""

from pathlib import Path

import pytest

from evse_tools.yaml_source import dotted, read


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "station.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_key_knows_its_line(tmp_path: Path) -> None:
    source, problems = read(written(tmp_path, "a: 1\nb:\n  - c: 2\n    d: {e: 3}\n"))
    assert problems == []
    assert source.data == {"a": 1, "b": [{"c": 2, "d": {"e": 3}}]}
    assert [source.lines[path] for path in (("a",), ("b",), ("b", 0, "c"), ("b", 0, "d", "e"))] == [1, 2, 3, 4]


def test_a_missing_key_is_reported_at_the_section_that_misses_it(tmp_path: Path) -> None:
    source, _ = read(written(tmp_path, "a: 1\nb:\n  c: 2\n"))
    problem = source.problem(("b", "d"), "is missing")
    assert (problem.line, problem.key) == (2, "b.d")


def test_a_duplicate_key_is_a_problem(tmp_path: Path) -> None:
    _, problems = read(written(tmp_path, "a:\n  max: 1\n  min: 0\n  max: 2\n"))
    assert [str(problem) for problem in problems] == [f"{tmp_path}/station.yaml:4: a.max: is given twice, first in line 2"]


def test_a_merged_mapping_may_be_overridden_and_used_again(tmp_path: Path) -> None:
    text = "base: &base {x: 1, y: 2}\na: &a\n  <<: *base\n  y: 3\nb: *a\nc: *a\n"
    source, problems = read(written(tmp_path, text))
    assert problems == []
    assert source.data["a"] == source.data["b"] == source.data["c"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1, 2\n", "is not YAML"),
        ("a: 1\n b: 2\n", "is not YAML"),
        ("a: &a [*a]\n", "an alias inside itself"),
        ("a: !!python/object:os.system {}\n", "is not YAML"),
        ("\x00", "is not YAML"),
    ],
)
def test_what_is_not_yaml_is_reported_and_does_not_raise(tmp_path: Path, text: str, said: str) -> None:
    _, problems = read(written(tmp_path, text))
    assert len(problems) == 1
    assert said in str(problems[0])


def test_what_cannot_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff\xfe\xfa\n")
    assert "is not UTF-8" in str(read(tmp_path / "latin.yaml")[1][0])
    assert "No such file" in str(read(tmp_path / "nothing.yaml")[1][0])
    assert "cannot be read" in str(read(tmp_path)[1][0])


def test_paths_are_written_as_people_do() -> None:
    assert dotted(("evses", 0, "rating", "max_current")) == "evses[0].rating.max_current"
