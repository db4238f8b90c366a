"""Health of a CanPort as part of can_status and as a ROS diagnostic."""

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from evse_core.types import BusHealth, BusLink, CanBusStatus
from evse_nodes.can_bus import CanPort

LEVELS = {BusHealth.OK: DiagnosticStatus.OK, BusHealth.ERROR: DiagnosticStatus.WARN}
COUNTERS = ("received", "sent", "unknown_id", "malformed", "unknown_value", "errors", "dropped")


def port_status(link: BusLink, port: CanPort) -> CanBusStatus:
    """Return what the port knows of its bus; the counters of the decoder are not among it."""
    return CanBusStatus(
        link=link, health=port.health, detail=port.detail, sent=port.sent, errors=port.errors, dropped=port.dropped, load=port.load
    )


def diagnosis(name: str, bus: CanBusStatus) -> DiagnosticStatus:
    """Return the state of a bus as a diagnostic of this name."""
    values = [KeyValue(key=key, value=str(getattr(bus, key))) for key in COUNTERS]
    values.append(KeyValue(key="load", value=f"{bus.load:.3f}"))
    level = LEVELS.get(bus.health, DiagnosticStatus.ERROR)
    return DiagnosticStatus(level=level, name=name, message=bus.detail or bus.health.name, values=values)
