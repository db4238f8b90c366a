"""Which messages go into which recording: the time around a session, other EVSEs left out but for what the site's manager needs."""

from collections import defaultdict

from evse_tools.recorder_split import Everything, Message, Sessions, place

TOPICS = [
    "/evse_1/session_state",
    "/evse_1/power_report",
    "/evse_2/session_state",
    "/evse_2/power_report",
    "/decision_trace",
    "/evse_2/meter_reading",
    "/evse_1/sim/power",
]
STATE_1, POWER_1, STATE_2, POWER_2, TRACE, METER_2, SIM_1 = range(len(TOPICS))
SECOND = 1_000_000_000


def splitter(most_bytes: float = 1e9) -> Sessions:
    return Sessions(TOPICS, lambda data: data == b"busy", before=3.0, after=2.0, most_bytes=most_bytes)


def second(number: int, busy: int = 0) -> list[Message]:
    """Return what comes in one second: each topic once, EVSE `busy` with a session."""
    states = {STATE_1: 1, STATE_2: 2}
    return [(topic, number * SECOND + topic, b"busy" if states.get(topic, -1) == busy else b"%d" % number) for topic in range(len(TOPICS))]


def played(loop: Sessions, *busy: int) -> tuple[dict[int, list[Message]], list[set[int]]]:
    found: dict[int, list[Message]] = defaultdict(list)
    stays = []
    for number, evse in enumerate(busy):
        split = loop.take(second(number, evse))
        stays.append(split.stay)
        for key, part in split.parts.items():
            found[key] += part
    return found, stays


def seconds(messages: list[Message], topic: int) -> list[int]:
    return [stamp // SECOND for channel, stamp, _ in messages if channel == topic]


def test_a_session_has_the_time_before_and_after_it() -> None:
    found, stays = played(splitter(), 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0)
    assert set(found) == {1}
    assert seconds(found[1], STATE_1) == [2, 3, 4, 5, 6, 7, 8]
    assert [bool(stay) for stay in stays] == [False] * 5 + [True] * 3 + [False] * 3


def test_each_message_comes_once_and_in_order() -> None:
    found, _ = played(splitter(), 0, 0, 1, 1, 1, 0)
    assert len(found[1]) == len(set(found[1]))
    assert found[1] == sorted(found[1], key=lambda message: message[1])


def test_of_other_evses_only_what_the_manager_reads_and_writes_is_there() -> None:
    found, _ = played(splitter(), 0, 0, 1, 1)
    topics = {channel for channel, _, _ in found[1]}
    assert topics == {STATE_1, POWER_1, STATE_2, TRACE, METER_2, SIM_1}


def test_sessions_of_two_evses_are_two_recordings() -> None:
    found, stays = played(splitter(), 1, 2, 2, 0, 0, 0)
    assert set(found) == {1, 2}
    assert stays[1] == {1, 2}
    assert stays[-1] == set()
    assert POWER_1 not in {channel for channel, _, _ in found[2]}


def test_a_session_that_goes_on_within_the_time_after_it_is_the_same_recording() -> None:
    found, stays = played(splitter(), 1, 0, 1, 0, 0, 0, 0)
    assert seconds(found[1], STATE_1) == [0, 1, 2, 3, 4]
    assert [bool(stay) for stay in stays] == [True] * 4 + [False] * 3


def test_the_memory_of_what_was_before_is_bounded() -> None:
    found, _ = played(splitter(most_bytes=12), 0, 0, 0, 1)
    assert sum(len(data) for _, stamp, data in found[1] if stamp < 3 * SECOND) <= 12


def test_everything_is_one_recording() -> None:
    split = Everything().take(second(1))
    assert (split.parts, split.stay) == ({0: second(1)}, {0})
    assert Everything().take([]).stay == {0}


def test_places() -> None:
    assert place("/evse_12/sim/power").evse == 12
    assert place("/evse_12/sim/power").name == "sim/power"
    assert (place("/evse_x/a").evse, place("/rosout").name) == (0, "rosout")
