"""The keys of a station description: which section feeds which node, and what each may say.

Sections of nodes are made from the parameters of their rules (config_models.py), so that a number is declared once. What a description says in one place for
several nodes (ratings, buses, identity, tariff) is left out of their sections and handed on by node_specs.py.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, create_model

from evse_core import vehicle_link
from evse_core.can_bridge_devices import DATABASES
from evse_core.ocpp16_configuration import refusal
from evse_core.parameter import Parameter, parameter
from evse_core.rating import MOST_CURRENT, MOST_POWER
from evse_core.tariff import Window
from evse_core.types import BusLink
from evse_tools.config_models import Section, checked, section_model
from evse_tools.description_cabinet import ALLOCATOR, SIMULATOR, CabinetContent


@dataclass(frozen=True, slots=True)
class Source:
    """A section made from a rule's parameters: where they are declared, and those that the description gives elsewhere."""

    module: str
    config: str
    without: tuple[str, ...] = ()

    def load(self) -> type[Any]:
        """Return the dataclass."""
        found: type[Any] = getattr(import_module(self.module), self.config)
        return found


@dataclass(frozen=True, slots=True)
class Rating:
    """What the output of an EVSE can deliver, and what it is made of; handed on to every node that needs it."""

    max_voltage: float = parameter(500.0, "V", "highest output voltage", "rating of the power modules", 50.0, 1500.0)
    min_voltage: float = parameter(50.0, "V", "lowest output voltage", "rating of the power modules", 0.0, 1500.0)
    max_current: float = parameter(125.0, "A", "highest output current", "rating of the power modules and the connector", 1.0, MOST_CURRENT)
    max_power: float = parameter(50_000.0, "W", "highest output power", "rating of the power modules", 100.0, MOST_POWER)
    max_discharge_current: float = parameter(
        0.0, "A", "highest current from the vehicle; 0: none", "rating of the power modules and the connector", 0.0, MOST_CURRENT
    )
    max_discharge_power: float = parameter(
        0.0, "W", "highest power from the vehicle; 0: none", "rating of the power modules", 0.0, MOST_POWER
    )
    uncooled_current: float = parameter(
        0.0,
        "A",
        "current that a liquid-cooled cable carries without coolant; 0: the cable needs none",
        "rating of the cable",
        0.0,
        MOST_CURRENT,
    )
    module_count: int = parameter(
        0, "", "power modules that tell of themselves (config/can/module_bank.dbc); 0: they do not", "optional", 0, 255
    )
    has_control_pilot: bool = parameter(
        False, "", "a control pilot is fitted, which has to be good; with vehicle_link pilot there always is one", "CHAdeMO has none"
    )
    ac_phases: int = parameter(
        0,
        "",
        "phases of an AC output, 1 or 3, max_current being that of each; of a DC station those that its board measures",
        "0: none",
        0,
        3,
    )
    phase_voltage: float = parameter(
        230.0, "V", "voltage of a phase of an AC output", "IEC 60038: 230 V; 120 or 240 V in North America", 90.0, 300.0
    )
    socket_outlet: bool = parameter(
        False, "", "an AC output has a socket outlet for detachable cables; false: a tethered cable", "can.md 3.4"
    )
    ventilated: bool = parameter(False, "", "the room is ventilated: vehicles that need it (state D) are charged", "can.md 3.1")


# Handed on only where there is an AC side: its nodes have defaults of their own for it.
AC_RATINGS = ("ac_phases", "phase_voltage", "socket_outlet", "ventilated")
RATINGS = (
    "max_voltage",
    "min_voltage",
    "max_current",
    "max_power",
    "max_discharge_current",
    "max_discharge_power",
    "uncooled_current",
    "module_count",
    "has_control_pilot",
    *AC_RATINGS,
)

# What the description of an EVSE says once, for every node that has a parameter for it.
HANDED_ON = (*RATINGS, "vehicle_link", "has_cabinet")

