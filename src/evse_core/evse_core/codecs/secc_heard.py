"""What a charge controller (SECC) has said, message by message, and what it means: its phase, an emergency, what it asks for and tells of the vehicle."""

import math
from collections.abc import Iterable, Mapping
from math import nan as NAN
from typing import Any

from evse_core.codecs.evse_v3 import FUNCTIONS, RANGE_MODE, STATES
from evse_core.types import ControllerPhase, ControllerReport, EmergencyOrigin, Plug, PowerFunction, VehicleProtocol

# The controller's heartbeat, and what it asks for.
PULSE, CONTROL = "Advantics_Controller_Status", "DC_Power_Control"
_FUNCTIONS = {number: function for function, number in FUNCTIONS.items()}
_PHASES = {number: phase for phase, number in STATES.items()}
_ORIGINS = {1: EmergencyOrigin.STATION, 3: EmergencyOrigin.VEHICLE}
# Phases in which a vehicle is connected, whatever the pilot says.
_PLUGGED_PHASES = frozenset(ControllerPhase) - {
    ControllerPhase.UNKNOWN,
    ControllerPhase.INITIALISING,
    ControllerPhase.WAITING_FOR_VEHICLE,
    ControllerPhase.NOT_AVAILABLE,
}
# Voltages of the control pilot with a vehicle: states B, C, D (../shared/reference/can.md 1.3, CCS_Extra_Information). [V]
_PILOT_WITH_VEHICLE = (9.0, 6.0, 3.0)
# Emergency_Stop is repeated every 100 ms while it is in force: so long after the last one it is over. Own choice: three periods. [s]
EMERGENCY_HOLD = 0.3
# CCS_Extra_Information and the like come every 100 ms: older ones count no longer. Own choice: five periods. [s]
EXTRA_LIMIT = 0.5


