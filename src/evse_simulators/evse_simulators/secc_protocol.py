"""What a charge controller does its own way by the protocol that it speaks with its vehicle: a row each (../shared/reference/can.md 1.3, 1.4)."""

from collections.abc import Callable
from dataclasses import dataclass

from evse_core.types import ControllerPhase as P

# Communication_Protocol of CHAdeMO 0.9, 1.0 to 1.2 and 2.0, and of ISO 15118-20; Plug_and_pins of MCS (can.md 1.3).
CHADEMO_PROTOCOLS, ISO_15118_20, MCS_PLUG = (3, 4, 5), 7, 4
# Signals of the control pilot by whether a vehicle is there and ready for power: states A, B, C (can.md 1.3). [V]
PILOT_FREE, PILOT_CONNECTED, PILOT_READY = 12.0, 9.0, 6.0
# 5 % says that digital communication is wanted, 100 % that the controller is not ready (IEC 61851-1 annex A; can.md 1.3). [%]
DUTY_DIGITAL, DUTY_OFF = 5.0, 100.0
# CE_State and ID_State (can.md 1.3) of MCS. Own reading of the names after those of the pilot: A free, B0 connected, B while they talk, C ready.
CE_FREE, CE_CONNECTED, CE_TALKING, CE_READY = 1.0, 2.0, 4.0, 6.0
UNMATED, MATED = 0.0, 1.0
_READY = (P.WAITING_FOR_CHARGE, P.CHARGING)


@dataclass(frozen=True, slots=True)
class Connection:
    """What a measurement of the connector's signal lines tells."""

    plugged: bool
    talks: bool
    phase: P

    @property
    def ready(self) -> bool:
        """The vehicle is ready for power."""
        return self.phase in _READY


# Name of the message about the signal lines, and its signals.
Lines = tuple[str, dict[str, float]]


def _no_lines(connection: Connection) -> Lines | None:
    return None


def _pilot(connection: Connection) -> Lines:
    voltage = PILOT_FREE if not connection.plugged else PILOT_READY if connection.ready else PILOT_CONNECTED
    return "CCS_Extra_Information", {"CP_State": voltage, "CP_Duty_Cycle": DUTY_DIGITAL if connection.talks else DUTY_OFF}


def _charge_enable(connection: Connection) -> Lines:
    connected = CE_READY if connection.ready else CE_TALKING if connection.talks else CE_CONNECTED
    state = connected if connection.plugged else CE_FREE
    return "MCS_Extra_Information", {"CE_State": state, "ID_State": MATED if connection.plugged else UNMATED}


@dataclass(frozen=True, slots=True)
class Protocol:
    """One row."""

    # A session begins with the start button; else as soon as a connector is in (row 3).
    start_button: bool
    # The station may be asked whether the driver is authorised, in a phase of its own (row 4).
    authorises: bool
    # The output is brought to the battery's voltage before the vehicle's contactor closes; else that closes at a dead output (rows 10a, 10b).
    precharges: bool
    # Lowest resistance that passes the insulation test (row 8). [ohm]
    insulation: float
    # Highest current at which the vehicle opens its contactor (row 13). [A]
    opens_at: float
    # Highest voltage at the inlet at which the connector is unlocked (row 15 for CHAdeMO; touch voltage of section 4 for the others). [V]
    unlocks_at: float
    # Pace of requests; None: the vehicle's own (row 12). [s]
    request_period: float | None
    # The vehicle has an identifier by DIN 70121 or ISO 15118-2 (can.md 1.3, EV_ID_CCS_Part2_DIN).
    identifies: bool
    lines: Callable[[Connection], Lines | None]


CCS = Protocol(False, True, True, 100e3, 1.0, 60.0, None, True, _pilot)
MCS = Protocol(False, True, True, 125e3, 1.0, 60.0, None, False, _charge_enable)
CHADEMO = Protocol(True, False, False, 100e3, 5.0, 10.0, 0.1, False, _no_lines)


def spoken(protocol: int, plug: int) -> Protocol:
    """Return the row for Communication_Protocol and Plug_and_pins; numbers that nobody knows are spoken as CCS."""
    if protocol in CHADEMO_PROTOCOLS:
        return CHADEMO
    return MCS if plug == MCS_PLUG else CCS
