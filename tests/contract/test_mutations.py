"""The mutation check can be made: every guard that it breaks is still there, exactly once, and what replaces it is Python."""

import ast
from collections import Counter

import pytest

from evse_tools import mutation_bench
from evse_tools.mutation_bench import ALL, copied, core, judge, problem, root, spoil
from evse_tools.mutation_table import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", ALL, ids=lambda mutation: mutation.name)
def test_a_guard_that_is_to_be_broken_is_there_once(mutation: Mutation) -> None:
    assert problem(mutation, core()) == ""
    source = (core() / mutation.file).read_text(encoding="utf-8")
    ast.parse(source.replace(mutation.text, mutation.replacement))
    assert mutation.tests
    assert all((root() / "tests" / target).is_file() for target in mutation.tests)


def test_names_are_told_apart_and_the_important_guards_are_among_them() -> None:
    assert max(Counter(mutation.name for mutation in ALL).values()) == 1
    assert {mutation.file for mutation in ALL} >= {"permit_gate.py", "can_bridge.py", "safety_monitor.py", "energy_meter.py"}
    assert len(MUTATIONS) >= 14


def test_a_guard_is_broken_in_the_copy_only() -> None:
    mutation = MUTATIONS[0]
    with copied() as folder:
        spoil(mutation, folder)
        assert problem(mutation, folder / "evse_core")
    assert problem(mutation, core()) == ""


def test_a_mutant_that_nobody_notices_is_told_and_one_that_is_gone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutation_bench, "_code", lambda *_: 0)
    assert judge(MUTATIONS[0]).caught_by == ""
    assert mutation_bench.run([MUTATIONS[0].name], False) == 1
    gone = Mutation("gone", "permit_gate.py", "no such text", "", ("unit/test_permit_gate.py",))
    assert "0 times" in judge(gone).problem
    assert mutation_bench.run(["no such guard"], False) == 2


def test_a_mutant_that_cannot_be_imported_has_not_been_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter([2, 5])
    monkeypatch.setattr(mutation_bench, "_code", lambda *_: next(codes, 0))
    assert judge(MUTATIONS[0]).caught_by == ""
