"""The service `authorize`: ask the CSMS, or what is known of it, about a token. The answer may take as long as the CSMS does.

Each request has a thread of its own until it is answered: the events executor of the uplink's node calls back and goes on, it cannot wait.
"""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

from evse_msgs.srv import Authorize
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node

from evse_core.types import Authorization, Verdict

# Requests that are answered at the same time; further ones wait.
AT_ONCE = 4

Ask = Callable[[str, Callable[[Authorization], None]], None]


class AuthorizeService:
    """Serves `authorize` beside a node, in its namespace. `ask(token, tell)` has `tell` called with the verdict, from any thread."""

    def __init__(self, beside: Node, ask: Ask) -> None:
        self._ask = ask
        self._open: set[Future[Authorization]] = set()
        self._lock = threading.Lock()
        # Without the process's remappings: they would give this node the name of the other.
        self._node = Node(
            f"{beside.get_name()}_authorize",
            namespace=beside.get_namespace(),
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._node.create_service(Authorize, "authorize", self._authorize, callback_group=ReentrantCallbackGroup())
        self._executor = MultiThreadedExecutor(num_threads=AT_ONCE)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="authorize", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End; who still waits is told that nothing is known of the token."""
        with self._lock:
            waiting = list(self._open)
        for future in waiting:
            future.cancel()
        self._executor.shutdown(timeout_sec=1.0)
        self._thread.join(timeout=1.0)
        self._node.destroy_node()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def _authorize(self, request: Any, response: Any) -> Any:
        future: Future[Authorization] = Future()
        with self._lock:
            self._open.add(future)
        self._ask(request.token, lambda verdict: _settle(future, verdict))
        try:
            verdict = future.result()
        except CancelledError:
            verdict = Authorization(verdict=Verdict.UNKNOWN, token=request.token)
        with self._lock:
            self._open.discard(future)
        response.verdict, response.parent_token = int(verdict.verdict), verdict.parent_token
        return response


def _settle(future: Future[Authorization], verdict: Authorization) -> None:
    if future.set_running_or_notify_cancel():
        future.set_result(verdict)
