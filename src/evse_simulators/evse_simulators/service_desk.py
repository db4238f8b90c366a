"""Private services of a simulator under the name of a node, by ROS and by its local door, answered by the executor that steps the model."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from rclpy.node import Node

from evse_nodes.executor import Waker
from evse_simulators.faults import Answer
from evse_simulators.local_door import LocalDoor


class ServiceDesk:
    """Serves under `name`, the full name of a node; `after` steps the model, so that a change is on the lines before the answer is given."""

    def __init__(self, node: Node, name: str, after: Callable[[], None]) -> None:
        self._node, self._name, self._after = node, name, after
        self._acts: dict[str, tuple[type[Any], Callable[[Any], Answer]]] = {}
        self._asked: SimpleQueue[tuple[Future[tuple[bool, str]], str, Mapping[str, Any]]] = SimpleQueue()
        self._waker = Waker(node, self._answer_at_the_door)
        self._door = LocalDoor(name, self._ask_at_the_door)

    def serve(self, name: str, kind: type[Any], act: Callable[[Any], Answer]) -> None:
        """Offer a service: act on the request, step at once, answer."""

        def answer(request: Any, response: Any) -> Any:
            response.success, response.message = self._do(name, request)
            return response

        self._acts[name] = kind, act
        self._node.create_service(kind, f"{self._name}/{name}", answer)

    def close(self) -> None:
        """Close the door."""
        self._door.close()

    def _do(self, name: str, request: Any) -> tuple[bool, str]:
        result = self._acts[name][1](request)
        self._after()
        return result.success, result.message

    def _ask_at_the_door(self, name: str, fields: Mapping[str, Any]) -> "Future[tuple[bool, str]]":
        """Queue a request for the executor; called by the door's thread."""
        future: Future[tuple[bool, str]] = Future()
        self._asked.put((future, name, fields))
        self._waker.wake()
        return future

    def _answer_at_the_door(self) -> None:
        while not self._asked.empty():
            future, name, fields = self._asked.get()
            try:
                future.set_result(self._do(name, self._acts[name][0].Request(**fields)))
            except (KeyError, TypeError, ValueError, AssertionError, AttributeError) as error:
                future.set_exception(error)
