"""Inputs of a healthy EVSE in every state, to be spoiled by one test at a time."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evse_core.control_pilot import LEVELS, duty_of
from evse_core.safety_inputs import CONNECTED_STATES, PERMIT_STATES, POWERED_STATES
from evse_core.safety_monitor import SafetyConfig, SafetyInputs, SafetyMonitor, SafetyOutputs
from evse_core.sample import Sample
from evse_core.types import (
    AcReport,
    BusHealth,
    BusLink,
    CabinetReport,
    CanBusStatus,
    CanStatus,
    ChargeState,
    ControllerReport,
    CutCause,
    EmergencyOrigin,
    FaultEvent,
    IoCommand,
    IoReport,
    MeterReading,
    NodeHealth,
    PilotFault,
    PilotState,
    PowerCommand,
    PowerFunction,
    PowerReport,
    SessionState,
    VehicleLink,
    VehicleReport,
)

STEP = 0.05  # [s] 20 Hz
MODULES = 4  # [1] that share the current
BATTERY = 380.0  # [V]
VEHICLE_MAXIMUM = 435.0  # [V] a Leaf's, can.md 2.3
TEST_VOLTAGE = 485.0  # [V] as real chargers tested it, can.md 2.3 S7

DESCRIPTION = "d" * 64  # digest
EXPECTED = ("/evse_1/can_bridge", "/evse_1/charge_sequencer", "/evse_1/energy_meter", "/energy_manager", "/ocpp_uplink", "/recorder")
# Room on the disk of those who write. [B]
_FREE = {"/evse_1/energy_meter": 50e9, "/ocpp_uplink": 50e9, "/recorder": 40e9}

# Whether the contactor is closed; the voltage at the connector [V]; the current [A]; the modules' function.
_OUTPUT = {
    ChargeState.CABLE_CHECK: (True, TEST_VOLTAGE, 0.5, PowerFunction.INSULATION_TEST),
    ChargeState.LOWERING_OUTPUT: (True, 40.0, 0.0, PowerFunction.STANDBY),
    ChargeState.PRECHARGE: (True, BATTERY, 0.0, PowerFunction.PRECHARGE),
    ChargeState.WAITING_FOR_CONTACTOR: (True, 5.0, 0.0, PowerFunction.STANDBY),
    ChargeState.WAITING_FOR_REQUEST: (True, BATTERY, 0.0, PowerFunction.STANDBY),
    ChargeState.CHARGING: (True, BATTERY, 80.0, PowerFunction.POWER_TRANSFER),
    ChargeState.RAMPING_DOWN: (True, BATTERY, 4.0, PowerFunction.POWER_TRANSFER),
}
_LOWERED = (ChargeState.LOCKING, ChargeState.LOWERING_OUTPUT, ChargeState.WELDING_DETECTION, ChargeState.CLOSING)
_SESSION_STATES = (*PERMIT_STATES, ChargeState.WELDING_DETECTION, ChargeState.CLOSING, ChargeState.EMERGENCY)
CURRENT = {PowerFunction.POWER_TRANSFER: 80.0, PowerFunction.INSULATION_TEST: 2.0, PowerFunction.PRECHARGE: 2.0}  # [A]
_TARGET = {PowerFunction.POWER_TRANSFER: 410.0, PowerFunction.INSULATION_TEST: TEST_VOLTAGE, PowerFunction.PRECHARGE: BATTERY}  # [V]


# Voltage of a phase [V]; states in which an AC contactor is closed, and in which a cable is in without a session.
MAINS = 230.0
_CLOSED = (ChargeState.CHARGING, ChargeState.RAMPING_DOWN)
_AT_THE_CABLE = (ChargeState.FINISHED, ChargeState.FAULTED, ChargeState.UNLOCKING, ChargeState.PREPARING)
# Functions that a charge controller asks for, by state.
_ASKED = {ChargeState.PRECHARGE: PowerFunction.PRECHARGE}


def healthy_ac(state: ChargeState) -> AcReport:
    """Return what the board sees of an AC output in a state when nothing is wrong: three phases, 16 A offered."""
    plugged, closed = state in _SESSION_STATES or state in _AT_THE_CABLE, state in _CLOSED
    pilot = PilotState.C if closed else PilotState.B if plugged else PilotState.A
    offered = state in (ChargeState.WAITING_FOR_REQUEST, ChargeState.CHARGING)
    level = LEVELS[pilot]
    power = MAINS * 16.0 if state is ChargeState.CHARGING else 0.0
    return AcReport(
        pilot_state=pilot,
        pilot_high=level,
        pilot_low=-12.0 if offered else level,
        pilot_duty_percent=duty_of(16.0) if offered else 100.0,
        cable_current=32.0 if plugged else float("nan"),
        voltage_l1=MAINS,
        voltage_l2=MAINS,
        voltage_l3=MAINS,
        frequency=50.0,
        power_l1=power,
        power_l2=power,
        power_l3=power,
        output_live=closed,
        phases_closed=3 if closed else 0,
        residual_current_tested=True,
    )


def healthy_pilot(state: ChargeState) -> dict[str, Any]:
    """Return each input's value of an AC output as it is in a state when nothing is wrong."""
    values, closed, charging = healthy(state), state in _CLOSED, state is ChargeState.CHARGING
    current = 16.0 if charging else 0.0
    offered = 16.0 if state in (ChargeState.WAITING_FOR_REQUEST, ChargeState.CHARGING) else float("nan")
    function = PowerFunction.POWER_TRANSFER if charging else PowerFunction.OFF
    bus = CanBusStatus(link=BusLink.IO, health=BusHealth.OK)
    return values | {
        "power": PowerReport(complete=True, age=0.05, voltage=MAINS, current=3.0 * current, enabled=True),
        "io": replace(
            values["io"],
            plugged=False,
            contactor_closed=closed,
            connector_voltage=float("nan"),
            ac=healthy_ac(state),
            ac_current_l1=current,
            ac_current_l2=current,
            ac_current_l3=current,
        ),
        "can_status": replace(values["can_status"], buses=(bus,)),
        "power_command": PowerCommand(function=function, voltage=MAINS if charging else 0.0, current=3.0 * current),
        "io_command": IoCommand(close_contactor=closed, lock=state in POWERED_STATES, phases=3, pilot_current=offered),
    }


