"""The OCPP-J connection over a pair of queues: calls, answers, and every kind of frame that is neither."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_core.ocpp16_messages import Payload, Request
from evse_core.ocpp16_requests import Refused
from evse_nodes.ocpp_socket import CallRefused, CallSilent, ConnectionLost, OcppSocket, Unanswered

HEARTBEAT = Request("Heartbeat", {})
CLEAR = '[2,"c1","ClearCache",{}]'


class Wire:
    """The other end: put frames in, take frames out; None in ends the connection."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[Any] = asyncio.Queue()
        self.outgoing: asyncio.Queue[str] = asyncio.Queue()

    async def recv(self) -> Any:
        frame = await self.incoming.get()
        if frame is None:
            raise ConnectionLost("closed")
        return frame

    async def send(self, text: str) -> None:
        self.outgoing.put_nowait(text)

    async def said(self) -> Any:
        return json.loads(await asyncio.wait_for(self.outgoing.get(), 5.0))


async def accept(action: str, payload: Payload) -> tuple[Payload, Callable[[], None]]:
    return {"status": "Accepted"}, lambda: None


def on_the_wire(work: Callable[[Wire, OcppSocket], Coroutine[Any, Any, None]], answer: Any = accept) -> None:
    """Run a test with a socket that receives."""

    async def run() -> None:
        wire = Wire()
        socket = OcppSocket(wire, answer)
        loop = asyncio.create_task(socket.run())
        try:
            await work(wire, socket)
            assert not loop.done(), "the receive loop ended"
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)

    asyncio.run(run())


async def still_answers(wire: Wire, message_id: str = "last") -> None:
    wire.incoming.put_nowait(json.dumps([2, message_id, "ClearCache", {}]))
    while (frame := await wire.said())[1] != message_id:
        pass
    assert frame == [3, message_id, {"status": "Accepted"}]


def test_a_call_gets_its_answer_and_no_other() -> None:
    async def work(wire: Wire, socket: OcppSocket) -> None:
        task = asyncio.create_task(socket.call(HEARTBEAT, 5.0, "h1"))
        assert await wire.said() == [2, "h1", "Heartbeat", {}]
        for frame in ('[3,"other",{"a":1}]', '[4,"other","GenericError","",{}]', '[3,"h1",{"currentTime":"x"}]', '[3,"h1",{"late":1}]'):
            wire.incoming.put_nowait(frame)
        assert await task == {"currentTime": "x"}
        await still_answers(wire)

    on_the_wire(work)


@pytest.mark.parametrize(
    "frame", ['[4,"h1","InternalError","no",{}]', '[4,"h1","VendorWord","no",{}]', '[4,"h1",null,null]', '[3,"h1",[]]', '[3,"h1",7]']
)
def test_anything_but_an_object_in_a_result_is_a_refusal(frame: str) -> None:
    async def work(wire: Wire, socket: OcppSocket) -> None:
        task = asyncio.create_task(socket.call(HEARTBEAT, 5.0, "h1"))
        await wire.said()
        wire.incoming.put_nowait(frame)
        with pytest.raises(CallRefused):
            await task

    on_the_wire(work)


def test_a_call_without_answer_ends_in_time_and_its_late_answer_harms_nobody() -> None:
    async def work(wire: Wire, socket: OcppSocket) -> None:
        with pytest.raises(CallSilent):
            await socket.call(HEARTBEAT, 0.01, "h1")
        task = asyncio.create_task(socket.call(HEARTBEAT, 5.0, "h2"))
        for frame in ('[3,"h1",{"late":1}]', '[3,"h2",{}]'):
            wire.incoming.put_nowait(frame)
        assert await task == {}

    on_the_wire(work)


def test_a_lost_connection_ends_the_outstanding_call_at_once() -> None:
    async def run() -> None:
        wire = Wire()
        socket = OcppSocket(wire, accept)
        loop = asyncio.create_task(socket.run())
        task = asyncio.create_task(socket.call(HEARTBEAT, 60.0))
        await wire.said()
        began = time.monotonic()
        wire.incoming.put_nowait(None)
        with pytest.raises(ConnectionLost):
            await task
        assert time.monotonic() - began < 1.0
        with pytest.raises(ConnectionLost):
            await loop

    asyncio.run(run())


def test_a_slow_answer_to_the_csms_does_not_hold_up_the_own_call() -> None:
    free = asyncio.Event()

    async def slow(action: str, payload: Payload) -> tuple[Payload, Callable[[], None]]:
        await free.wait()
        return {"status": "Accepted"}, lambda: None

    async def work(wire: Wire, socket: OcppSocket) -> None:
        wire.incoming.put_nowait(CLEAR)
        task = asyncio.create_task(socket.call(HEARTBEAT, 5.0, "h1"))
        assert (await wire.said())[1] == "h1"
        wire.incoming.put_nowait('[3,"h1",{}]')
        assert await task == {}
        free.set()
        assert await wire.said() == [3, "c1", {"status": "Accepted"}]

    on_the_wire(work, slow)


