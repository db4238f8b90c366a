"""`./station fuzz`: what once broke stays mended, a few new cases hold, and each part of it finds what is broken on purpose."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

pytest.importorskip("rclpy")

from evse_core import can_schedule, energy_meter
from evse_core.types import PowerCommand
from evse_nodes.topics import TOPICS
from evse_tools import fuzz_command, fuzz_descriptions, fuzz_traffic, yaml_source
from evse_tools.campaign_command import shared_databases
from evse_tools.fuzz_command import case_of, outcome, run, shortened
from evse_tools.fuzz_messages import check_sendable, message_of, random_message, received, values_of

CORPUS = sorted((Path(__file__).resolve().parents[1] / "fuzz_corpus").glob("*.json"))


def kept(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(path for path in CORPUS if path.stem == name).read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_once_broke_stays_mended(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    assert case["broke"].strip()
    assert outcome(case) == ""


@pytest.mark.parametrize(
    ("kind", "number"), [("frames", 1), ("frames", 2), ("topics", 1), ("topics", 2), *(("descriptions", n) for n in range(1, 9))]
)
def test_some_random_cases_hold(kind: str, number: int) -> None:
    assert outcome(case_of(kind, 4711, number)) == ""


def test_a_case_is_made_from_seed_and_number_alone() -> None:
    for kind in fuzz_command.KINDS:
        assert case_of(kind, 1, 5) == case_of(kind, 1, 5)
        assert case_of(kind, 1, 5) != case_of(kind, 1, 6)


# Messages


@pytest.mark.parametrize("name", sorted(TOPICS))
def test_every_message_of_every_topic_can_be_random_and_is_received(name: str) -> None:
    row, random = TOPICS[name], Random(7)
    seen: dict[str, set[str]] = {}
    for _ in range(30):
        values = random_message(random, row.message)
        assert set(values) == set(row.message.get_fields_and_field_types())
        assert isinstance(received(name, values), row.type)
        for field, value in values.items():
            seen.setdefault(field, set()).add(repr(value))
    assert all(len(found) > 1 for found in seen.values())


def test_a_value_that_the_middleware_cannot_carry_is_found() -> None:
    check_sendable("power_command", PowerCommand(voltage=1.0))
    with pytest.raises(AssertionError):
        check_sendable("power_command", PowerCommand(voltage=1e300))


def test_a_changed_message_keeps_most_of_what_it_was() -> None:
    row = TOPICS["session_state"]
    base = values_of(message_of(row.message, {"session_id": "s", "power_wanted": 5.0}))
    changed = [random_message(Random(number), row.message, base) for number in range(50)]
    assert all(sum(repr(values[name]) != repr(base[name]) for name in base) <= 3 for values in changed)
    assert any(repr(values) != repr(base) for values in changed)


# Frames


def test_frames_of_all_links_are_spoiled_in_all_ways() -> None:
    steps = [step for number in range(40) for step in fuzz_traffic.make_frames(Random(number), shared_databases())["steps"]]
    assert {step["link"] for step in steps} == {"VEHICLE", "POWER", "IO"}
    assert {len(step.get("data", "")) // 2 for step in steps} >= set(range(9))
    assert {step.get("extended", False) for step in steps} == {False, True}
    assert len({step["when"] for step in steps}) > 10


# What is broken on purpose is found


def test_a_receiver_that_does_not_survive_a_short_frame_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def take(self: Any, frame: Any, now: float) -> bool:
        return self.receive(frame, now) is not None

    monkeypatch.setattr(can_schedule.LinkSchedule, "take", take)
    assert "rule_raises" in outcome(case_of("frames", 4711, 1))


def test_a_meter_that_believes_anything_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy_meter, "HIGHEST_VOLTAGE", 1e39)
    monkeypatch.setattr(energy_meter, "HIGHEST_CURRENT", 1e39)
    assert "rule_raises" in outcome(kept("topic_absurd_power_report"))


def test_a_description_that_ends_in_a_traceback_is_found_and_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_source._Walk, "_scalar", lambda self, node: self._scalars.construct_object(node))
    case = kept("description_date_that_is_none")
    assert "ValueError" in outcome(case)
    longer = case | {"file": case["file"] + "# a\n" * 20}
    assert len(shortened(longer, 40)["file"]) < len(longer["file"])


# The command


def test_the_command_tells_what_it_found_and_how_to_have_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_descriptions, "play", lambda case: "it fell over" if "station" in case["file"] else "")
    target = tmp_path / "found.json"
    assert run(0.0, 2, 3, "descriptions", 0, None, str(target)) == 1
    result = json.loads(target.read_text(encoding="utf-8"))
    assert result["cases"] == {"descriptions": 2}
    finding = result["findings"][0]
    assert finding["detail"] == "it fell over"
    assert finding["again"] == f"./station fuzz --what descriptions --seed 3 --only {finding['number']}"
    (tmp_path / "case.json").write_text(json.dumps(finding["case"]), encoding="utf-8")
    assert run(0.0, 0, 1, "all", 0, tmp_path / "case.json", "") == 1


def test_the_command_ends_well_where_nothing_breaks_and_refuses_wrong_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(0.0, 1, 1, "descriptions", 0, None, "") == 0
    assert run(0.5, 0, 1, "descriptions", 0, None, "") == 0
    assert run(0.0, 1, 1, "spoons", 0, None, "") == 2
    (tmp_path / "odd.json").write_text('{"what": "spoons"}', encoding="utf-8")
    assert run(0.0, 0, 1, "all", 0, tmp_path / "odd.json", "") == 2
    assert run(0.0, 0, 1, "all", 0, tmp_path / "none.json", "") == 2
    assert "spoons" in capsys.readouterr().err
