"""Helpers for tests around CAN: the databases, frames of the devices, and a bridge on a clock that a test turns."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from evse_core.can_bridge import CanBridge, CanBridgeConfig, Outgoing
from evse_core.codecs.signals import Decoded
from evse_core.frame import Frame
from evse_core.types import (
    BusLink,
    ControllerPhase,
    IoCommand,
    PowerCommand,
    PowerFunction,
    Reaction,
    SafetyState,
    VehicleCommand,
)
from evse_nodes.databases import load

CHADEMO, EVSE_V3, IO = load("chademo"), load("evse_v3"), load("io_board")
DATABASES = {BusLink.VEHICLE: CHADEMO, BusLink.POWER: EVSE_V3, BusLink.IO: IO}
LOGS = Path(__file__).resolve().parents[3] / "shared" / "can_logs"

PERMIT = SafetyState(permit=True, reaction=Reaction.NONE)
NO_PERMIT = SafetyState(permit=False, reaction=Reaction.NONE)
CHARGING = PowerCommand(
    function=PowerFunction.POWER_TRANSFER, voltage=410.0, current=50.0, session_announced=True, phase=ControllerPhase.CHARGING
)
POWER_OFF = PowerCommand(function=PowerFunction.OFF, session_announced=True, phase=ControllerPhase.CONNECTED)
CONTACTOR = IoCommand(sequence_1=True, sequence_2=True, lock=True, close_contactor=True)
LINES_OFF = IoCommand(lock=True)
TO_VEHICLE = VehicleCommand(
    transmit=True, protocol_number=2, available_voltage=500.0, available_current=100.0, charging=True, connector_locked=True
)


def log_frames(name: str) -> Iterator[tuple[float, Frame]]:
    """Yield (time [s], frame) of a recording in ../shared/can_logs."""
    with (LOGS / name).open() as file:
        for row in csv.DictReader(file, restkey="rest"):
            data = bytes(int(row[f"D{index + 1}"], 16) for index in range(int(row["LEN"])))
            yield int(row["Time Stamp"]) * 1e-6, Frame(int(row["ID"], 16), data, row["Extended"] == "true")


def vehicle_frames(request: float = 50.0, **status: float) -> list[Frame]:
    """Return the three periodic frames of a vehicle that charges."""
    signals = {"control_protocol_number": 2, "target_battery_voltage": 410, "charging_current_request": request, "charged_rate": 50}
    return [
        CHADEMO.encode("EV_ChargingLimits", {"max_battery_voltage": 435, "charged_rate_reference": 100}),
        CHADEMO.encode("EV_ChargingTime", {"max_charging_time_10s": 2550, "max_charging_time_min": 60}),
        CHADEMO.encode("EV_Status", signals | {"status_charging_enabled": 1} | status),
    ]


def module_status(voltage: float = 400.0, current: float = 50.0, enable: float = 1, pistol: int = 1) -> Frame:
    return EVSE_V3.encode(
        "Power_Modules_Status", {"Present_Voltage": voltage, "Present_Current": current, "System_Enable": enable}, pistol=pistol
    )


def board_inputs(alive: int = 0, **inputs: float) -> Frame:
    return IO.encode("IO_Inputs", {"Plugged": 1, "Earth_Ok": 1, "Alive": alive % 256} | inputs)


class Bench:
    """A bridge with a sequencer and a monitor that speak every 50 ms unless a test silences them."""

    def __init__(self, **config: float) -> None:
        self.bridge = CanBridge(replace(CanBridgeConfig(), **config), {"chademo": CHADEMO, "evse_v3": EVSE_V3, "io_board": IO})  # type: ignore[arg-type]
        self.now = 100.0
        self.sent: list[tuple[float, Outgoing]] = []
        self.safety: SafetyState | None = PERMIT
        self.power: PowerCommand | None = POWER_OFF
        self.io: IoCommand | None = LINES_OFF
        self.vehicle: VehicleCommand | None = TO_VEHICLE
        self._next_word = self.now

    def speak(self) -> None:
        """Hand in one message of each that is not silenced."""
        for value, take in (
            (replace(self.safety, given=self.now) if self.safety else None, self.bridge.on_safety),
            (self.power, self.bridge.on_power_command),
            (self.io, self.bridge.on_io_command),
            (self.vehicle, self.bridge.on_vehicle_command),
        ):
            if value is not None:
                take(value, self.now)  # type: ignore[operator]

    def run(self, duration: float, step: float = 0.01) -> None:
        """Let time pass; collects what is sent."""
        end = self.now + duration
        while self.now < end - 1e-9:
            if self.now >= self._next_word - 1e-9:
                self.speak()
                self._next_word = self.now + 0.05
            self.step()
            self.now = round(self.now + step, 6)

    def step(self) -> list[Outgoing]:
        """Ask for frames now."""
        outgoing = self.bridge.step(self.now)
        self.sent += [(self.now, item) for item in outgoing]
        return outgoing

    def charge(self) -> None:
        """Arm the bridge and bring it to power transfer under a permit."""
        self.run(0.2)
        self.power, self.io = CHARGING, CONTACTOR
        # 20 ms past a period, so that nothing is due by itself.
        self.run(0.23)
        assert self.last("DC_Power_Control")["Power_Function"] == 8
        assert self.last("IO_Outputs")["Close_Contactor"] == 1
        self.sent.clear()

    def decoded(self, name: str) -> list[tuple[float, Decoded]]:
        """Return (time, decoded frame) of every sent frame with this message name."""
        found = ((at, DATABASES[item.link].decode(item.frame)) for at, item in self.sent)
        return [(at, item) for at, item in found if item.name == name]

    def last(self, name: str) -> dict[str, float]:
        """Return the signals of the last sent frame with this message name."""
        return dict(self.decoded(name)[-1][1].signals)

    @property
    def energised(self) -> bool:
        """Whether the devices were last told to put power on the output."""
        return self.last("DC_Power_Control")["Power_Function"] not in (0, 1) or self.last("IO_Outputs")["Close_Contactor"] == 1