def healthy(state: ChargeState, link: str = "chademo") -> dict[str, Any]:
    """Return each input's value as it is in a state when nothing is wrong."""
    if link == "pilot":
        return healthy_pilot(state)
    closed, voltage, current, function = _OUTPUT.get(state, (False, 2.0, 0.0, PowerFunction.OFF))
    powered, session = state in POWERED_STATES, state in _SESSION_STATES
    plugged = session or state in (ChargeState.FINISHED, ChargeState.FAULTED, ChargeState.UNLOCKING)
    buses = tuple(CanBusStatus(link=link, health=BusHealth.OK) for link in (BusLink.VEHICLE, BusLink.POWER, BusLink.IO))
    asked = _ASKED.get(state, function)
    controller = ControllerReport(
        interface_version=3,
        plugged=plugged,
        session_announced=session,
        emergency=EmergencyOrigin.NONE,
        function=asked,
        close_contactor=closed,
    )
    io = IoReport(complete=True, age=0.02, plugged=plugged, permission=powered, locked=powered, contactor_closed=closed, earth_ok=True)
    return {
        "vehicle": VehicleReport(
            complete=session,
            age=0.05 if session else float("nan"),
            max_voltage=VEHICLE_MAXIMUM,
            target_voltage=410.0,
            current_request=80.0 if state is ChargeState.CHARGING else 0.0,
            charging_enabled=powered,
            contactor_open=state not in CONNECTED_STATES,
        )
        if link == "chademo"
        else VehicleReport(
            link=VehicleLink.SECC,
            complete=True,
            age=0.05,
            max_voltage=VEHICLE_MAXIMUM,
            current_request=80.0 if state is ChargeState.CHARGING else 0.0,
            charging_enabled=state in CONNECTED_STATES,
            controller=controller,
        ),
        "power": PowerReport(
            complete=True,
            age=0.05,
            voltage=voltage,
            current=current,
            module_temperature=45.0,
            enclosure_temperature=35.0,
            enabled=powered,
            insulation_resistance=510e3,
            module_count=MODULES,
            modules_working=MODULES,
        ),
        "io": replace(
            io,
            connector_voltage=voltage,
            connector_temperature=40.0,
            coolant_flow=4.0,
            coolant_temperature=30.0,
            pilot_fault=PilotFault.NONE,
        ),
        "can_status": CanStatus(buses=buses, power_allowed=state in PERMIT_STATES, cut_cause=CutCause.NONE),
        "session": SessionState(
            state=state, session_id="s-1" if session else "", session_active=session, transaction_active=session, plugged=plugged
        ),
        "power_command": PowerCommand(
            function=function,
            voltage=_TARGET.get(function, 0.0),
            current=CURRENT.get(function, 0.0),
            lower_output_voltage=state in _LOWERED,
        ),
        "io_command": IoCommand(close_contactor=closed, lock=powered),
        "cabinet": CabinetReport(outlet=1, age=0.05, modules_connected=2, modules_running=2),
        "meter": MeterReading(register_wh=1000.0, session_id="s-1" if session else "", healthy=True),
    }


