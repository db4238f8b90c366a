"""The uplink's state as ROS diagnostics, for the tools that already show them."""

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from evse_core.types import Registration, UplinkState


class Diagnostics:
    """Publishes one status on /diagnostics. Without a CSMS the station still charges: that is a warning, not an error."""

    def __init__(self, node: Node, url: str) -> None:
        self._clock = node.get_clock()
        self._url = url
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def publish(self, state: UplinkState, dropped: int) -> None:
        """Publish the state; dropped counts the messages that were given up and wait for a person."""
        status = DiagnosticStatus(name="ocpp_uplink: CSMS", hardware_id=self._url or "none")
        status.level, status.message = _judge(state, dropped, bool(self._url))
        values = {"connected": state.connected, "registration": state.registration.name, "queued": state.queued, "dropped": dropped}
        status.values = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._clock.now().to_msg()
        self._publisher.publish(message)


def _judge(state: UplinkState, dropped: int, configured: bool) -> tuple[bytes, str]:
    if dropped:
        return DiagnosticStatus.ERROR, f"{dropped} transaction messages were given up: see the table dropped of the queue"
    if not configured:
        return DiagnosticStatus.OK, "no CSMS configured"
    if not state.connected:
        return DiagnosticStatus.WARN, state.detail
    if state.registration != Registration.ACCEPTED:
        return DiagnosticStatus.WARN, f"registration {state.registration.name.lower()}"
    return DiagnosticStatus.OK, "connected"
