"""`station bench can`: its traffic is what it says, its figures are of what was seen. The bench itself runs in tests/system."""

from dataclasses import asdict
from itertools import pairwise
from typing import Any

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("msgpack")

from can.interfaces.udp_multicast.utils import unpack_message
from can_bench import DATABASES

from evse_core.can_bridge import CanBridge, CanBridgeConfig
from evse_core.can_bridge_news import LEAPS
from evse_core.can_schedule import REPORT_SPACING
from evse_core.codecs.signals import UnknownId
from evse_core.types import BusLink
from evse_nodes.databases import load
from evse_tools import can_bench, can_traffic
from evse_tools.can_traffic import Group, Leap, leap_value

LINKS = (BusLink.VEHICLE, BusLink.POWER)
WATCHED = {BusLink.VEHICLE: ("vehicle_report", "current_request"), BusLink.POWER: ("power_report", "voltage")}


def bridge() -> CanBridge:
    return CanBridge(CanBridgeConfig(), {database: load(database) for database in ("chademo", "evse_v3", "io_board")})


@pytest.mark.parametrize("link", LINKS)
def test_known_frames_are_decoded_unknown_ones_are_not_and_all_are_full(link: BusLink) -> None:
    made, database = bridge(), DATABASES[link]
    for frame in can_traffic.known(link, leap_value(link, 1)):
        assert len(frame.data) == 8
        assert made.on_frame(link, frame, 1.0)
    for frame in can_traffic.unknown(link):
        assert len(frame.data) == 8
        with pytest.raises(UnknownId):
            database.decode(frame)
    bus = next(bus for bus in made.status().buses if bus.link == link)
    assert bus.received > 0
    assert bus.unknown_id + bus.malformed + bus.unknown_value == 0


@pytest.mark.parametrize("link", LINKS)
def test_no_frame_repeats_the_one_before_of_its_kind(link: BusLink) -> None:
    frames = can_traffic.known(link, leap_value(link, 1))
    for kind in {frame.id for frame in frames}:
        assert all(one.data != other.data for one, other in pairwise(frame for frame in frames if frame.id == kind))


@pytest.mark.parametrize("link", LINKS)
def test_only_a_leap_is_reported_at_once(link: BusLink) -> None:
    made, now = bridge(), 10.0
    topic, field = WATCHED[link]

    def told(value: float, now: float) -> list[float]:
        for frame in can_traffic.known(link, value):
            made.on_frame(link, frame, now)
        return [getattr(report.value, field) for report in made.reports(now) if report.topic == topic]

    # All of them, and the first ones again.
    for number in range(can_traffic.LEAPS + 2):
        now += can_traffic.LEAP
        value = leap_value(link, number)
        assert told(value, now) == [value]
        assert told(value, now + REPORT_SPACING) == [], "what drifts waits for the period"
    assert LEAPS[topic][field]


def test_a_bus_sends_known_and_unknown_in_turn_and_notes_its_leaps(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    class Socket:
        def __init__(self, *kind: object) -> None: ...
        def setsockopt(self, *option: object) -> None: ...
        def sendto(self, data: bytes, place: object) -> None:
            sent.append(unpack_message(data))

    monkeypatch.setattr(can_traffic.socket, "socket", Socket)
    bus = can_traffic.Bus(BusLink.VEHICLE, Group("ff11::1", 50001))
    for count in range(1000):
        bus.send(100.0 + count / can_traffic.RATE)
    assert (bus.sent, len(sent)) == (1000, 1000)
    assert [message.arbitration_id >= can_traffic.FIRST_UNKNOWN for message in sent] == [False, True] * 500
    # 0.25 s at a leap each 30 to 45 ms.
    assert 0.25 / (can_traffic.LEAP + can_traffic.RANDOM) <= len(bus.leaps) <= 0.25 / can_traffic.LEAP + 1
    shown = [message.data[3] for message in sent if message.arbitration_id == 0x102]
    assert list(dict.fromkeys(shown)) == [leap.value for leap in bus.leaps]


def test_a_latency_is_from_a_leap_to_the_first_report_that_shows_it() -> None:
    leaps = [Leap(1, 101.0, 1.0), Leap(2, 115.0, 1.01), Leap(1, 102.0, 1.04), Leap(1, 101.0, 3.0), Leap(1, 102.0, 4.0)]
    seen = [
        (1, 101.0, 0.9),  # of an earlier round of values
        (1, 101.0, 1.002),
        (2, 115.0, 1.013),
        (1, 101.0, 1.03),
        (1, 102.0, 1.045),
        (1, 101.0, 3.001),
    ]
    assert sorted(can_bench.latencies(leaps, seen)) == pytest.approx([0.001, 0.002, 0.003, 0.005])


def test_a_leap_that_was_never_shown_costs_no_other_one() -> None:
    assert can_traffic.LEAPS * can_traffic.LEAP > can_bench.TOO_LATE
    leaps = [Leap(1, 101.0, 1.0), Leap(1, 102.0, 1.04), Leap(1, 103.0, 1.08), Leap(1, 101.0, 4.0)]
    seen = [(1, 102.0, 1.041), (1, 103.0, 1.082), (1, 101.0, 4.003)]
    assert sorted(can_bench.latencies(leaps, seen)) == pytest.approx([0.001, 0.002, 0.003])


def part(**changes: Any) -> can_bench.Part:
    values: dict[str, Any] = {"sent": 100, "lost": 0, "missed": 0, "latencies": [0.002] * 99 + [0.004], "cores": [0.5], "per_frame": [3e-5]}
    return can_bench.Part(**values | {"recorded": 100} | changes)


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({}, set()),
        ({"lost": 1}, {"frames lost"}),
        ({"cores": [1.2]}, {"cores"}),
        ({"latencies": [0.006] * 100}, {"socket to topic, 99 %"}),
        ({"latencies": []}, {"socket to topic, 99 %"}),
        ({"per_frame": [5e-5]}, {"processor time per frame against the bare loop"}),
    ],
)
def test_each_aim_is_met_or_not_by_its_own_figure(changes: dict[str, Any], missed: set[str]) -> None:
    rows = can_bench.aims({"x": part(**changes)}, can_bench.Bare(100, 0, [2e-5]))
    assert {row["name"].removeprefix("x: ") for row in rows if not row["met"]} == missed
    assert len(rows) == 4


def test_what_was_lost_and_never_reported_is_told() -> None:
    told = can_bench.counts({"x": part(lost=3, missed=2)}, can_bench.Bare(100, 1, [2e-5]))
    assert told == {
        "x": {"sent": 100, "lost": 3, "leaps_without_report": 2, "in_can_frames": 100},
        "bare loop": {"sent": 100, "lost": 1},
    }
    assert asdict(part())["sent"] == 100


def test_the_figures_are_rows_of_every_bench() -> None:
    rows = can_bench.figures({"x": part(), "y": part(latencies=[])}, can_bench.Bare(100, 0, [2e-5]))
    assert all(set(row) == {"name", "n", "median", "p99", "max", "unit"} for row in rows)
    assert [row["name"] for row in rows if row["unit"] == "ms"] == ["x: socket to topic"]