# The meter that energy_meter reads, and what plays it.
METER, METER_SIMULATOR = "meter", "meter_simulator"
# Nodes of one EVSE, and its meter. The vehicle's voltages and current are its own.
EVSE_SECTIONS = {
    "charge_sequencer": Source("evse_core.charge_sequencer_config", "SequencerConfig", HANDED_ON),
    "safety_monitor": Source("evse_core.safety_config", "SafetyConfig", HANDED_ON),
    "energy_meter": Source("evse_core.energy_meter", "MeterConfig", (*HANDED_ON, "station_name", "serial", "place", "time_zone")),
    "session_reporter": Source("evse_core.session_story", "ReporterConfig"),
    METER: Source("evse_core.meter_link", "MeterLinkConfig", (*HANDED_ON, "simulated")),
    "vehicle_simulator": Source("evse_simulators.vehicle", "VehicleConfig"),
    "secc_simulator": Source("evse_simulators.secc", "SeccConfig", ("pistol",)),
    "ac_vehicle_simulator": Source("evse_simulators.ac_vehicle", "AcVehicleConfig"),
    "power_module_simulator": Source("evse_simulators.power_modules_config", "PowerModulesConfig", RATINGS),
    "io_board_simulator": Source("evse_simulators.io_board", "IoBoardConfig", HANDED_ON),
    METER_SIMULATOR: Source("evse_simulators.meter_model", "SimulatedMeterConfig", HANDED_ON),
}
# Sections without which the node does not run: an observer, and simulated parts.
OPTIONAL = (
    "session_reporter",
    "vehicle_simulator",
    "secc_simulator",
    "ac_vehicle_simulator",
    "power_module_simulator",
    "io_board_simulator",
    METER_SIMULATOR,
)
BRIDGE = Source("evse_core.can_bridge", "CanBridgeConfig", (*HANDED_ON, "has_meter"))

# Nodes of the station.
_IDENTITY = ("vendor", "model", "serial_number")
STATION_SECTIONS = {
    "recorder": Source("evse_tools.recorder_config", "RecorderConfig", ("directory", "station", "evses")),
    "ocpp_uplink": Source("evse_core.ocpp16", "OcppConfig", _IDENTITY),
    "energy_manager": Source("evse_core.energy_manager", "ManagerConfig", ("evses",)),
    "tariff": Source("evse_core.tariff", "Tariff", ("windows",)),
    ALLOCATOR: Source("evse_core.module_allocator", "AllocatorConfig"),
}
# The simulated cabinet; ratings are those of its modules and outlets.
CABINET_SIMULATOR = Source("evse_simulators.cabinet_converter", "PowerCabinetConfig", RATINGS)
# Simulated parts, and the bus that each hangs on; an AC vehicle has none.
SIMULATOR_BUSES = {
    "vehicle_simulator": "vehicle_bus",
    "secc_simulator": "vehicle_bus",
    "ac_vehicle_simulator": "",
    "power_module_simulator": "power_bus",
    "io_board_simulator": "io_bus",
    METER_SIMULATOR: "io_bus",
}
BUSES = tuple(dict.fromkeys(filter(None, SIMULATOR_BUSES.values())))
# The buses that can_bridge opens, by vehicle link.
BUSES_OF = {link: tuple(bus for bus in BUSES if BusLink[bus.removesuffix("_bus").upper()] in found) for link, found in DATABASES.items()}
# What plays the vehicle of each vehicle link.
VEHICLE_SIMULATORS = {
    vehicle_link.CHADEMO: "vehicle_simulator",
    vehicle_link.SECC: "secc_simulator",
    vehicle_link.PILOT: "ac_vehicle_simulator",
}

Text = Annotated[str, Field(min_length=1)]


def _key(kind: Any, text: str, unit: str = "", minimum: float | None = None, maximum: float | None = None) -> Any:
    return checked(kind, Parameter(unit, text, "", minimum, maximum))


def _name(longest: int) -> Any:
    return Field(pattern=rf"^[A-Za-z0-9._-]{{1,{longest}}}$")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ValueError(f"{name!r} is no known time zone") from None
    return name


