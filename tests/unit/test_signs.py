"""What every place that looks at a current or a power does at -20 A: one table, so that nobody assumes a sign in silence."""

from collections.abc import Callable
from dataclasses import replace
from math import isnan
from typing import Any

import pytest
from can_bench import CHADEMO, EVSE_V3
from charge_sequencer_rig import Rig
from safety_bench import BATTERY, Bench

from evse_core.charge_sequencer_view import requested
from evse_core.codecs.chademo import ChademoStation
from evse_core.codecs.evse_v3 import PowerOutput, power_control
from evse_core.codecs.secc import SeccStation
from evse_core.energy_meter import EnergyMeter, MeterConfig
from evse_core.ocpp16_messages import SUPPORTED_MEASURANDS, meter_values
from evse_core.safety_monitor import SafetyConfig
from evse_core.safety_view import requested_current
from evse_core.types import (
    ChargeState,
    ControllerCommand,
    MeterReading,
    PowerCommand,
    PowerFunction,
    PowerReport,
    VehicleCommand,
    VehicleReport,
)
from evse_simulators.battery import Battery, BatteryConfig
from evse_simulators.circuit import Circuit, CircuitConfig, Load, Source
from evse_tools.demo_track import Track
from evse_tools.live_table import cells

I = -20.0  # [A]  # noqa: E741
COMMAND = PowerCommand(function=PowerFunction.POWER_TRANSFER, voltage=410.0, current=I)
REPORT = PowerReport(complete=True, age=0.0, voltage=360.0, current=I, enabled=True)
METER = MeterReading(voltage=360.0, current=I, power=360.0 * I, register_wh=5.0, export_register_wh=7.0, session_id="s")


def chademo() -> tuple[float, float]:
    """109.3 and 208.0 as the vehicle reads them."""
    frames = ChademoStation(CHADEMO).frames(VehicleCommand(present_current=I, discharge_compatible=True, max_discharge_current=50.0))
    said = {name: value for frame in frames for name, value in CHADEMO.decode(frame).signals.items()}
    return said["present_output_current"], said["present_discharge_current"]


def controller() -> float:
    station = SeccStation(EVSE_V3, 1, 0.2)
    frames = station.frames(VehicleCommand(controller=ControllerCommand(enabled=True)), REPORT, 0.0)
    return EVSE_V3.decode(frames[0]).signals["Present_Current"]


def metered() -> tuple[float, float]:
    meter = EnergyMeter(MeterConfig(), 0.0)
    for now in (0.0, 1.0):
        meter.on_report(REPORT, now)
    return meter.register_wh, meter.export_register_wh


def ocpp() -> dict[str, str]:
    request = meter_values(1, METER, 50.0, SUPPORTED_MEASURANDS)
    assert request is not None
    return {item["measurand"]: item["value"] for item in request.payload["meterValue"][0]["sampledValue"]}


def faults(state: ChargeState, seconds: float, **power: float) -> tuple[str, ...]:
    bench = Bench(SafetyConfig())
    bench.run(0.2, ChargeState.CHARGING)
    bench.run(seconds, state, {"power": {"current": I} | power})
    return bench.faults


def stopping(current: float) -> bool:
    """Whether the contactor opens while this current flows."""
    rig = Rig()
    rig.to(ChargeState.CHARGING).run(2.0)
    rig.patch["power"] = {"current": current}
    rig.stop()
    rig.run(1.5)
    return not rig.out.io.close_contactor


def circuit() -> float:
    return Circuit(CircuitConfig()).step(Source(True, 410.0, I), Load(True, True, 360.0, 0.1), 0.05).current


def battery() -> float:
    made = Battery(BatteryConfig())
    made.step(I, 10.0)
    return made.soc_percent - BatteryConfig().soc_percent


def live() -> str:
    track = Track(1)
    track.take(replace(METER, session_energy_wh=100.0, session_export_wh=25.0))
    return " ".join(cells(track)[3:7])


# place, what it does, what must come out
PLACES: list[tuple[str, Callable[[], Any], Any]] = [
    ("set point to the modules", lambda: power_control(PowerOutput(COMMAND))["Current_Range_Max"], I),
    ("set point to the modules, least", lambda: power_control(PowerOutput(COMMAND))["Current_Range_Min"], I),
    ("109.3 and 208.0 to a CHAdeMO vehicle", chademo, (0.0, 20.0)),
    ("Present_Current to a charge controller", controller, I),
    ("request of a vehicle is none", lambda: requested(VehicleReport(current_request=I)), 0.0),
    ("charge that the monitor explains", lambda: requested_current(COMMAND, VehicleReport(), ChargeState.CHARGING), 0.0),
    ("both registers of the meter", metered, (0.0, pytest.approx(2.0))),
    ("OCPP: energy", lambda: (ocpp()["Energy.Active.Import.Register"], ocpp()["Energy.Active.Export.Register"]), ("5.000", "7.000")),
    ("OCPP: power", lambda: (ocpp()["Power.Active.Import"], ocpp()["Power.Active.Export"]), ("0.0", "7200.0")),
    ("OCPP: current", lambda: (ocpp()["Current.Import"], ocpp()["Current.Export"]), ("0.0", "20.0")),
    ("no discharge is known: a fault", lambda: "reverse_current" in faults(ChargeState.CHARGING, 1.0), True),
    ("no over-current", lambda: "over_current" in faults(ChargeState.CHARGING, 1.0), False),
    ("without a session: a fault", lambda: "current_without_session" in faults(ChargeState.AVAILABLE, 1.5), True),
    ("permission withdrawn: a fault", lambda: "vehicle_stop_not_followed" in faults(ChargeState.RAMPING_DOWN, 3.0), True),
    ("two voltage sensors are compared", lambda: "voltage_spread" in faults(ChargeState.CHARGING, 31.0, voltage=BATTERY + 60.0), True),
    ("meter and modules agree", lambda: "meter_disagrees" in faults(ChargeState.CHARGING, 11.0), False),
    ("the contactor does not open", lambda: stopping(I), False),
    ("the contactor opens at -0.5 A", lambda: stopping(-0.5), True),
    ("the simulated path", lambda: circuit() == pytest.approx(I, abs=0.01), True),
    ("the simulated battery loses charge", lambda: battery() < 0.0, True),
    ("the demo's table", live, "360 -20.0 -7.2 0.100 -0.025"),
]


@pytest.mark.parametrize(("place", "look", "expected"), PLACES, ids=[place for place, _, _ in PLACES])
def test_at_minus_20_a(place: str, look: Callable[[], Any], expected: Any) -> None:
    assert look() == expected


def test_what_is_exported_is_told_only_where_there_is_something() -> None:
    charging = replace(METER, current=20.0, power=7200.0, export_register_wh=0.0)
    request = meter_values(1, charging, 50.0, SUPPORTED_MEASURANDS)
    assert request is not None
    told = [item["measurand"] for item in request.payload["meterValue"][0]["sampledValue"]]
    assert not [name for name in told if "Export" in name]


def test_unknown_current_is_neither_way() -> None:
    unknown = replace(METER, current=float("nan"), power=float("nan"))
    request = meter_values(1, unknown, 50.0, SUPPORTED_MEASURANDS)
    assert request is not None
    told = {item["measurand"] for item in request.payload["meterValue"][0]["sampledValue"]}
    assert not told & {"Current.Import", "Current.Export", "Power.Active.Import", "Power.Active.Export"}
    assert isnan(MeterReading().export_register_wh)
