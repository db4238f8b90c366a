"""What must fit together across the sections of a description. Works on raw data, so that it also finds things in a file with other mistakes."""

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from evse_core.vehicle_link import CHADEMO, PILOT, SECC
from evse_nodes.can_interfaces import bus_arguments
from evse_tools.description_cabinet import CABINET, cabinet_problems, served
from evse_tools.description_meters import meter_problems
from evse_tools.description_orders import order_problems
from evse_tools.description_schema import BUSES, BUSES_OF, SIMULATOR_BUSES, VEHICLE_SIMULATORS
from evse_tools.yaml_source import KeyPath, Problem, YamlSource, dotted

Finding = tuple[KeyPath, str]


def semantic_problems(source: YamlSource) -> list[Problem]:
    """Return what contradicts itself."""
    if not isinstance(source.data, dict):
        return []
    return [source.problem(*finding) for check in CHECKS for finding in check(source.data)]


def _evses(data: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    entries = data.get("evses")
    if isinstance(entries, list):
        yield from ((index, entry) for index, entry in enumerate(entries) if isinstance(entry, dict))


def _section(data: Any, name: str) -> dict[str, Any]:
    section = data.get(name)
    return section if isinstance(section, dict) else {}


def _buses(data: dict[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    for index, evse in _evses(data):
        bridge = _section(evse, "can_bridge")
        yield from ((("evses", index, "can_bridge", name), bridge[name]) for name in BUSES if isinstance(bridge.get(name), dict))
    if isinstance(bus := _section(data, CABINET).get("bus"), dict):
        yield (CABINET, "bus"), bus


def _numbers(data: dict[str, Any]) -> Iterator[Finding]:
    """Two EVSEs of one number would share a namespace."""
    numbers = Counter(evse["evse"] for _, evse in _evses(data) if isinstance(evse.get("evse"), int))
    for index, evse in _evses(data):
        if isinstance(number := evse.get("evse"), int) and numbers[number] > 1:
            yield ("evses", index, "evse"), f"{number} is the number of more than one EVSE"


def _ratings(data: dict[str, Any]) -> Iterator[Finding]:
    """A range must not be empty."""
    for index, evse in _evses(data):
        rating = _section(evse, "rating")
        low, high = rating.get("min_voltage", 50.0), rating.get("max_voltage", 500.0)
        if isinstance(low, (int, float)) and isinstance(high, (int, float)) and not low < high:
            yield ("evses", index, "rating", "min_voltage"), f"{low} V is not below max_voltage, {high} V"


def _derating(data: dict[str, Any]) -> Iterator[Finding]:
    """What the monitor reports as derating is where the sequencer begins to derate."""
    pairs = {"connector_derating_temperature": "derate_from", "enclosure_derating_temperature": "enclosure_derate_from"}
    for index, evse in _evses(data):
        monitor, sequencer = _section(evse, "safety_monitor"), _section(evse, "charge_sequencer")
        for told, used in pairs.items():
            if (told in monitor or used in sequencer) and monitor.get(told) != sequencer.get(used):
                path = ("charge_sequencer", used) if used in sequencer else ("safety_monitor", told)
                yield ("evses", index, *path), f"safety_monitor.{told} and charge_sequencer.{used} must be given together and be equal"


def _channels(data: dict[str, Any]) -> Iterator[Finding]:
    """Each link is a bus of its own: identifiers of different links mean different things. Some EVSEs may share a bus by pistol index."""
    first: dict[tuple[str, ...], KeyPath] = {}
    pistols: set[tuple[str, ...]] = set()
    for path, bus in _buses(data):
        options = bus.get("options")
        options = options if isinstance(options, dict) else {}
        place = (str(bus.get("interface")), _canonical(str(bus.get("channel"))), str(options.get("port", "")))
        key, pistol = _pistol(data, path)
        shares = pistol is not None and place in first and first[place][-1] == path[-1]
        if shares and (*place, str(pistol)) in pistols:
            yield (*path[:-1], key), f"{pistol} is the pistol index of another EVSE on {dotted(first[place])}; each needs its own"
        elif place in first and not shares:
            yield (*path, "channel"), f"{bus.get('channel')!r} is the bus of {dotted(first[place])} already; each link needs its own"
        first.setdefault(place, path)
        pistols.add((*place, str(pistol)))


def _pistol(data: dict[str, Any], path: KeyPath) -> tuple[str, int | None]:
    """Return the key and the pistol index of a bus that several EVSEs can share: of a cabinet, and of a charge controller; None for any other bus."""
    if path[0] != "evses":
        return "", None
    evse = data["evses"][path[1]]
    number = evse.get("evse")
    shared = {
        "power_bus": ("pistol", isinstance(number, int) and number in served(data)),
        "vehicle_bus": ("controller_pistol", evse.get("vehicle_link") == SECC),
    }
    key, can_share = shared.get(str(path[-1]), ("", False))
    pistol = _section(evse, "can_bridge").get(key, 1)
    return key, pistol if can_share and isinstance(pistol, int) else None


def _canonical(channel: str) -> str:
    """Return one spelling of an IPv6 group; other channels as they are."""
    try:
        return str(ipaddress.ip_address(channel))
    except ValueError:
        return channel


def _interfaces(data: dict[str, Any]) -> Iterator[Finding]:
    """A bus must be one that several processes of this machine, and nobody else, can share."""
    for path, bus in _buses(data):
        interface, channel = bus.get("interface"), bus.get("channel")
        if interface == "virtual":
            yield (*path, "interface"), "'virtual' stays inside of one process; between processes take udp_multicast or a vcan device"
        elif interface == "udp_multicast" and isinstance(channel, str) and not _stays_here(channel):
            yield (*path, "channel"), f"{channel!r} may leave this machine; take an interface-local group such as ff11::6576:101"
        elif isinstance(channel, str) and not channel:
            yield (*path, "channel"), "is empty"
        elif isinstance(channel, str) and (problem := _channel_problem(str(interface), channel, bus.get("options"))):
            yield (*path, "channel"), problem


def _channel_problem(interface: str, channel: str, options: object) -> str:
    """Return why this is no channel of the interface; "" where it may be one."""
    try:
        bus_arguments(interface, channel, 0, options if isinstance(options, dict) else {})
    except ValueError as error:
        return str(error)
    return ""


def _stays_here(channel: str) -> bool:
    """Return whether a multicast group is interface-local: scope 1 of RFC 4291 section 2.7."""
    try:
        address = ipaddress.IPv6Address(channel)
    except ValueError:
        return False
    return address.is_multicast and address.packed[1] & 0x0F == 1


def _buses_of_link(data: dict[str, Any]) -> Iterator[Finding]:
    """can_bridge opens the buses that the vehicle link has, all of them and no others."""
    for index, evse in _evses(data):
        link, bridge = evse.get("vehicle_link", CHADEMO), evse.get("can_bridge")
        if not isinstance(link, str) or link not in BUSES_OF or not isinstance(bridge, dict):
            continue
        for bus in BUSES:
            if bus in BUSES_OF[link] and bus not in bridge:
                yield ("evses", index, "can_bridge", bus), "is missing"
            elif bus not in BUSES_OF[link] and bus in bridge:
                yield ("evses", index, "can_bridge", bus), f"nothing hangs on it with vehicle_link {link}"


def _ac_output(data: dict[str, Any]) -> Iterator[Finding]:
    """An AC output has one phase or three, and no power modules."""
    for index, evse in _evses(data):
        rating = _section(evse, "rating")
        phases, path = rating.get("ac_phases", 0), ("evses", index, "rating", "ac_phases")
        if evse.get("vehicle_link", CHADEMO) != PILOT:
            continue
        if isinstance(phases, int) and phases not in (1, 3):
            yield path, f"{phases}: an AC output (vehicle_link {PILOT}) has 1 or 3"
        if rating.get("module_count"):
            yield ("evses", index, "rating", "module_count"), f"there are no power modules with vehicle_link {PILOT}"
        if "power_module_simulator" in evse:
            yield ("evses", index, "power_module_simulator"), f"there are no power modules with vehicle_link {PILOT}"


def _simulators(data: dict[str, Any]) -> Iterator[Finding]:
    """A simulator sits on the bus of the part that it replaces."""
    for index, evse in _evses(data):
        bridge = _section(evse, "can_bridge")
        for name, bus in SIMULATOR_BUSES.items():
            if bus and name in evse and not isinstance(bridge.get(bus), dict):
                yield ("evses", index, name), f"has no bus: can_bridge.{bus} is missing"


def _vehicles(data: dict[str, Any]) -> Iterator[Finding]:
    """The simulated vehicle speaks what the vehicle link says."""
    for index, evse in _evses(data):
        link = evse.get("vehicle_link", CHADEMO)
        for other, name in VEHICLE_SIMULATORS.items():
            if name in evse and isinstance(link, str) and link in VEHICLE_SIMULATORS and link != other:
                yield ("evses", index, name), f"is for vehicle_link {other}; with {link} take {VEHICLE_SIMULATORS[link]}"


def _csms(data: dict[str, Any]) -> Iterator[Finding]:
    """There is one CSMS: the simulated one or that of the address."""
    url = _section(data, "ocpp_uplink").get("url", "")
    if not isinstance(url, str) or not url:
        return
    if "csms_simulator" in data:
        yield ("ocpp_uplink", "url"), f"{url!r} is a CSMS beside csms_simulator; remove one of the two"
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        yield ("ocpp_uplink", "url"), f"{url!r} is not an address of the form ws://host:port/path or wss://host:port/path"


CHECKS: tuple[Callable[[dict[str, Any]], Iterator[Finding]], ...] = (
    _numbers,
    _ratings,
    _derating,
    _channels,
    _interfaces,
    _buses_of_link,
    _simulators,
    _vehicles,
    _ac_output,
    _csms,
    order_problems,
    cabinet_problems,
    meter_problems,
)
