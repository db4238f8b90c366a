"""From a description to the list of processes that make the station. Pure: supervisor.py and launch/station.launch.py start what stands here."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evse_core.energy_manager import ManagerConfig
from evse_core.meter_link import CAN
from evse_core.node_watch import VITAL
from evse_core.ocpp16_composite import Outlet
from evse_core.ocpp16_configuration import initial_text
from evse_core.vehicle_link import PILOT
from evse_nodes.cabinet_layout import to_json
from evse_tools.description import Description, Evse, Values
from evse_tools.description_cabinet import ALLOCATOR, SIMULATOR
from evse_tools.description_schema import (
    BRIDGE,
    EVSE_SECTIONS,
    HANDED_ON,
    METER,
    METER_SIMULATOR,
    SIMULATOR_BUSES,
    VEHICLE_SIMULATORS,
    Bus,
    Source,
)

# Nodes of an EVSE that `composition: evse` puts into one process. The safety monitor watches them, so it does not share their fate; the energy meter waits for
# the disk, which a permit must not do.
COMPOSED = ("can_bridge", "charge_sequencer")
CONTAINER = "evse_container"
RECORDER = "recorder"
# Nodes that publish decision_trace.
DECIDING = frozenset({"charge_sequencer", "safety_monitor", "energy_meter", "energy_manager"})
# Tells of each session how it went; only where the description names it.
REPORTER = "session_reporter"
SIMULATOR_CONTAINER = "simulator_container"


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A process: an executable of a package that runs the node `name`, or the nodes `members` where it is a container."""

    package: str
    executable: str
    name: str
    namespace: str = "/"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    members: tuple["NodeSpec", ...] = ()

    @property
    def full_name(self) -> str:
        """The node's full name, which also names the process."""
        return f"{self.namespace.rstrip('/')}/{self.name}"

    @property
    def is_simulator(self) -> bool:
        """Whether this plays a part of the world, which has to stay until the station has ended its sessions."""
        return self.package == "evse_simulators"


def node_specs(description: Description) -> list[NodeSpec]:
    """Return the processes of a station in the order in which they are started: first who listens, then the world, then who acts."""
    specs = [*_observers(description), *_world(description), *_station(description)]
    specs = [_with_digest(spec, description.digest) for spec in specs] if description.digest else specs
    return [_with_rules(spec, specs) if spec.name == RECORDER else spec for spec in specs]


def _with_rules(recorder: NodeSpec, specs: Sequence[NodeSpec]) -> NodeSpec:
    """Tell the recorder the parameters of the nodes that decide: a recording that has them is verified with exactly these."""
    return replace(recorder, parameters={**recorder.parameters, "rules": json.dumps(decided_with(specs))})


def decided_with(specs: Sequence[NodeSpec]) -> dict[str, Mapping[str, Any]]:
    """Return the parameters of the nodes whose decisions are traced, by full name."""
    return {node.full_name: node.parameters for node in members(specs) if node.name in DECIDING}


def members(specs: Sequence[NodeSpec]) -> list[NodeSpec]:
    """Return the nodes of some processes, each alone."""
    return [member for spec in specs for member in (spec.members or (spec,))]


def _with_digest(spec: NodeSpec, digest: str) -> NodeSpec:
    """Tell each ROS node which description it is started with; the CSMS simulator is none."""
    if spec.name == "csms_simulator":
        return spec
    if spec.members:
        return replace(spec, members=tuple(_with_digest(member, digest) for member in spec.members))
    return replace(spec, parameters={**spec.parameters, "description_digest": digest})


def parameter_file(specs: list[NodeSpec]) -> dict[str, Any]:
    """Return the content of a ROS parameter file with the parameters of all nodes, by full name."""
    return {node.full_name: {"ros__parameters": dict(node.parameters)} for node in members(specs) if node.parameters}


def _observers(description: Description) -> Iterator[NodeSpec]:
    if "recorder" in description.sections:
        own = {
            "directory": str(description.data_dir / "recordings"),
            "station": description.station["name"],
            "evses": list(description.numbers),
        }
        own |= {"description_file": str(Path(description.file).absolute())} if description.digest else {}
        yield NodeSpec("evse_tools", RECORDER, RECORDER, parameters=_plain(description.sections["recorder"]) | own)


def _world(description: Description) -> Iterator[NodeSpec]:
    if "csms_simulator" in description.sections:
        yield NodeSpec("evse_simulators", "csms_simulator", "csms_simulator", arguments=_csms_arguments(description))
    if SIMULATOR in description.sections:
        yield _cabinet_simulator(description)
    for evse in description.evses:
        simulators = [_simulator(description, evse, name, bus) for name, bus in SIMULATOR_BUSES.items() if name in evse.sections]
        yield from _together(SIMULATOR_CONTAINER, simulators) if description.composition == "evse" else simulators