class Heard:
    """The newest signals of each message, and when they came [s]."""

    def __init__(self) -> None:
        self._signals: dict[str, Mapping[str, float]] = {}
        self._received: dict[str, float] = {}

    def take(self, name: str, signals: Mapping[str, float], now: float) -> bool:
        """Take a message; return whether it says something else than before."""
        news = signals != self._signals.get(name)
        self._signals[name], self._received[name] = signals, now
        return news

    def forget(self, names: Iterable[str]) -> None:
        """Forget what some messages said, not when they came."""
        for name in names:
            self._signals.pop(name, None)

    def said(self, message: str, signal: str) -> float:
        """Return a signal, NaN where it was not told."""
        return self._signals.get(message, {}).get(signal, NAN)

    def received(self, message: str) -> float:
        """Return when a message came last [s], -inf for never."""
        return self._received.get(message, -math.inf)

    @property
    def phase(self) -> ControllerPhase:
        """Where the controller stands, by its heartbeat."""
        return (
            _PHASES.get(int(self._signals[PULSE]["State"]), ControllerPhase.UNKNOWN) if PULSE in self._signals else ControllerPhase.UNKNOWN
        )

    def emergency(self, now: float) -> EmergencyOrigin:
        """Return who has stopped in an emergency, NONE for nobody."""
        if now - self.received("Emergency_Stop") > EMERGENCY_HOLD:
            return EmergencyOrigin.NONE
        return _ORIGINS.get(int(self._signals["Emergency_Stop"]["Origin"]), EmergencyOrigin.UNKNOWN)

    def _recent(self, message: str, now: float) -> Mapping[str, float]:
        """Return the signals of a periodic message that only informs; none where it is old."""
        return self._signals[message] if now - self.received(message) <= EXTRA_LIMIT else {}

    def controller(self, now: float, **session: Any) -> ControllerReport:
        """Return what is known of the controller now; `session` are the fields that no single message tells."""
        said, control, announced = self.said, self._signals.get(CONTROL, {}), self._signals.get("New_Charge_Session", {})
        pilot, mcs, phase = self._recent("CCS_Extra_Information", now), self._recent("MCS_Extra_Information", now), self.phase
        pilot_voltage = pilot.get("CP_State", NAN)
        discharge = "EV_Information_Discharge_Limits"
        return ControllerReport(
            phase=phase,
            protocol=_enumerated(VehicleProtocol, announced.get("Communication_Protocol", NAN)),
            plug=_enumerated(Plug, announced.get("Plug_and_pins", NAN)),
            plugged=phase in _PLUGGED_PHASES or pilot_voltage in _PILOT_WITH_VEHICLE or mcs.get("ID_State", 0.0) > 0.0,
            emergency=self.emergency(now),
            function=_FUNCTIONS.get(int(control["Power_Function"]), PowerFunction.UNKNOWN) if control else PowerFunction.UNKNOWN,
            voltage=control.get("Target_Voltage", NAN),
            current_max=control.get("Current_Range_Max", NAN),
            current_min=control.get("Current_Range_Min", NAN),
            range_mode=control.get("Setpoints_Mode") == RANGE_MODE,
            close_contactor=control.get("Output_Contactors") == 1.0,
            lower_output_voltage=control.get("Lower_Output_Voltage") == 1.0,
            dynamic_current=said("OCPP_Control", "Dynamic_Target_Current"),
            vehicle_voltage=said("EV_Information_Voltages", "EV_Present_Voltage"),
            min_power=said("EV_Information_Charge_Limits", "EV_Minimum_Charge_Power") * 1e3,
            max_power=said("EV_Information_Charge_Limits", "EV_Maximum_Charge_Power") * 1e3,
            min_discharge_current=said(discharge, "EV_Minimum_Discharge_Current"),
            max_discharge_current=said(discharge, "EV_Maximum_Discharge_Current"),
            min_discharge_power=said(discharge, "EV_Minimum_Discharge_Power") * 1e3,
            max_discharge_power=said(discharge, "EV_Maximum_Discharge_Power") * 1e3,
            min_soc_percent=said("EV_Information_Battery", "Minimum_State_of_Charge"),
            target_soc_percent=said("EV_Information_Battery", "Target_State_of_Charge"),
            max_soc_percent=said("EV_Information_Battery", "Maximum_State_of_Charge"),
            min_energy_request_wh=said("EV_Information_Energy", "EV_Minimum_Energy_Request") * 1e3,
            target_energy_request_wh=said("EV_Information_Energy", "EV_Target_Energy_Request") * 1e3,
            max_energy_request_wh=said("EV_Information_Energy", "EV_Maximum_Energy_Request") * 1e3,
            vehicle_id=_hex(self._signals.get("EV_ID_CCS_Part2_DIN", {})),
            pilot_voltage=pilot_voltage,
            pilot_duty_percent=pilot.get("CP_Duty_Cycle", NAN),
            charge_enable_state=int(mcs.get("CE_State", 0)),
            insertion_state=int(mcs.get("ID_State", 0)),
            **self._inputs(),
            **session,
        )

    def _inputs(self) -> dict[str, Any]:
        """Return inputs and temperatures of whichever board the controller is."""
        found: dict[str, float] = {}
        for message in ("ADM_CO_CUI1_Inputs", "ADM_CS_SECC_Inputs", "ADM_CS_SPCC_Inputs"):
            found |= self._signals.get(message, {})
        bits = sum(1 << index for index, name in enumerate(_input_names(found)) if found[name] == 1.0)
        return {
            "inputs": bits,
            "connector_temperature": _hottest(found, ("Pistol_PTC1", "Pistol_PTC2", "PT1K_A", "PT1K_B", "PT1KS_C", "PT1KS_D")),
            "controller_temperature": _hottest(found, ("CPU_Temperature", "CPU_Temperature0", "CPU_Temperature1")),
        }


def _enumerated(kind: Any, wire: float) -> Any:
    """Return the member of an enumeration that counts from 1 where the wire counts from 0; UNKNOWN for what it does not name."""
    number = -1 if math.isnan(wire) else int(wire)
    return kind(number + 1) if number + 1 in {int(member) for member in kind} else kind(0)


def _input_names(found: Mapping[str, float]) -> list[str]:
    return sorted(name for name in found if name.startswith(("SWITCH", "Digital_Input")))


def _hottest(found: Mapping[str, float], names: tuple[str, ...]) -> float:
    """Return the highest of some temperatures [degC], NaN where none is told; raw 0 stands for a sensor that is not fitted."""
    told = [found[name] for name in names if found.get(name, -40.0) > -40.0]
    return max(told, default=NAN)


def _hex(signals: Mapping[str, float]) -> str:
    return "".join(f"{int(signals[f'Byte{index}']):02X}" for index in range(6) if f"Byte{index}" in signals)