def _known_keys(values: dict[str, Any]) -> dict[str, Any]:
    for name, found in values.items():
        if words := refusal(name, found):
            raise ValueError(words)
    return values


def _known_home(folder: str) -> str:
    try:
        Path(folder).expanduser()
    except RuntimeError:
        raise ValueError(f"{folder!r} begins with the home folder of somebody who is not known here") from None
    return folder


class Station(Section):
    """What the station is called."""

    # The identity towards the CSMS is part of a web address, the recording's name is a folder.
    name: Annotated[_key(str, "identifier: letters, digits, . _ -; recordings and the CSMS know the station by it"), _name(25)]  # type: ignore[valid-type]
    vendor: Annotated[_key(str, "vendor, at most 20 characters (OCPP 1.6 section 6.1)"), Field(max_length=20)] = "ros2_evse"  # type: ignore[valid-type]
    model: Annotated[_key(str, "model, at most 20 characters (OCPP 1.6 section 6.1)"), Field(max_length=20)] = "ros2_evse"  # type: ignore[valid-type]
    serial: Annotated[_key(str, "serial number, at most 25 characters (OCPP 1.6 section 6.1)"), Field(max_length=25)] = ""  # type: ignore[valid-type]
    place: _key(str, "business name and place on receipts") = ""  # type: ignore[valid-type]
    time_zone: Annotated[_key(str, "time zone of receipts, such as Europe/Berlin"), AfterValidator(_known_zone)] = "UTC"  # type: ignore[valid-type]


class Bus(Section):
    """A CAN bus, as python-can opens it."""

    interface: _key(str, "interface of python-can: socketcan, slcan, pcan, kvaser, ..., or udp_multicast for simulated parts")  # type: ignore[valid-type]
    channel: _key(str, "channel of that interface, such as can0")  # type: ignore[valid-type]
    bitrate: _key(int, "bit rate, for interfaces that set it themselves", "bit/s", 10_000, 1_000_000) = 500_000  # type: ignore[valid-type]
    options: _key(dict[str, Any], "further arguments of that interface") = Field(default_factory=dict)  # type: ignore[valid-type]


def given(value: Any) -> Any:
    """Take a section that is named but empty (`vehicle_simulator:`) as one with all defaults."""
    return {} if value is None else value


class PowerCabinet(CabinetContent):
    """Power modules that several EVSEs share through a switch matrix, and the bus on which its switches are commanded."""

    bus: Annotated[Bus, BeforeValidator(given)]


class CsmsSimulator(Section):
    """A simulated CSMS on 127.0.0.1; without this section ocpp_uplink.url names a real one."""

    port: _key(int, "port of its WebSocket", "", 1024, 65535) = 9000  # type: ignore[valid-type]
    control_port: _key(int, "port for commands to it; 0: none", "", 0, 65535) = 0  # type: ignore[valid-type]
    tokens: _key(  # type: ignore[valid-type]
        tuple[str, ...], "tokens that it knows, ID or ID=STATUS or ID=STATUS:PARENT; without any, it accepts all"
    ) = ()
    heartbeat: _key(int, "heartbeat interval that it asks for", "s", 1, 86400) = 300  # type: ignore[valid-type]


def _is_window(model: Any) -> Any:
    """Have the rule itself look at a window of the tariff."""
    Window(**model.model_dump())
    return model


@cache
def tariff_model() -> type[Section]:
    """Return the model of `tariff` with its windows."""
    window = section_model("windows", Window)
    text = "weekdays and times of day with unit prices of their own; the first that holds counts"
    rows = _key(list[Annotated[window, AfterValidator(_is_window)]], text)  # type: ignore[valid-type]
    windows: Any = (rows, Field(default_factory=list))
    doc = "What charging costs; docs/tariffs.md."
    return create_model("tariff", __base__=_made("tariff", STATION_SECTIONS["tariff"]), __doc__=doc, windows=windows)