def _cabinet_simulator(description: Description) -> NodeSpec:
    """Return the simulated cabinet with the power bus of each of its EVSEs; a bus that several share is opened once."""
    parameters = _plain(description.sections[SIMULATOR]) | _cabinet(description)
    opened: dict[tuple[str, str, str], int] = {}
    served = {outlet.outlet for outlet in description.cabinet.outlets} if description.cabinet is not None else set()
    for evse in (evse for evse in description.evses if evse.number in served):
        bus, prefix = evse.buses["power_bus"], f"evse_{evse.number}"
        parameters[f"{prefix}.pistol"] = evse.sections["can_bridge"].get("pistol", 1)
        first = opened.setdefault((bus.interface, bus.channel, json.dumps(bus.options)), evse.number)
        parameters |= _bus(prefix, bus) if first == evse.number else {f"{prefix}.shares_bus_with": first}
    return NodeSpec("evse_simulators", SIMULATOR, SIMULATOR, parameters=parameters)


def _cabinet(description: Description) -> dict[str, Any]:
    """Return what both ends of the cabinet's bus are told."""
    assert description.cabinet is not None
    assert description.cabinet_bus is not None
    return {"cabinet": json.dumps(to_json(description.cabinet))} | _bus("bus", description.cabinet_bus)


def _simulator(description: Description, evse: Evse, name: str, bus: str) -> NodeSpec:
    """Return a simulator; whatever plays the vehicle is the node vehicle_simulator, for drivers and tests."""
    parameters = _values(evse, name, EVSE_SECTIONS[name]) | (_bus("bus", evse.buses[bus]) if bus else {})
    if name == METER_SIMULATOR:
        return _meter_simulator(description, evse, parameters)
    if name == "secc_simulator":
        parameters["pistol"] = evse.sections["can_bridge"].get("controller_pistol", 1)
    node = "vehicle_simulator" if name in VEHICLE_SIMULATORS.values() else name
    return NodeSpec("evse_simulators", name, node, evse.namespace, parameters)


def _meter_simulator(description: Description, evse: Evse, parameters: dict[str, Any]) -> NodeSpec:
    """Return what plays the meter: a server, or a device on the bus of the I/O board."""
    executable = f"can_{METER_SIMULATOR}" if evse.sections[METER].get("kind") == CAN else METER_SIMULATOR
    own = {"data_dir": str(description.data_dir)} | _meter(evse)
    return NodeSpec("evse_simulators", executable, METER_SIMULATOR, evse.namespace, parameters | own)


def _meter(evse: Evse) -> dict[str, Any]:
    """Return the parameters that say which meter an EVSE has."""
    values = _values(evse, METER, EVSE_SECTIONS[METER]) | {"simulated": METER_SIMULATOR in evse.sections}
    return {f"{METER}.{key}": value for key, value in values.items()}


def _together(container: str, nodes: Sequence[NodeSpec]) -> list[NodeSpec]:
    """Return one process for several nodes of an EVSE; one node needs no container."""
    if len(nodes) < 2:
        return list(nodes)
    first = nodes[0]
    return [
        NodeSpec(first.package, container, container, first.namespace, arguments=[node.executable for node in nodes], members=tuple(nodes))
    ]


def _csms_arguments(description: Description) -> list[str]:
    section, tariff = description.sections["csms_simulator"], description.sections["tariff"]
    arguments = ["--port", str(section["port"]), "--heartbeat", str(section["heartbeat"])]
    arguments += ["--data-file", str(description.data_dir / "csms_simulator.json")]
    if section["control_port"]:
        arguments += ["--control-port", str(section["control_port"])]
    if "price_per_kwh" in tariff:
        arguments += ["--price", tariff["price_per_kwh"]]
    if "currency" in tariff:
        arguments += ["--currency", tariff["currency"]]
    return arguments + [part for token in section["tokens"] for part in ("--token", token)]


def _station(description: Description) -> Iterator[NodeSpec]:
    evses = {"evses": list(description.numbers)}
    yield NodeSpec("evse_nodes", "energy_manager", "energy_manager", parameters=_plain(description.sections["energy_manager"]) | evses)
    yield NodeSpec("evse_nodes", "ocpp_uplink", "ocpp_uplink", parameters=_uplink(description) | evses)
    if description.cabinet is not None:
        parameters = _plain(description.sections[ALLOCATOR]) | _cabinet(description)
        yield NodeSpec("evse_nodes", ALLOCATOR, ALLOCATOR, parameters=parameters)
    for evse in description.evses:
        yield from _evse(description, evse)


