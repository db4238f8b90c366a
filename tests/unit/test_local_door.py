"""The local door of a simulator: who knocks gets the answer, an explanation, or the word that nobody is there."""

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any

import pytest

from evse_simulators import local_door
from evse_simulators.local_door import LocalDoor, address, knock

Make = Callable[..., LocalDoor]


def now(answer: tuple[bool, str]) -> "Future[tuple[bool, str]]":
    future: Future[tuple[bool, str]] = Future()
    future.set_result(answer)
    return future


@pytest.fixture
def node() -> str:
    return f"/evse_1/test_{os.getpid()}"


@pytest.fixture
def door(node: str) -> Iterator[Make]:
    made: list[LocalDoor] = []

    def make(act: Callable[[str, Mapping[str, Any]], Any]) -> LocalDoor:
        made.append(LocalDoor(node, act))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_nobody_is_there(node: str) -> None:
    assert knock(node, "plug_in", {}) is None


def test_the_answer_comes_back_each_time(node: str, door: Make) -> None:
    door(lambda service, request: now((service == "present_token", f"token {request['token']}")))
    assert [knock(node, "present_token", {"token": "AB"}) for _ in range(3)] == [(True, "token AB")] * 3


def test_what_is_not_understood_is_explained_and_the_door_stays_open(node: str, door: Make) -> None:
    def act(service: str, request: Mapping[str, Any]) -> Any:
        raise KeyError(service)

    door(act)
    assert knock(node, "dance", {}) == (False, "not understood: 'dance'")
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(address(node))
        stranger.sendall(b"garbage\n")
        assert b"not understood" in stranger.recv(1000)
    assert knock(node, "dance", {}) == (False, "not understood: 'dance'")


def test_an_executor_that_hangs_is_a_timeout(node: str, door: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_door, "ANSWER_TIME", 0.05)
    door(lambda service, request: Future())
    with pytest.raises(TimeoutError, match="does not answer"):
        knock(node, "plug_in", {})


def test_a_second_node_of_that_name_leaves_the_first_in_place(node: str, door: Make) -> None:
    door(lambda service, request: now((True, "first")))
    door(lambda service, request: now((True, "second")))
    assert knock(node, "plug_in", {}) == (True, "first")


def test_a_closed_door_is_nobody(node: str, door: Make) -> None:
    door(lambda service, request: now((True, ""))).close()
    assert knock(node, "plug_in", {}) is None


def test_each_ros_domain_has_its_own_doors(node: str, door: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "17")
    door(lambda service, request: now((True, "")))
    monkeypatch.setenv("ROS_DOMAIN_ID", "18")
    assert knock(node, "plug_in", {}) is None
