"""One node in a process of its own, and a probe in this one that writes its inputs and collects its outputs, both on a domain of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
import yaml
from domains import own_domain
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from evse_nodes import topics
from evse_nodes.loopback import stay_on_loopback

# Longest wait [s] for a node to start and be found on a busy machine (../shared/ros/README.md: about 2 s on an idle one).
START_TIME = 30.0


class Probe:
    """Starts the node, publishes at fixed rates, keeps what comes with the monotonic time at which it came."""

    def __init__(self, tmp_path: Path) -> None:
        self.domain = own_domain()
        stay_on_loopback()
        self.context = Context()
        rclpy.init(context=self.context, domain_id=self.domain)
        self.node = Node("probe", context=self.context, namespace="/evse_1")
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.got: dict[str, list[tuple[float, Any]]] = {}
        self.processes: list[subprocess.Popen[bytes]] = []
        self._tmp_path = tmp_path
        self._writers: dict[tuple[str, str], Callable[[Any], None]] = {}

    def start(self, module: str, parameters: dict[str, Any], namespace: str = "/evse_1") -> subprocess.Popen[bytes]:
        """Start evse_nodes.<module>_node with parameters."""
        number = len(self.processes)
        path = self._tmp_path / f"{module}_{number}.yaml"
        path.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}) if parameters else "{}")
        arguments = ["--ros-args", "-r", f"__ns:={namespace}", *(("--params-file", str(path)) if parameters else ())]
        code = f"from evse_nodes.{module}_node import main; raise SystemExit(main())"
        log = (self._tmp_path / f"{module}_{number}.log").open("wb")
        environment = os.environ | {"ROS_DOMAIN_ID": str(self.domain)}
        self.processes.append(
            subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment, stdout=log, stderr=subprocess.STDOUT)
        )
        return self.processes[-1]

    def log(self, module: str, number: int = 0) -> str:
        """Return what a process printed."""
        return (self._tmp_path / f"{module}_{number}.log").read_text(errors="replace")

    def read(self, name: str, namespace: str = "") -> list[tuple[float, Any]]:
        """Collect a topic from now on; returns the growing list of (monotonic time, value)."""
        found = self.got.setdefault(namespace + name, [])
        topics.reader(self.node, name, lambda value: found.append((time.monotonic(), value)), namespace)
        return found

    def write(self, name: str, value: Any, namespace: str = "") -> None:
        """Publish one value."""
        if (namespace, name) not in self._writers:
            self._writers[namespace, name] = topics.writer(self.node, name, namespace)
        self._writers[namespace, name](value)

    def every(self, period: float, action: Callable[[], None]) -> None:
        """Do something every period [s]."""
        self.node.create_timer(period, action)

    def spin(self, seconds: float) -> None:
        """Work for a time [s]."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def until(self, condition: Callable[[], Any], limit: float = START_TIME, what: str = "") -> Any:
        """Work until a condition holds; return its value."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if found := condition():
                return found
            self.executor.spin_once(timeout_sec=0.05)
        raise AssertionError(
            f"{what or condition} did not come within {limit} s; logs: {[path.read_text() for path in self._tmp_path.glob('*.log')]}"
        )

    def call(self, name: str, kind: Any = Trigger, **request: Any) -> Any:
        """Call a service, a Trigger where no other kind is named, and return the answer."""
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready, what=f"service {name}")
        future = client.call_async(kind.Request(**request))
        self.until(future.done, what=f"answer of {name}")
        return future.result()

    def interrupt(self, process: subprocess.Popen[bytes], limit: float = 20.0) -> int:
        """Send SIGINT and return the exit code."""
        process.send_signal(signal.SIGINT)
        self.until(lambda: process.poll() is not None, limit, "the end of the process")
        return int(process.returncode)

    def close(self) -> None:
        """End everything that was started here."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()
