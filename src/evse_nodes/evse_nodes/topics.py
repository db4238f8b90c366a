"""The whole graph as one table, so that the two ends of a topic share one row.

`writer` and `reader` look the row up: a node names the topic and handles plain values of evse_core.types; type, quality of service and conversion follow.
docs/topics.md is generated from this table.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import evse_msgs.msg
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile

from evse_core import types
from evse_core.sample import Sample
from evse_nodes import qos
from evse_nodes.convert import from_message, to_message, to_time

ValueType = type[Any]


@dataclass(frozen=True)
class Topic:
    """One row: relative name, value type, quality of service, who writes and who reads it."""

    name: str
    type: ValueType
    qos: QoSProfile
    writer: str
    readers: tuple[str, ...]

    @property
    def message(self) -> ValueType:
        """The message class."""
        found: ValueType = getattr(evse_msgs.msg, self.type.__name__)
        return found


# Writer of a topic that every node has, through node_health.py.
EVERY_NODE = "every node"
# Every node publishes it in its own namespace: those of an EVSE are heard by their monitor, those of the station by all.
_NODE_HEALTH = Topic("node_health", types.NodeHealth, qos.NODE_HEALTH, EVERY_NODE, ("safety_monitor",))

# What the CSMS allows each EVSE, in its namespace, and all together, in the root namespace.
_CHARGING_LIMIT = Topic("charging_limit", types.ChargingLimit, qos.STATE, "ocpp_uplink", ("energy_manager", "session_reporter"))

# Writer of a topic that every node with a rule has, through decision_trace.py.
EVERY_RULE = "every node that decides"
# Each in its own namespace. Nobody in the graph reads it: it is recorded, and `./station verify` reads the recording.
_DECISION_TRACE = Topic("decision_trace", types.DecisionTrace, qos.EVENT, EVERY_RULE, ())

# Topics of one EVSE, in its namespace.
EVSE_TOPICS = (
    Topic(
        "vehicle_report",
        types.VehicleReport,
        qos.REPORT,
        "can_bridge",
        ("charge_sequencer", "safety_monitor", "module_allocator", "session_reporter"),
    ),
    Topic(
        "power_report",
        types.PowerReport,
        qos.REPORT,
        "can_bridge",
        ("charge_sequencer", "safety_monitor", "energy_meter", "module_allocator", "session_reporter"),
    ),
    Topic("io_report", types.IoReport, qos.REPORT, "can_bridge", ("charge_sequencer", "safety_monitor", "session_reporter")),
    Topic("can_status", types.CanStatus, qos.REPORT, "can_bridge", ("charge_sequencer", "safety_monitor")),
    Topic("can_frames", types.CanFrames, qos.BULK, "can_bridge", ()),
    Topic("power_command", types.PowerCommand, qos.COMMAND, "charge_sequencer", ("can_bridge", "safety_monitor", "session_reporter")),
    Topic("vehicle_command", types.VehicleCommand, qos.COMMAND, "charge_sequencer", ("can_bridge",)),
    Topic("io_command", types.IoCommand, qos.COMMAND, "charge_sequencer", ("can_bridge", "safety_monitor")),
    Topic(
        "session_state",
        types.SessionState,
        qos.EVENT,
        "charge_sequencer",
        ("safety_monitor", "energy_meter", "ocpp_uplink", "energy_manager", "module_allocator", "session_reporter"),
    ),
    Topic("session_request", types.SessionRequest, qos.EVENT, "charge_sequencer", ()),
    Topic(
        "safety_state",
        types.SafetyState,
        qos.HEARTBEAT,
        "safety_monitor",
        ("can_bridge", "charge_sequencer", "ocpp_uplink", "session_reporter"),
    ),
    Topic("fault_event", types.FaultEvent, qos.HISTORY, "safety_monitor", ("ocpp_uplink", "session_reporter")),
    Topic("meter_reading", types.MeterReading, qos.REPORT, "energy_meter", ("safety_monitor", "ocpp_uplink", "energy_manager")),
    Topic("meter_report", types.MeterReport, qos.REPORT, "can_bridge", ("energy_meter",)),
    Topic("charge_record", types.ChargeRecord, qos.HISTORY, "energy_meter", ("charge_sequencer", "ocpp_uplink", "session_reporter")),
    Topic("session_price", types.SessionPrice, qos.STATE, "energy_meter", ()),
    Topic("authorization", types.Authorization, qos.EVENT, "ocpp_uplink", ("charge_sequencer", "session_reporter")),
    Topic("driver_rules", types.DriverRules, qos.STATE, "ocpp_uplink", ("charge_sequencer",)),
    Topic("transaction", types.Transaction, qos.STATE, "ocpp_uplink", ("energy_meter", "session_reporter")),
    _CHARGING_LIMIT,
    Topic(
        "power_budget",
        types.PowerBudget,
        qos.REPORT,
        "energy_manager",
        ("charge_sequencer", "safety_monitor", "module_allocator", "session_reporter"),
    ),
    Topic("cabinet_report", types.CabinetReport, qos.REPORT, "module_allocator", ("safety_monitor",)),
    Topic("session_report", types.SessionReport, qos.HISTORY, "session_reporter", ()),
    _NODE_HEALTH,
    _DECISION_TRACE,
    Topic(
        "sim/station_lines",
        types.SimStationLines,
        qos.REPORT,
        "io_board_simulator",
        ("vehicle_simulator", "power_module_simulator", "power_cabinet_simulator", "meter_simulator"),
    ),
    Topic(
        "sim/vehicle_lines",
        types.SimVehicleLines,
        qos.REPORT,
        "vehicle_simulator",
        ("io_board_simulator", "power_module_simulator", "power_cabinet_simulator", "meter_simulator"),
    ),
    Topic(
        "sim/power", types.SimPower, qos.REPORT, "power_module_simulator", ("vehicle_simulator", "io_board_simulator", "meter_simulator")
    ),
)
# Topics of the station, in the root namespace.
STATION_TOPICS = (
    Topic("uplink_state", types.UplinkState, qos.STATE, "ocpp_uplink", ("session_reporter",)),
    _CHARGING_LIMIT,
    _NODE_HEALTH,
    _DECISION_TRACE,
)
# Namespace of the nodes of the station, seen from an EVSE.
STATION = "/"

TOPICS = {row.name: row for row in EVSE_TOPICS + STATION_TOPICS}


def resolve(name: str, namespace: str = "") -> str:
    """Return the name as given to ROS: relative, or absolute below namespace where a node looks into another EVSE or (STATION) the station."""
    if namespace == STATION:
        return f"/{name}"
    return f"/{namespace}/{name}" if namespace else name


def writer(node: Node, name: str, namespace: str = "") -> Callable[..., None]:
    """Return a function that publishes a value of the row's type; where its stamp is 0, with the stamp [s] given besides, or the node's clock."""
    row = TOPICS[name]
    events = PublisherEventCallbacks(use_default_callbacks=False)
    publisher = node.create_publisher(row.message, resolve(name, namespace), row.qos, event_callbacks=events)
    clock = node.get_clock()
    stamped = hasattr(row.message, "stamp")

    def write(value: Any, stamp: float = 0.0) -> None:
        message = to_message(value, row.message)
        if stamped and not value.stamp:
            message.stamp = to_time(stamp) if stamp else clock.now().to_msg()
        publisher.publish(message)

    return write


def raw_writer(node: Node, name: str) -> Callable[[bytes], None]:
    """Return a function that publishes a message of the row's type that is serialized already."""
    row = TOPICS[name]
    events = PublisherEventCallbacks(use_default_callbacks=False)
    publish: Callable[[bytes], None] = node.create_publisher(row.message, resolve(name), row.qos, event_callbacks=events).publish
    return publish


def reader(
    node: Node, name: str, callback: Callable[[Any], None], namespace: str = "", on_deadline: Callable[[], None] | None = None
) -> None:
    """Call callback with each value that arrives; on_deadline when the row's deadline has passed without one."""
    row = TOPICS[name]
    # Without the default handlers, which only log: each would be one more thing to wait for in every cycle.
    events = SubscriptionEventCallbacks(deadline=(lambda _: on_deadline()) if on_deadline else None, use_default_callbacks=False)
    node.create_subscription(
        row.message, resolve(name, namespace), lambda message: callback(from_message(message, row.type)), row.qos, event_callbacks=events
    )


class Latest:
    """The newest value of a topic with the monotonic time at which it came; `sample` is None before the first."""

    def __init__(self, node: Node, name: str, namespace: str = "") -> None:
        self.sample: Sample[Any] | None = None
        reader(node, name, self._keep, namespace)

    def _keep(self, value: Any) -> None:
        self.sample = Sample(value, time.monotonic())
