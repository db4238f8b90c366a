"""What must fit together about the meters of a description: their register maps, what plays them, and addresses that two would share."""

from collections.abc import Iterator
from typing import Any

from evse_core.meter_link import MODBUS, POWER_LINK
from evse_core.vehicle_link import CHADEMO, PILOT
from evse_nodes import meter_maps
from evse_tools.description_schema import METER, METER_SIMULATOR
from evse_tools.yaml_source import KeyPath

LOOPBACK = ("127.0.0.1", "localhost")


def meter_problems(data: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what contradicts itself in the sections meter and meter_simulator."""
    taken: dict[tuple[str, Any, Any], int] = {}
    entries = data.get("evses")
    for index, evse in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(evse, dict):
            continue
        section = evse.get(METER)
        meter: dict[str, Any] = section if isinstance(section, dict) else {}
        path = ("evses", index)
        yield from _map(meter, evse, path)
        yield from _simulated(meter, evse, path)
        place = (str(meter.get("host") or meter.get("serial_port") or ""), meter.get("port", 502), meter.get("unit_id", 1))
        if meter.get("kind") == MODBUS and place in taken:
            yield (*path, METER), f"is the meter of evses[{taken[place]}] already: {place[0]} unit {place[2]}"
        taken.setdefault(place, index)


def _map(meter: dict[str, Any], evse: dict[str, Any], path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    name = meter.get("map")
    if meter.get("kind") != MODBUS or not isinstance(name, str) or not name:
        return
    try:
        found = meter_maps.load(name)
    except ValueError as error:
        yield from (((*path, METER, "map"), line.removeprefix("map: ")) for line in str(error).splitlines())
        return
    kind = "AC" if evse.get("vehicle_link", CHADEMO) == PILOT else "DC"
    if found.current_type != kind:
        yield (*path, METER, "map"), f"{name!r} is of a meter of {found.current_type}, the output is {kind}"


def _simulated(meter: dict[str, Any], evse: dict[str, Any], path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if METER_SIMULATOR not in evse:
        return
    if meter.get("kind", POWER_LINK) == POWER_LINK:
        yield (*path, METER_SIMULATOR), f"nothing reads it: {METER}.kind is {POWER_LINK}"
    if meter.get("certificate"):
        yield (*path, METER, "certificate"), f"a simulated meter ({METER_SIMULATOR}) has none"
    if meter.get("host") and meter.get("host") not in LOOPBACK:
        yield (*path, METER, "host"), f"{meter['host']!r}: a simulated meter ({METER_SIMULATOR}) stays on this machine: {LOOPBACK[0]}"
