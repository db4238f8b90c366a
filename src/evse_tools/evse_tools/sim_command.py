"""`station sim`: play the driver against a running simulated station. One call, by the simulator's local door, else as a ROS service.

Imports no more than that needs, to answer in well under a second.
"""

import argparse
import math
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from evse_simulators.local_door import knock

# Discovery of a running station takes 0 to 3 s (local_door.py); beyond this there is none. [s]
DISCOVERY_TIME = 4.0
# Simulators answer from their executor, which is never busy for long. [s]
ANSWER_TIME = 3.0

# Actions without arguments: the service, in the EVSE's namespace, and what it does.
TRIGGERS = {
    "plug-in": ("vehicle_simulator/plug_in", "put the connector into the vehicle's inlet"),
    "unplug": ("vehicle_simulator/unplug", "take the connector out again"),
    "start": ("io_board_simulator/press_start", "press the start button of the station"),
    "stop": ("io_board_simulator/press_stop", "press the stop button of the station"),
    "vehicle-stop": ("vehicle_simulator/press_stop", "stop from inside the vehicle"),
}


@dataclass(frozen=True, slots=True)
class Call:
    """A service call: full name, type as package/Type, fields of the request."""

    service: str
    kind: str
    request: dict[str, Any] = field(default_factory=dict)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(
        prog="station sim", description="Play the driver against a running simulated station (ROS_DOMAIN_ID chooses it)."
    )
    actions = result.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (_, text) in TRIGGERS.items():
        _add(actions, name, text)
    _add(actions, "token", "hold a token to the reader").add_argument("id", help="UID, 8, 14 or 20 hexadecimal digits")
    fault = _add(actions, "fault", "make something break, or heal it")
    fault.add_argument("name", nargs="?", default="", help="name of the fault; without one, all are listed")
    fault.add_argument("--heal", action="store_true", help="heal it again")
    battery = _add(actions, "battery", "change the vehicle's battery")
    battery.add_argument("--soc", type=float, default=math.nan, metavar="PERCENT", help="state of charge [%%]")
    battery.add_argument("--capacity", type=float, default=math.nan, metavar="KWH", help="capacity [kWh]")
    battery.add_argument("--temperature", type=float, default=math.nan, metavar="CELSIUS", help="temperature [degC]")
    return result


def _add(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    action.add_argument("--evse", type=int, default=1, metavar="N", help="number of the EVSE (default: 1)")
    return action


def call_for(arguments: argparse.Namespace) -> Call:
    """Return the call that an action means; ValueError where its arguments make no sense."""
    space = f"/evse_{arguments.evse}"
    if arguments.action in TRIGGERS:
        return Call(f"{space}/{TRIGGERS[arguments.action][0]}", "std_srvs/Trigger")
    if arguments.action == "token":
        return Call(f"{space}/io_board_simulator/present_token", "evse_msgs/PresentToken", {"token": arguments.id})
    if arguments.action == "battery":
        request = {"soc_percent": arguments.soc, "capacity_kwh": arguments.capacity, "temperature": arguments.temperature}
        if all(math.isnan(value) for value in request.values()):
            raise ValueError("battery: give at least one of --soc, --capacity, --temperature")
        return Call(f"{space}/vehicle_simulator/set_battery", "evse_msgs/SetBattery", request)
    return Call(
        f"{space}/{_simulator(arguments.name)}/inject_fault",
        "evse_msgs/InjectFault",
        {"fault": arguments.name, "active": not arguments.heal},
    )


def _simulator(fault: str) -> str:
    from evse_simulators.faults import FAULTS  # noqa: PLC0415 only this action needs it

    if fault in FAULTS:
        return FAULTS[fault].node
    close = get_close_matches(fault, FAULTS, n=3)
    if fault and close:
        raise ValueError(f"unknown fault {fault!r}; did you mean {' or '.join(close)}?")
    width = max(map(len, FAULTS))
    known = "\n".join(f"  {name:{width}}  {row.text}" for name, row in FAULTS.items())
    raise ValueError(f"{f'unknown fault {fault!r}' if fault else 'which fault'}? These can be simulated:\n{known}")


def main(argv: Sequence[str]) -> int:
    """Run an action; 0 done, 1 no such station or the simulator refused, 2 wrong input."""
    try:
        arguments = parser().parse_args(list(argv))
        call = call_for(arguments)
    except SystemExit as end:
        return 0 if not end.code else 2
    except ValueError as error:
        print(f"station sim: {error}", file=sys.stderr)
        return 2
    try:
        success, message = at_the_door(call) or ask(call)
    except (LookupError, TimeoutError) as error:
        print(f"station sim: {error}", file=sys.stderr)
        return 1
    print(message or f"{arguments.action}: {'done' if success else 'refused'}", file=sys.stdout if success else sys.stderr)
    return 0 if success else 1


def at_the_door(call: Call) -> tuple[bool, str] | None:
    """Make the call without ROS where the simulator runs on this machine and this user may; None where not."""
    node, _, service = call.service.rpartition("/")
    return knock(node, service, call.request)


def ask(call: Call) -> tuple[bool, str]:
    """Make the call in a ROS context of its own; LookupError where nobody serves it, TimeoutError where nobody answers."""
    import rclpy  # noqa: PLC0415 0.2 s that wrong input need not wait for
    from rclpy.context import Context  # noqa: PLC0415
    from rclpy.executors import SingleThreadedExecutor  # noqa: PLC0415
    from rclpy.signals import SignalHandlerOptions  # noqa: PLC0415

    from evse_nodes.loopback import stay_on_loopback  # noqa: PLC0415

    stay_on_loopback()
    context = Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(
        f"station_sim_{os.getpid()}", context=context, enable_rosout=False, start_parameter_services=False, use_global_arguments=False
    )
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        return _ask(node, executor, call)
    finally:
        node.destroy_node()
        context.try_shutdown()


def _ask(node: Any, executor: Any, call: Call) -> tuple[bool, str]:
    kind = _type(call.kind)
    client = node.create_client(kind, call.service)
    _wait_for(node, client, call.service)
    future = client.call_async(kind.Request(**call.request))
    executor.spin_until_future_complete(future, ANSWER_TIME)
    if not future.done():
        raise TimeoutError(f"{call.service} does not answer; the simulator hangs or has just ended")
    answer = future.result()
    return bool(answer.success), str(answer.message)


def _wait_for(node: Any, client: Any, service: str) -> None:
    deadline = time.monotonic() + DISCOVERY_TIME
    while not client.service_is_ready():
        if time.monotonic() > deadline:
            raise LookupError(_nobody(node, service))
        time.sleep(0.005)


def _nobody(node: Any, service: str) -> str:
    """Say what runs instead."""
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    _, space, simulator, _ = service.split("/")
    # Names of clients are listed, too, those of this call among them.
    served = {name for name, _ in node.get_service_names_and_types() if node.count_services(name)}
    spaces = sorted({name.split("/")[1] for name in served if re.match(r"/evse_\d+/", name)})
    if not spaces:
        return f"no station is running in ROS domain {domain} (start one with ./station up, or set ROS_DOMAIN_ID to that of a running one)"
    if space not in spaces:
        return f"the station in ROS domain {domain} has no {space}; it has {', '.join(spaces)}"
    return f"{space} in ROS domain {domain} has no {simulator}: that part is not simulated, or it is just starting"


def _type(name: str) -> Any:
    if name == "std_srvs/Trigger":
        from std_srvs.srv import Trigger  # noqa: PLC0415

        return Trigger
    import evse_msgs.srv  # noqa: PLC0415

    return getattr(evse_msgs.srv, name.partition("/")[2])
