"""What the uplink has to know of the outlets for smart charging, as ROS parameters: the station's description fills them in."""

from math import inf

from rclpy.node import Node

from evse_core.ocpp16_composite import Outlet, Site
from evse_nodes.params import value

_UNKNOWN = Outlet()


def site(node: Node, evses: tuple[int, ...]) -> Site:
    """Declare the parameters and return the site; ValueError where a list has not one value for each EVSE."""
    power = value(node, "outlet_power", (_UNKNOWN.power,) * len(evses), "Highest power of each EVSE [W]")
    phases = value(node, "outlet_phases", (_UNKNOWN.phases,) * len(evses), "Phases of each AC output, 0 for direct current [1]")
    voltage = value(
        node, "outlet_voltage", (_UNKNOWN.voltage,) * len(evses), "Nominal voltage of the mains, phase to neutral, at each EVSE [V]"
    )
    limit = value(node, "site_limit", inf, "Highest power of all EVSEs together [W]")
    for name, given in (("outlet_power", power), ("outlet_phases", phases), ("outlet_voltage", voltage)):
        if len(given) != len(evses) or min(given) < 0:
            raise ValueError(
                f"{node.get_name()}: parameter {name}: {list(given)} are not {len(evses)} numbers of at least 0, one for each EVSE"
            )
    if min(voltage) <= 0.0:
        raise ValueError(f"{node.get_name()}: parameter outlet_voltage: {list(voltage)} has one that is 0 V")
    outlets = {evse: Outlet(*found) for evse, *found in zip(evses, power, phases, voltage, strict=True)}
    return Site(outlets, {}, limit)