def test_what_follows_is_done_after_the_answer() -> None:
    async def work(wire: Wire, socket: OcppSocket) -> None:
        wire.incoming.put_nowait(CLEAR)
        await wire.said()
        assert seen == [1]

    seen: list[int] = []
    wires: list[Wire] = []

    async def answer(action: str, payload: Payload) -> tuple[Payload, Callable[[], None]]:
        return {"status": "Accepted"}, lambda: seen.append(wires[0].outgoing.qsize())

    async def with_wire(wire: Wire, socket: OcppSocket) -> None:
        wires.append(wire)
        await work(wire, socket)

    on_the_wire(with_wire, answer)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('[2,"c1","Reset",{}]', "ProtocolError"),
        ('[2,"c1","Reset",{"type":"Warm"}]', "PropertyConstraintViolation"),
        ('[2,"c1","Reset",{"type":7}]', "TypeConstraintViolation"),
        ('[2,"c1","Reset",{"type":"Hard","x":1}]', "FormationViolation"),
        ('[2,"c1","RemoteStartTransaction",{"idTag":"123456789012345678901"}]', "TypeConstraintViolation"),
        ('[2,"c1",["x"],{}]', "FormationViolation"),
        ('[2,"c1","Reset",[]]', "FormationViolation"),
        ('[2,"c1","Reset",null]', "FormationViolation"),
        ('[2,"' + "x" * 40 + '","ClearCache",{}]', "FormationViolation"),
        (
            '[2,"c1","SetChargingProfile",{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"stackLevel":0,"chargingProfilePurpose":'
            '"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":'
            '[{"startPeriod":0,"limit":NaN}]}}}]',
            "FormationViolation",
        ),
    ],
)
def test_a_wrong_call_is_refused_with_the_words_of_the_protocol(frame: str, code: str) -> None:
    async def work(wire: Wire, socket: OcppSocket) -> None:
        wire.incoming.put_nowait(frame)
        answer = await wire.said()
        assert answer[0] == 4
        assert answer[2] == code
        assert len(answer[1]) <= 36
        assert len(answer[3]) <= 255
        await still_answers(wire)

    on_the_wire(work)


def test_rules_that_refuse_fail_or_stay_silent() -> None:
    async def answer(action: str, payload: Payload) -> tuple[Payload, Callable[[], None]]:
        if action == "ClearCache":
            return {"status": "Accepted"}, lambda: None
        raise {"Reset": Refused("NotSupported", "x" * 999), "UnlockConnector": KeyError("bug"), "ReserveNow": Unanswered("")}[action]

    async def work(wire: Wire, socket: OcppSocket) -> None:
        wire.incoming.put_nowait('[2,"c2","Reset",{"type":"Hard"}]')
        assert (await wire.said())[:3] == [4, "c2", "NotSupported"]
        wire.incoming.put_nowait('[2,"c3","UnlockConnector",{"connectorId":1}]')
        assert (await wire.said())[:3] == [4, "c3", "InternalError"]
        wire.incoming.put_nowait('[2,"c4","ReserveNow",{"connectorId":1,"expiryDate":"x","idTag":"A","reservationId":1}]')
        await still_answers(wire)
        assert wire.outgoing.empty()

    on_the_wire(work, answer)


def test_a_repeated_message_id_is_refused() -> None:
    async def work(wire: Wire, socket: OcppSocket) -> None:
        wire.incoming.put_nowait(CLEAR)
        wire.incoming.put_nowait(CLEAR)
        codes = sorted([str((await wire.said())[2]), str((await wire.said())[2])])
        assert codes == ["ProtocolError", "{'status': 'Accepted'}"]

    on_the_wire(work)


def test_a_flood_of_calls_is_refused_and_memory_stays_bounded() -> None:
    async def never(action: str, payload: Payload) -> tuple[Payload, Callable[[], None]]:
        await asyncio.Event().wait()
        raise AssertionError

    async def work(wire: Wire, socket: OcppSocket) -> None:
        for number in range(200):
            wire.incoming.put_nowait(json.dumps([2, f"c{number}", "ClearCache", {}]))
        refused = [await wire.said() for _ in range(170)]
        assert {frame[2] for frame in refused} == {"GenericError"}
        assert socket._calls.qsize() <= 20

    on_the_wire(work, never)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    _nested,
)
ACTIONS = st.sampled_from(
    ["Reset", "ClearCache", "SetChargingProfile", "ReserveNow", "ChangeConfiguration", "SendLocalList", "Dance", "__init__", "../x"]
)
FRAMES = (
    st.text()
    | st.binary()
    | JSON.map(json.dumps)
    | st.tuples(st.integers(0, 6) | JSON, JSON, JSON, JSON).map(json.dumps)
    | st.tuples(st.just(2), st.text(min_size=1, max_size=40), ACTIONS | JSON, JSON).map(json.dumps)
    | st.sampled_from(["[" * 100000, '{"a":' * 50000, "[2,3]", "[3]", "[4,5]", "[2]", "[]", "\ufeff[]", '[2,"a","b","c","d","e"]'])
)


@settings(max_examples=30, deadline=None)
@given(st.lists(FRAMES, max_size=10))
def test_no_frame_ends_the_loop(frames: list[str | bytes]) -> None:
    async def work(wire: Wire, socket: OcppSocket) -> None:
        for frame in frames:
            wire.incoming.put_nowait(frame)
        await still_answers(wire, "the-very-last-call")

    on_the_wire(work)