def _section(model: type[Section], required: bool = False) -> Any:
    kind = Annotated[model, BeforeValidator(given)] if required else Annotated[model | None, BeforeValidator(given)]
    return (kind, Field(default=... if required else None))


def _optional_with_defaults(model: type[Section]) -> Any:
    """A section that may be left out, and then has its defaults."""
    return (Annotated[model, BeforeValidator(given)], Field(default_factory=model))


def _made(name: str, source: Source) -> type[Section]:
    return section_model(name, source.load(), source.without)


def _buses(names: Collection[str]) -> dict[str, Any]:
    """Return the keys of the buses; which of them a description needs, its vehicle link says (description_checks.py)."""
    return {name: (Annotated[Bus | None, BeforeValidator(given)], Field(default=None)) for name in names}


@cache
def evse_model() -> type[Section]:
    """Return the model of an entry of `evses`."""
    bridge = create_model(
        "can_bridge", __base__=_made("can_bridge", BRIDGE), __doc__="The CAN buses, and how they are used.", **_buses(BUSES)
    )
    keys: dict[str, Any] = {
        "evse": (_key(int, "number: 1, 2, ...; the connector towards the CSMS, N in the namespace /evse_N", "", 1, 99), Field(default=...)),
        "vehicle_link": (
            _key(
                Literal[vehicle_link.NAMES],
                "chademo: the station is the charger on the vehicle's CAN bus; secc: a charge controller leads; pilot: AC",
            ),
            Field(default=vehicle_link.CHADEMO),
        ),
        "rating": _section(section_model("rating", Rating), required=True),
        "can_bridge": _section(bridge, required=True),
    }
    for name, source in EVSE_SECTIONS.items():
        model = _made(name, source)
        keys[name] = _section(model) if name in OPTIONAL else _optional_with_defaults(model)
    return create_model("evses", __base__=Section, __doc__="One EVSE: a connector and its power modules.", **keys)


@cache
def station_model() -> type[Section]:
    """Return the model of a whole description."""
    enabled = (_key(bool, "record every run; false: nothing is recorded"), Field(default=True))
    recorder = create_model("recorder", __base__=_made("recorder", STATION_SECTIONS["recorder"]), __doc__="Recordings.", enabled=enabled)
    keys_of_ocpp: Any = (
        Annotated[
            _key(
                dict[str, str | bool | int],
                "initial values of configuration keys, by their names in OCPP 1.6 (docs/ocpp16.md); a CSMS may change them",
            ),
            AfterValidator(_known_keys),
        ],
        Field(default_factory=dict),
    )
    uplink = create_model(
        "ocpp_uplink", __base__=_made("ocpp_uplink", STATION_SECTIONS["ocpp_uplink"]), __doc__="The CSMS.", configuration=keys_of_ocpp
    )
    evses = Annotated[list[evse_model()], Field(min_length=1)]  # type: ignore[misc, valid-type]
    keys: dict[str, Any] = {
        "station": _section(Station, required=True),
        "data_dir": (
            Annotated[
                _key(Text, "folder of everything that is written: recordings, billing, logs; relative to where the command runs"),
                AfterValidator(_known_home),
            ],
            ...,
        ),
        "composition": (
            _key(
                Literal["node", "evse"],
                "node: a process per node; evse: can_bridge and charge_sequencer of an EVSE share one, its simulators another",
            ),
            Field(default="node"),
        ),
        **{
            name: _optional_with_defaults(_made(name, source))
            for name, source in STATION_SECTIONS.items()
            if name not in {"recorder", "tariff"}
        },
        "tariff": _optional_with_defaults(tariff_model()),
        "recorder": _optional_with_defaults(recorder),
        "ocpp_uplink": _optional_with_defaults(uplink),
        "csms_simulator": _section(CsmsSimulator),
        "power_cabinet": _section(PowerCabinet),
        SIMULATOR: _section(_made(SIMULATOR, CABINET_SIMULATOR)),
        "evses": (evses, Field(default=...)),
    }
    return create_model("description", __base__=Section, __doc__="A station.", **keys)
