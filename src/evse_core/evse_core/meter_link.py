"""Which energy meter an EVSE has and how it is reached: section `meter` of the station description."""

from dataclasses import dataclass

from evse_core.parameter import parameter
from evse_core.rating import MOST_POWER
from evse_core.vehicle_link import PILOT, link_parameter

POWER_LINK, MODBUS, CAN = "power_link", "modbus", "can"
KINDS = (POWER_LINK, MODBUS, CAN)
PARITIES = ("N", "E", "O")
_MANUAL = "manual of the meter"
# What a simulated meter calls its model.
SIMULATED = "SIMULATED"


@dataclass(frozen=True, slots=True)
class MeterLinkConfig:
    """The meter: how it is reached, what is expected of it, and the cable behind it."""

    kind: str = parameter(
        POWER_LINK,
        "",
        "power_link: readings of the power modules or the I/O board, integrated, never legal for billing; modbus; can: a meter on the I/O bus",
        "can.md 7.5",
    )
    map: str = parameter("", "", "Register map of a meter on Modbus: a name from config/meters, or a path", _MANUAL)
    host: str = parameter("", "", "Modbus TCP: host name or address", _MANUAL)
    port: int = parameter(502, "", "Modbus TCP: port", "IANA: mbap 502", 1, 65535)
    serial_port: str = parameter("", "", "Modbus RTU: serial port, such as /dev/ttyUSB0", _MANUAL)
    baud_rate: int = parameter(9600, "bit/s", "Modbus RTU: bit rate", "Eastron SDM630 and DCM230: 9600", 1200, 921600)
    parity: str = parameter("N", "", "Modbus RTU: parity N, E or O", "Eastron SDM630 and DCM230: none")
    stop_bits: int = parameter(1, "", "Modbus RTU: stop bits", "Eastron SDM630 and DCM230: 1", 1, 2)
    unit_id: int = parameter(1, "", "Modbus: unit identifier", "Modbus over Serial Line 1.02, 2.2: 1 to 247", 0, 255)
    poll_period: float = parameter(
        0.5, "s", "Time from one reading to the next", "own: two readings of Modbus RTU at 9600 baud", 0.05, 10.0
    )
    answer_timeout: float = parameter(0.5, "s", "Longest wait for an answer", "own: SDM630 answers within 0.1 s at 9600 baud", 0.05, 10.0)
    max_age: float = parameter(3.0, "s", "A reading older than this speaks for nothing", "own: six readings of 0.5 s", 0.5, 60.0)
    end_wait: float = parameter(
        5.0, "s", "Longest wait for the end reading; then the last one counts, marked", "own: a meter starts within 5 s", 0.1, 60.0
    )
    register_delay: float = parameter(
        1.0,
        "s",
        "An end reading is asked for this much after the end: registers of a meter come late",
        "own: meters renew them once a second",
        0.0,
        10.0,
    )
    serial: str = parameter("", "", "Serial number that the meter must have; naming a new one accepts an exchange", "nameplate")
    certificate: str = parameter(
        "", "", "Certificate under which the meter is legal for billing, such as MID DE-M 24; empty: it is not", "nameplate; can.md 7.5"
    )
    reversed: bool = parameter(False, "", "The meter counts the other way: its import is energy from the vehicle", "wiring")
    cable_milliohm: float = parameter(
        0.0,
        "mOhm",
        "Resistance of the cable behind the meter, forth and back; of three phases, of each; 0: losses are not compensated",
        "can.md 7.1: LC",
        0.0,
        500.0,
    )
    jump_wh: float = parameter(
        200.0, "Wh", "A register may rise by this much more than the rating allows", "own: two steps of a register of 0.1 kWh", 1.0, 10e3
    )
    stuck_wh: float = parameter(
        500.0,
        "Wh",
        "A register that stands still while the power modules deliver this much is stuck",
        "own: five steps of 0.1 kWh",
        1.0,
        10e3,
    )
    max_power: float = parameter(50_000.0, "W", "Highest power of this EVSE", "rating", 100.0, MOST_POWER)
    max_discharge_power: float = parameter(0.0, "W", "Highest power from the vehicle", "rating", 0.0, MOST_POWER)
    vehicle_link: str = link_parameter()
    simulated: bool = parameter(False, "", "The meter is simulated, and therefore never legal", "can.md 7.5: simulated meters")

    def __post_init__(self) -> None:
        """Raise ValueError where names are none that are known, or the parts of an address do not fit together."""
        if self.kind not in KINDS:
            raise ValueError(f"kind: {self.kind!r} is none of {', '.join(KINDS)}")
        if self.parity not in PARITIES:
            raise ValueError(f"parity: {self.parity!r} is none of {', '.join(PARITIES)}")
        if self.kind != MODBUS:
            given = next((name for name in ("map", "host", "serial_port") if getattr(self, name)), "")
            if given:
                raise ValueError(f"{given}: belongs to kind {MODBUS}, not {self.kind}")
        elif not self.map:
            raise ValueError(f"map: is missing with kind {MODBUS}")
        elif bool(self.host) == bool(self.serial_port):
            raise ValueError(f"host: kind {MODBUS} has either host (TCP) or serial_port (RTU)")
        if self.kind == POWER_LINK and (self.certificate or self.serial):
            raise ValueError(f"{'certificate' if self.certificate else 'serial'}: an integrated value (kind {POWER_LINK}) has none")
        if self.kind == POWER_LINK and self.vehicle_link == PILOT and self.cable_milliohm:
            raise ValueError("cable_milliohm: an integrated value of AC does not know the currents of the phases")
        if self.simulated and self.certificate:
            raise ValueError("certificate: a simulated meter has none")
        if self.end_wait <= self.register_delay:
            raise ValueError(f"end_wait: {self.end_wait} s is not above register_delay, {self.register_delay} s")
        if self.max_age < 2.0 * self.poll_period:
            raise ValueError(f"max_age: {self.max_age} s is below two poll_period of {self.poll_period} s")

    @property
    def legal(self) -> bool:
        """Whether its values may be billed by: a meter with a certificate that is no simulation."""
        return bool(self.certificate) and self.kind != POWER_LINK and not self.simulated

    @property
    def cable_resistance(self) -> float:
        """Resistance of the cable [ohm]."""
        return self.cable_milliohm / 1000.0

    @property
    def address(self) -> str:
        """Where the meter is, for people."""
        if self.kind != MODBUS:
            return self.kind
        return f"{self.host}:{self.port} unit {self.unit_id}" if self.host else f"{self.serial_port} unit {self.unit_id}"