def _uplink(description: Description) -> dict[str, Any]:
    station = description.station
    known = {"charge_point_id": station["name"], "vendor": station["vendor"], "model": station["model"], "serial_number": station["serial"]}
    if (validity := description.evses[0].sections["charge_sequencer"].get("authorization_validity")) is not None:
        known["connection_time_out"] = round(validity)
    own = {"url": description.csms_url, "data_dir": str(description.data_dir)} | _outlets(description)
    given = dict(_plain(description.sections["ocpp_uplink"]))
    if keys := given.pop("configuration", {}):
        own["configuration"] = [f"{name}={initial_text(found)}" for name, found in keys.items()]
    return known | given | own


def _outlets(description: Description) -> dict[str, Any]:
    """Return what smart charging has to know: the uplink's parameters of evse_nodes/ocpp_outlets.py."""
    outlets = [_outlet(evse.rating) for evse in description.evses]
    site = ManagerConfig(**_plain(description.sections["energy_manager"]))
    return {
        "outlet_power": [float(outlet.power) for outlet in outlets],
        "outlet_phases": [outlet.phases for outlet in outlets],
        "outlet_voltage": [float(outlet.voltage) for outlet in outlets],
        "site_limit": float(site.site_limit),
        "phase_switching": any(evse.sections["charge_sequencer"].get("phase_switching", False) for evse in description.evses),
        "socket_outlets": any(evse.rating.get("socket_outlet", False) for evse in description.evses),
    }


def _outlet(rating: Values) -> Outlet:
    """Return what smart charging knows of an EVSE; its phases count where it gives alternating current."""
    if rating["vehicle_link"] != PILOT:
        return Outlet(rating["max_power"])
    phases, voltage = rating["ac_phases"], rating["phase_voltage"]
    return Outlet(min(rating["max_power"], rating["max_current"] * phases * voltage), phases, voltage)


def _evse(description: Description, evse: Evse) -> Iterator[NodeSpec]:
    nodes = [_node(description, evse, name) for name in COMPOSED]
    yield from _together(CONTAINER, nodes) if description.composition == "evse" else nodes
    yield from (_node(description, evse, name) for name in ("energy_meter", "safety_monitor"))
    if REPORTER in evse.sections:
        yield _node(description, evse, REPORTER)


def _node(description: Description, evse: Evse, name: str) -> NodeSpec:
    parameters = _values(evse, name, BRIDGE if name == "can_bridge" else EVSE_SECTIONS[name])
    if name == "can_bridge":
        for prefix, bus in evse.buses.items():
            parameters |= _bus(prefix, bus)
        parameters |= {"has_meter": True} if evse.sections[METER].get("kind") == CAN else {}
    if name == "energy_meter":
        station = description.station
        parameters |= {
            "station_name": station["name"],
            "serial": station["serial"],
            "place": station["place"],
            "time_zone": station["time_zone"],
        }
        parameters |= _meter(evse)
        parameters |= _plain(description.sections["tariff"]) | {"data_dir": str(description.data_dir)}
    if name == "safety_monitor":
        parameters |= {"data_dir": str(description.data_dir), "expected_nodes": _expected(description, evse)}
        parameters |= {"description_file": str(Path(description.file).absolute())} if description.digest else {}
    return NodeSpec("evse_nodes", name, name, evse.namespace, parameters)


def _expected(description: Description, evse: Evse) -> list[str]:
    """Return the full names of the nodes that the monitor of an EVSE listens for: its own ones, and those of the station."""
    station = ["energy_manager", "ocpp_uplink"]
    station += ["recorder"] if "recorder" in description.sections else []
    station += [ALLOCATOR] if evse.rating.get("has_cabinet") else []
    return [*(f"{evse.namespace}/{name}" for name in VITAL), *(f"/{name}" for name in station)]


def _values(evse: Evse, name: str, source: Source) -> dict[str, Any]:
    """Return what the file says about a node, and the ratings that it has parameters for."""
    known = source.load().__dataclass_fields__
    shared = {key: value for key, value in evse.rating.items() if key in HANDED_ON and key in source.without and key in known}
    return shared | _plain(evse.sections[name])


def _bus(prefix: str, bus: Bus) -> dict[str, Any]:
    return {
        f"{prefix}.interface": bus.interface,
        f"{prefix}.channel": bus.channel,
        f"{prefix}.bitrate": bus.bitrate,
        f"{prefix}.options": json.dumps(bus.options),
    }


def _plain(values: Values) -> dict[str, Any]:
    """Return values in the types of ROS parameters. An empty list has no type there and is left to the node's default."""
    listed = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    return {key: value for key, value in listed.items() if value != []}
