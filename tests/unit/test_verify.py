"""Every recording of the corpus against today's rules; and that verify does find what is changed, lost or left out."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

pytest.importorskip("rclpy")

from evse_core import types
from evse_core.trace import FAILED
from evse_tools import verify, verify_accepted
from evse_tools.bag_reader import BagReader, Item
from evse_tools.node_specs import DECIDING
from evse_tools.recorder_topics import DESCRIPTION
from evse_tools.verify_rules import MAKERS, loops
from evse_tools.verify_run import Result
from evse_tools.verify_source import HELD, NEWEST, Window, parameters, stamp_of
from evse_tools.verify_stream import TRACE, Makers, Stream, topics_of

CORPUS = Path(__file__).resolve().parents[1] / "bags"
BAGS = sorted(path for path in CORPUS.iterdir() if (path / "metadata.yaml").exists())
NODES = {"/energy_manager", "/evse_1/charge_sequencer", "/evse_1/energy_meter", "/evse_1/safety_monitor"}
# States that a good session of each link passes, faults that the others are about.
STORIES = {
    "chademo": {"LOCKING", "CABLE_CHECK", "CHARGING", "WELDING_DETECTION", "FINISHED"},
    "secc": {"CABLE_CHECK", "PRECHARGE", "CHARGING", "FINISHED"},
    "pilot": {"WAITING_FOR_VEHICLE", "CHARGING"},
    "emergency_stop": {"CHARGING", "EMERGENCY"},
    "insulation_low": {"CHARGING", "EMERGENCY"},
    "vehicle_silent": {"CHARGING"},
}
FAULTS = {"emergency_stop": {"emergency_stop"}, "insulation_low": {"insulation_fault"}, "vehicle_silent": {"vehicle_silent"}}
# Until a session begins, in the recordings of the corpus. [s]
STARTED = 7.0


@dataclass(frozen=True)
class Recorded:
    """A recording with its messages, which a test may change."""

    bag: BagReader
    makers: Makers
    items: Sequence[Item]

    @classmethod
    def read(cls, name: str) -> "Recorded":
        bag = BagReader(CORPUS / name)
        return cls(bag, loops(parameters(bag)), tuple(bag.items(topics_of(bag))))

    def traces(self, node: str) -> list[types.DecisionTrace]:
        return [item.value for item in self.items if item.type_name == TRACE and item.value.node == node]

    def stamps(self, topic: str) -> list[float]:
        return sorted(stamp_of(item, self.bag) for item in self.items if item.topic == topic)

    def without(self, topic: str, stamps: Collection[float]) -> "Recorded":
        """Return a recording that lacks some messages of a topic."""
        return replace(self, items=[item for item in self.items if item.topic != topic or stamp_of(item, self.bag) not in stamps])

    def with_traces(self, node: str, traces: Sequence[types.DecisionTrace]) -> "Recorded":
        """Return a recording in which a node has these traces in the places of those with the same numbers, and no others."""
        changed = {trace.number: trace for trace in traces}
        items = []
        for item in self.items:
            if item.type_name != TRACE or item.value.node != node:
                items.append(item)
            elif item.value.number in changed:
                made = replace(item)
                made.__dict__["value"] = changed[item.value.number]
                items.append(made)
        return replace(self, items=items)

    def verified(self, node: str) -> Result:
        stream = Stream(self.bag, {node: self.makers[node]})
        for item in self.items:
            stream.feed(item)
        (result,) = stream.finish()
        return result


@pytest.fixture(scope="module")
def chademo() -> Recorded:
    return Recorded.read("chademo")


def test_the_corpus_is_small_and_whole() -> None:
    assert {path.name for path in BAGS} == set(STORIES)
    sizes = {path.name: sum(file.stat().st_size for file in path.iterdir()) for path in BAGS}
    assert max(sizes.values()) <= 300_000
    assert sum(sizes.values()) <= 1_500_000


@pytest.mark.parametrize("path", BAGS, ids=lambda path: path.name)
def test_todays_rules_decide_as_recorded_but_for_what_was_reviewed(path: Path) -> None:
    found = verify.verify(path)
    first = [str(item) for result in found.results if result.node not in found.accepted for item in result.differences[:3]]
    assert not found.differs, "\n".join([*first, "CONTRIBUTING.md says what to do about a change of behaviour"])
    assert {result.node for result in found.results} == NODES
    for result in found.results:
        assert result.messages > 10, result
        # While a station starts, its recorder finds one node after the other.
        assert all("was not recorded" in gap.why and gap.end < STARTED for gap in result.gaps), result.gaps
        assert result.end - result.begin > 8.0


@pytest.mark.parametrize("path", BAGS, ids=lambda path: path.name)
def test_the_corpus_has_the_stories_that_its_names_say(path: Path) -> None:
    states, faults = set[str](), set[str]()
    for item in BagReader(path).items({"/evse_1/session_state", "/evse_1/fault_event"}):
        if isinstance(item.value, types.SessionState):
            states.add(item.value.state.name)
        else:
            faults.add(item.value.fault)
    assert states >= STORIES[path.name]
    assert faults >= FAULTS.get(path.name, set())
    assert bool(faults) is (path.name in FAULTS)


def test_another_parameter_is_found_at_the_first_place_where_it_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = next(item.value.data for item in BagReader(CORPUS / "chademo").items({DESCRIPTION}))
    changed = tmp_path / "station.yaml"
    changed.write_text(text.replace("max_current: 125", "max_current: 90"))
    assert "90" in changed.read_text()
    assert verify.run(CORPUS / "chademo", str(tmp_path / "found.json"), changed) == 1
    found = json.loads((tmp_path / "found.json").read_text())
    first = found["differences"][0]
    assert set(first) == {"t", "node", "what", "recorded", "now"}
    assert {item["what"] for item in found["differences"]} >= {"/evse_1/vehicle_command.available_current"}
    assert any((item["recorded"], item["now"]) == (125.0, 90.0) for item in found["differences"])
    assert found["inputs"]
    shown = capsys.readouterr().out
    assert "its inputs at the first" in shown
    assert "first differences of" in shown


def test_a_rule_that_is_changed_is_found(monkeypatch: pytest.MonkeyPatch, chademo: Recorded) -> None:
    from evse_core.charge_sequencer import ChargeSequencer  # noqa: PLC0415

    step = ChargeSequencer.step

    def late(self: ChargeSequencer, inputs: Any, now: float) -> Any:
        outputs = step(self, inputs, now)
        power = outputs.power
        return replace(outputs, power=replace(power, current=power.current * 1.01)) if power.current > 50.0 else outputs

    monkeypatch.setattr(ChargeSequencer, "step", late)
    result = chademo.verified("/evse_1/charge_sequencer")
    recorded = [item for item in BagReader(CORPUS / "chademo").items({"/evse_1/power_command"}) if item.value.current > 50.0]
    assert result.count == len(recorded)
    assert result.differences[0].what == "/evse_1/power_command.current"
    assert result.differences[0].t == pytest.approx(recorded[0].value.stamp - chademo.bag.begin, abs=1e-5)
    assert {topic for topic, _, _ in result.moment} >= {"/evse_1/vehicle_report", "/evse_1/safety_state"}


def test_a_rule_that_says_more_or_less_is_found(monkeypatch: pytest.MonkeyPatch, chademo: Recorded) -> None:
    from evse_core.safety_monitor_loop import SafetyLoop  # noqa: PLC0415

    on = SafetyLoop.on
    monkeypatch.setattr(SafetyLoop, "on", lambda self, *given: [item for item in on(self, *given) if item[0] != "fault_event"])
    events = sum(1 for _ in BagReader(CORPUS / "emergency_stop").items({"/evse_1/fault_event"}))
    result = Recorded.read("emergency_stop").verified("/evse_1/safety_monitor")
    assert events > 0
    assert result.count > 0
    assert {item.what for item in result.differences} == {"messages"}
    assert "fault_event" in str(result.differences[0].recorded)


def test_lost_traces_are_told_and_the_rest_is_compared(chademo: Recorded) -> None:
    node = "/evse_1/charge_sequencer"

    traces = chademo.traces(node)
    result = chademo.with_traces(node, traces[:30] + traces[32:]).verified(node)
    assert [gap.why for gap in result.gaps] == ["2 traces were lost"]
    assert result.gaps[0].end - result.gaps[0].begin < 6.0
    assert result.count == 0
    whole = chademo.verified(node)
    assert 0 < result.events < whole.events


def test_an_input_that_was_not_recorded_is_told(chademo: Recorded) -> None:
    topic = "/evse_1/io_report"
    stamps = chademo.stamps(topic)
    result = chademo.without(topic, {stamps[len(stamps) // 2]}).verified("/evse_1/charge_sequencer")
    assert [gap.why for gap in result.gaps] == [f"a message of {topic} that the node took was not recorded"]
    assert result.count == 0


def test_an_output_that_was_not_recorded_is_counted_and_no_difference(chademo: Recorded) -> None:
    topic = "/evse_1/power_command"
    result = chademo.without(topic, chademo.stamps(topic)[100:103]).verified("/evse_1/charge_sequencer")
    assert (result.unrecorded, result.count) == (3, 0)


def test_the_order_in_which_a_recorder_wrote_what_came_together_does_not_matter(chademo: Recorded) -> None:
    node = "/evse_1/charge_sequencer"
    late = sorted(chademo.items, key=lambda item: item.received + (0 if item.type_name == TRACE else 2_000_000_000))
    result = replace(chademo, items=late).verified(node)
    assert (result.count, result.gaps, result.unrecorded) == (0, [], 0)
    assert result.events == chademo.verified(node).events


def test_what_is_held_of_a_recording_does_not_grow_with_its_length(chademo: Recorded) -> None:
    first = next(item for item in chademo.items if item.topic == "/evse_1/power_report")
    window, sizes = Window(), []
    for number in range(6000):
        window.add(replace(first, received=number * 100_000_000), float(number))
        sizes.append(len(window))
    assert max(sizes) == HELD // 100_000_000 + 1
    assert not window.at(first.topic, 0.0)
    assert window.at(first.topic, 5999.0)


def test_of_a_rare_topic_the_newest_messages_stay(chademo: Recorded) -> None:
    first = next(item for item in chademo.items if item.topic == "/evse_1/power_report")
    window = Window()
    for number in range(2 * NEWEST):
        window.add(replace(first, received=number * HELD), float(number))
    assert [bool(window.at(first.topic, float(number))) for number in (0, NEWEST - 1, NEWEST, 2 * NEWEST - 1)] == [False, False, True, True]


def test_processors_share_the_nodes_by_their_work() -> None:
    nodes = [f"/evse_{number}/{name}" for number in (1, 2) for name in ("safety_monitor", "charge_sequencer", "energy_meter")]
    makers: Makers = dict.fromkeys([*nodes, "/energy_manager"], lambda: None)  # type: ignore[arg-type, return-value]
    found = [set(part) for part in verify.shares(makers, 2)]
    assert found[0] | found[1] == makers.keys()
    assert not found[0] & found[1]
    assert all(sum(name.endswith("safety_monitor") for name in part) == 1 for part in found)
    assert len(list(verify.shares(makers, 99))) == len(makers)


def test_what_a_failing_disk_decided_is_not_compared(chademo: Recorded) -> None:
    node = "/evse_1/energy_meter"

    traces = chademo.traces(node)
    at = traces[24]
    broken = replace(
        at,
        kinds=(at.names.index(FAILED), *at.kinds),
        times=(at.times[0], *at.times),
        stamps=(at.stamps[0], *at.stamps),
        refs=(at.refs[0], *at.refs),
        published=(0, *at.published),
        texts=("the disk is full", *at.texts),
    )
    result = chademo.with_traces(node, [*traces[:24], broken, *traces[25:]]).verified(node)
    assert [gap.why for gap in result.gaps] == ["the disk is full"]


def test_differences_that_were_accepted_are_none_until_they_are_others(tmp_path: Path, chademo: Recorded) -> None:
    def result(words: str) -> Result:
        return Result("/evse_1/charge_sequencer", count=1, digest=words)

    verify_accepted.write(tmp_path, [result("a")])
    assert verify_accepted.known(tmp_path, [result("a")]) == {"/evse_1/charge_sequencer"}
    assert verify_accepted.known(tmp_path, [result("b")]) == set()
    verify_accepted.write(tmp_path, [Result("/evse_1/charge_sequencer")])
    assert not (tmp_path / verify_accepted.NAME).exists()


@pytest.fixture
def untraced(tmp_path: Path) -> Path:
    from evse_nodes.topics import TOPICS  # noqa: PLC0415
    from evse_tools.recorder_bag import Bag  # noqa: PLC0415
    from evse_tools.recorder_channels import Channel  # noqa: PLC0415

    row = TOPICS["power_budget"]
    Bag(tmp_path / "old", [Channel("/evse_1/power_budget", row.message, row.qos)], MappingProxyType({})).close({})
    return tmp_path / "old"


def test_parameters_are_those_that_were_recorded_without_a_look_at_the_description(tmp_path: Path) -> None:
    from evse_tools import recorder_about  # noqa: PLC0415
    from evse_tools.recorder_bag import Bag  # noqa: PLC0415

    rules = {"/evse_1/charge_sequencer": {"max_current": 90.0}, "/energy_manager": {"evses": [1]}}
    (tmp_path / "station.yaml").write_text("none of this build")
    said = recorder_about.messages(recorder_about.texts(str(tmp_path / "station.yaml"), "a", (1,), json.dumps(rules)))
    bag = Bag(tmp_path / "bag", recorder_about.CHANNELS, MappingProxyType({}))
    for number, channel in enumerate(recorder_about.CHANNELS):
        bag.write(number, 1, said[channel.topic])
    bag.close({})
    assert parameters(BagReader(tmp_path / "bag")) == rules
    assert loops(rules).keys() == rules.keys()
    assert MAKERS.keys() == DECIDING


def test_a_recording_that_cannot_be_verified_is_wrong_input(untraced: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.run(untraced) == 2
    assert "has no evse_msgs/msg/DecisionTrace" in capsys.readouterr().err
    assert verify.run(untraced / "none") == 2
    assert verify.run(CORPUS / "chademo", "", None, accept=False) in {0, 1}
