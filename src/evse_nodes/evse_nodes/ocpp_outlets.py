"""What the uplink has to know of how the station is built, as ROS parameters: the station's description fills them in."""

from math import inf

from rclpy.node import Node

from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_composite import Outlet, Site
from evse_core.ocpp16_configuration import StationFacts, change
from evse_nodes.params import declare, value

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


def facts(node: Node, evses: tuple[int, ...]) -> StationFacts:
    """Declare what the configuration keys tell of the station, and return it."""
    return StationFacts(
        len(evses),
        value(node, "phase_switching", False, "An AC output can go from three phases to one"),
        value(node, "socket_outlets", False, "There are socket outlets, whose cable is unlocked when the vehicle is unplugged"),
    )


def configuration(node: Node) -> OcppConfig:
    """Declare the settings and return them with the initial values of keys, given by their names in OCPP; ValueError names one that is refused."""
    config = declare(node, OcppConfig)
    for item in value(node, "configuration", (), "Initial values of configuration keys, each as Name=Value"):
        name, _, text = item.partition("=")
        found = change(config, name, text).config
        if found is None:
            raise ValueError(f"{node.get_name()}: parameter configuration: {item!r} is refused")
        config = found
    return config