def node_health(name: str) -> NodeHealth:
    """Return what a node says when nothing is wrong."""
    return NodeHealth(node=name, started=500.0, description=DESCRIPTION, free_space=_FREE.get(name, float("nan")))


Changes = Mapping[str, Mapping[str, Any]]


class Bench:
    """A monitor, its clock, and everything that it said."""

    def __init__(self, config: SafetyConfig | None = None) -> None:
        self.config = config or SafetyConfig()
        self.monitor = SafetyMonitor(self.config, expected=EXPECTED, description=DESCRIPTION)
        self.now = 1000.0
        self.events: list[FaultEvent] = []
        self.outputs = SafetyOutputs(SafetyMonitor(self.config).step(SafetyInputs(), 0.0).state)

    def run(self, seconds: float, state: ChargeState, changes: Changes | None = None, ages: Mapping[str, float] | None = None) -> None:
        """Step on with the inputs of a state, some fields changed and some inputs received so and so long ago (inf: never)."""
        link, steps = self.config.vehicle_link, max(round(seconds / STEP), 1)
        if any(callable(value) for fields in (changes or {}).values() for value in fields.values()):
            for _ in range(steps):
                self.step(inputs(state, self.now, changes, ages, link))
            return
        # What stays is made once.
        stays = values_of(state, changes or {}, link)
        for _ in range(steps):
            self.step(sampled(stays, self.now, ages or {}, (changes or {}).get("inputs", {})))

    def step(self, given: SafetyInputs) -> None:
        """Take one step and go on by 50 ms."""
        self.outputs = self.monitor.step(given, self.now)
        self.events += self.outputs.events
        self.now += STEP

    @property
    def faults(self) -> tuple[str, ...]:
        """The faults that hold."""
        return self.outputs.state.faults

    @property
    def permit(self) -> bool:
        """Whether power may flow."""
        return self.outputs.state.permit


def inputs(
    state: ChargeState, now: float, changes: Changes | None = None, ages: Mapping[str, float] | None = None, link: str = "chademo"
) -> SafetyInputs:
    """Return samples of healthy values with changes applied, received 10 ms ago unless ages says otherwise.

    A change may be a function of now. Single modules and meter follow the modules together, the lock command its feedback, unless they are changed themselves.
    Changes and ages of a node's health stand under its full name.
    """
    changes = {
        name: {key: value(now) if callable(value) else value for key, value in fields.items()} for name, fields in (changes or {}).items()
    }
    return sampled(values_of(state, changes, link), now, ages or {}, changes.get("inputs", {}))


def values_of(state: ChargeState, changes: Changes, link: str) -> dict[str, Any]:
    """Return the value of each input, and of each node's health by its full name."""
    values = {name: replace(value, **changes.get(name, {})) for name, value in healthy(state, link).items()}
    share = values["power"].current / MODULES
    values["power"] = replace(values["power"], **({"module_current_min": share, "module_current_max": share} | changes.get("power", {})))
    power = values["power"]
    measured = {"voltage": power.voltage, "current": power.current, "power": power.voltage * power.current}
    values["meter"] = replace(values["meter"], **(measured | changes.get("meter", {})))
    if state not in POWERED_STATES:
        values["io_command"] = replace(values["io_command"], **({"lock": values["io"].locked} | changes.get("io_command", {})))
    return values | {name: replace(node_health(name), **changes.get(name, {})) for name in EXPECTED}


def sampled(values: Mapping[str, Any], now: float, ages: Mapping[str, float], facts: Mapping[str, Any]) -> SafetyInputs:
    """Return the values as they were received: 10 ms ago, the nodes' health 400 ms ago, unless ages says otherwise."""
    samples: dict[str, Any] = {}
    nodes: dict[str, Sample[NodeHealth]] = {}
    for name, value in values.items():
        age = ages.get(name, 0.4 if name in EXPECTED else 0.01)
        sample = None if age == float("inf") else Sample(value, now - age)
        if name not in EXPECTED:
            samples[name] = sample
        elif sample is not None:
            nodes[name] = sample
    return SafetyInputs(**samples, **({"stamp": now, "nodes": nodes, "description": DESCRIPTION} | dict(facts)))
