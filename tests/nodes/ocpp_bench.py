"""A bench for ocpp_uplink: the node and the CSMS simulator as processes, and the rest of the station played by publishers in this one."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import evse_msgs.srv
import rclpy
import std_srvs.srv
from domains import own_domain
from fake_evse import FAST, FakeEvse, wait_for
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from evse_nodes import topics
from evse_simulators.csms_control import ask

UPLINK = "from evse_nodes.ocpp_uplink_node import main; raise SystemExit(main())"


class Processes:
    """Starts processes with a common environment and ends every one of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.domain = own_domain()
        self._environment = os.environ | {
            "ROS_DOMAIN_ID": str(self.domain),
        }
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *command: str) -> subprocess.Popen[str]:
        log = (self.directory / f"process_{len(self._started)}.log").open("w")
        process = subprocess.Popen([sys.executable, *command], env=self._environment, stdout=subprocess.PIPE, stderr=log, text=True)
        self._started.append(process)
        return process

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


class CsmsProcess:
    """The CSMS simulator."""

    def __init__(self, processes: Processes, *arguments: str, port: int = 0) -> None:
        self._file = processes.directory / "csms.json"
        self.process = processes.start(
            "-m", "evse_simulators.csms_simulator", "--port", str(port), "--control-port", "0", "--data-file", str(self._file), *arguments
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])
        self.control = int(self.process.stdout.readline().rsplit(" ", 1)[1])

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        return ask(self.control, command, **fields)

    def transactions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("list")["transactions"]
        return found

    def stopped(self) -> list[dict[str, Any]]:
        return [item for item in self.transactions() if item["stop"]]

    def arrivals(self) -> list[str]:
        return [text.split()[1] for text in self.ask("list")["arrivals"]]

    def connected(self) -> bool:
        return bool(self.ask("list")["connected"])

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0


class FakeStation:
    """EVSEs 1 to n, spinning in a thread."""

    def __init__(self, domain: int, evses: int = 1) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = Node("fake_station", context=self._context)
        self.evses = {number: self._evse(number) for number in range(1, evses + 1)}
        self.states: list[Any] = []
        topics.reader(self.node, "uplink_state", self.states.append)
        self.node.create_timer(0.1, self._tick)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _evse(self, number: int) -> FakeEvse:
        """Return an EVSE that publishes on its topics, hears the uplink's and serves the services of a sequence."""
        space, node = f"evse_{number}", self.node
        names = ("session_state", "safety_state", "meter_reading", "charge_record", "fault_event")
        writers = {name: topics.writer(node, name, space) for name in names}
        evse = FakeEvse(number, lambda name, value: writers[name](value))
        for name in ("authorization", "transaction", "charging_limit"):
            topics.reader(node, name, evse.heard[name].append, space)

        def serve(request: Any, response: Any) -> Any:
            evse.requests.append(request)
            response.success, response.message = evse.willing, "" if evse.willing else "not now"
            return response

        services = {"start_session": evse_msgs.srv.StartSession, "stop_session": evse_msgs.srv.StopSession}
        services |= {"set_availability": std_srvs.srv.SetBool, "unlock_connector": std_srvs.srv.Trigger}
        for name, service in services.items():
            node.create_service(service, f"/{space}/{name}", serve)
        return evse

    def __getitem__(self, number: int) -> FakeEvse:
        return self.evses[number]

    def _tick(self) -> None:
        for evse in self.evses.values():
            evse.tick()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def call(self, service: Any, name: str, request: Any, limit: float = 10.0) -> Any:
        """Call a service and return its answer."""
        client = self.node.create_client(service, name)
        assert client.wait_for_service(limit)
        future = client.call_async(request)
        wait_for(future.done, name, limit)
        return future.result()

    def end(self) -> None:
        rclpy.shutdown(context=self._context)
        self._thread.join(5.0)


class Bench:
    """All together."""

    def __init__(self, directory: Path, evses: int = 1) -> None:
        self.processes = Processes(directory)
        self.station = FakeStation(self.processes.domain, evses)
        self.directory = directory
        self._evses = list(range(1, evses + 1))

    def csms(self, *arguments: str, port: int = 0) -> CsmsProcess:
        return CsmsProcess(self.processes, *arguments, port=port)

    def uplink(self, url: str, **parameters: object) -> subprocess.Popen[str]:
        chosen = FAST | {"url": url, "data_dir": str(self.directory / "data"), "evses": self._evses} | parameters
        return self.processes.start(
            "-c", UPLINK, "--ros-args", *(word for name, value in chosen.items() for word in ("-p", f"{name}:={_yaml(value)}"))
        )

    def until_registered(self) -> None:
        wait_for(
            lambda: self.station.states and self.station.states[-1].registration == 1 and self.station.states[-1].connected, "registration"
        )

    def until_drained(self, limit: float = 20.0) -> None:
        self.station.states.clear()
        wait_for(lambda: self.station.states and self.station.states[-1].queued == 0, "an empty queue", limit)

    def end(self) -> None:
        self.processes.end()
        self.station.end()


def _yaml(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
