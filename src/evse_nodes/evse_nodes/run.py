"""Run nodes in one process until SIGINT or SIGTERM, and let them end in an orderly way.

Each node says once a second that it lives (node_health.py).
A node may have `begin_shutdown()`, called once on the first signal, `shutdown_done() -> bool`, asked until it is true or the grace period is over, and
`close()`, called last and also after an exception. The second signal ends at once.
"""

import gc
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from evse_nodes import priority
from evse_nodes.executor import Signals, events_executor
from evse_nodes.loopback import stay_on_loopback
from evse_nodes.node_health import NodeHealthWriter
from evse_nodes.watchdog import Watchdog

# Longest wait for an orderly end: 10 s to ramp down and open (../shared/reference/can.md 2.3 E4) plus closing and records. [s]
GRACE_PERIOD = 15.0
# How soon a signal is looked at. [s]
ROUND = 0.2


def run(
    *factories: Callable[[], Node],
    argv: Sequence[str] | None = None,
    make_executor: Callable[[Signals], Executor] = events_executor,
    urgent: bool = False,
) -> int:
    """Make the nodes, spin them, end them. Returns the exit code: 0, or 2 where a parameter is wrong.

    urgent: the nodes cut power, or play hardware (priority.py).
    """
    signals = Signals()
    stay_on_loopback()
    rclpy.init(args=list(argv if argv is not None else sys.argv), signal_handler_options=SignalHandlerOptions.NO)
    nodes: list[Node] = []
    executor = make_executor(signals)
    try:
        nodes.extend(factory() for factory in factories)
        for node in nodes:
            NodeHealthWriter(node)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    else:
        for node in nodes:
            # A logger's first line takes 80 ms (it looks through the sources of all modules): not in the middle of an emergency.
            node.get_logger().info("running")
        # What was made so far stays: the collector need not walk through it again and again, which takes some 50 ms each time.
        gc.collect()
        gc.freeze()
        nodes[0].get_logger().info(f"scheduled with {priority.ask(urgent)}")
        _spin(executor, nodes, signals)
        return 0
    finally:
        _close(nodes)


def _spin(executor: Executor, nodes: list[Node], signals: Signals) -> None:
    for node in nodes:
        executor.add_node(node)
    watchdog = Watchdog()
    try:
        while not signals.count:
            watchdog.alive()
            # Many events in one call: coming back to Python after each would cost a fifth of the processor time.
            executor.spin_until_future_complete(Future(), timeout_sec=ROUND)
        _drain(executor, nodes, signals)
    except (ExternalShutdownException, KeyboardInterrupt):
        return
    finally:
        executor.shutdown()


def _drain(executor: Executor, nodes: list[Node], signals: Signals) -> None:
    """Spin on until every node says that it is done, the grace period is over, or a second signal comes."""
    seen, deadline = signals.count, time.monotonic() + GRACE_PERIOD
    for node in nodes:
        _call(node, "begin_shutdown")
    while time.monotonic() < deadline and signals.count == seen:
        if all(getattr(node, "shutdown_done", lambda: True)() for node in nodes):
            return
        executor.spin_once(timeout_sec=0.05)


def _close(nodes: list[Node]) -> None:
    for node in nodes:
        _call(node, "close")
        node.destroy_node()
    rclpy.try_shutdown()


def _call(node: Node, method: str) -> Any:
    return getattr(node, method, lambda: None)()
