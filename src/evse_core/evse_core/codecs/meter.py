"""A meter on the bus of the I/O board: its frames to a MeterReport, and a report to frames for a simulated one. Protocol: config/can/meter.dbc."""

from collections.abc import Callable, Mapping
from math import inf, isfinite, nan

from evse_core.codecs.signals import SignalDatabase, UnknownId, demand
from evse_core.frame import Frame
from evse_core.meter_link import SIMULATED
from evse_core.types import MeterReport

METER_DATABASE = "meter"
IMPORT, EXPORT, VALUES, STATE, IDENTITY = "Meter_Import", "Meter_Export", "Meter_Values", "Meter_State", "Meter_Identity"
PHASES = ("Meter_Phase_Voltages", "Meter_Phase_Currents", "Meter_Phase_Powers")
# Present values older than this are none: five frames of 200 ms. [s]
LIMIT = 1.0
# Raw 0xFFFFFFFFFFFF of a register. [Wh]
NO_REGISTER = (2**48 - 1) * 0.1
# Fields of a report by frame: signal, and the value that stands for "not known".
FIELDS: Mapping[str, Mapping[str, tuple[str, float]]] = {
    IMPORT: {"import_wh": ("Import", NO_REGISTER)},
    EXPORT: {"export_wh": ("Export", NO_REGISTER)},
    VALUES: {"voltage": ("Voltage", 6553.5), "current": ("Current", -3276.8), "power": ("Power", -8388608.0)},
    PHASES[0]: {f"voltage_l{phase}": (f"Voltage_L{phase}", 6553.5) for phase in (1, 2, 3)} | {"frequency": ("Frequency", 655.35)},
    PHASES[1]: {f"current_l{phase}": (f"Current_L{phase}", -327.68) for phase in (1, 2, 3)},
    PHASES[2]: {f"power_l{phase}": (f"Power_L{phase}", -32768.0) for phase in (1, 2, 3)},
}
# What the meter says is wrong with itself, by signal.
FAULTS = {
    "Disturbed": "it does not measure right",
    "Sensor_Missing": "a sensor is missing",
    "Overload": "overload",
    "Cover_Open": "its cover is open",
}
_NEEDED = {
    **{frame: frozenset(signal for signal, _ in rows.values()) for frame, rows in FIELDS.items()},
    STATE: frozenset((*FAULTS, "Simulated", "Clock")),
    IDENTITY: frozenset(("Serial", "Maker", "Model")),
}
# Own numbers for makers and models; others are shown as numbers.
MAKERS = {0: "", 1: "ros2_evse"}


class CanMeter:
    """What the meter has said."""

    def __init__(self, database: SignalDatabase) -> None:
        self._database = database
        self._signals: dict[str, Mapping[str, float]] = {}
        self._received: dict[str, float] = {}
        self._alive = nan
        self.changes = 0

    def receive(self, frame: Frame, now: float) -> int:
        """Take a frame; return how many unknown enumeration values it held. UnknownId, Malformed."""
        decoded = self._database.decode(frame)
        demand(decoded, _NEEDED)
        signals = decoded.signals
        if decoded.name == VALUES:
            # A counter that stands is an old frame that something repeats: registers then are as old as the last that counted.
            if signals.get("Alive", nan) == self._alive:
                return decoded.unknown_values
            self._alive = signals.get("Alive", nan)
            self.changes += 1
        self._signals[decoded.name], self._received[decoded.name] = signals, now
        return decoded.unknown_values

    @property
    def pulse(self) -> float:
        """Time of the newest present values. [s]"""
        return self._received.get(VALUES, -inf)

    def report(self, now: float) -> MeterReport:
        """Return what is known of the meter now."""
        times = [self._received.get(name, -inf) for name in (IMPORT, VALUES, STATE)]
        complete = min(times) > -inf and IDENTITY in self._signals
        values = {field: value for frame in FIELDS for field, value in self._values(frame, now).items()}
        state, identity = self._signals.get(STATE, {}), self._signals.get(IDENTITY, {})
        return MeterReport(
            complete=complete,
            age=now - min(times) if complete else nan,
            clock=state.get("Clock", 0.0) or nan,
            serial=f"{int(identity.get('Serial', 0))}" if identity.get("Serial") else "",
            vendor=MAKERS.get(int(identity.get("Maker", 0)), f"maker {int(identity.get('Maker', 0))}"),
            model=SIMULATED if state.get("Simulated") else f"model {int(identity.get('Model', 0))}",
            firmware=f"{int(state['Firmware'])}" if "Firmware" in state else "",
            fault=", ".join(words for signal, words in FAULTS.items() if state.get(signal)),
            **values,
        )

    def _values(self, frame: str, now: float) -> dict[str, float]:
        """Return the fields of a frame, NaN where it is old or never came; registers stay, and their age says how old they are."""
        signals = self._signals.get(frame, {})
        fresh = frame == IMPORT or now - self._received.get(frame, -inf) <= LIMIT
        return {field: _known(signals.get(signal, nan), absent) if fresh else nan for field, (signal, absent) in FIELDS[frame].items()}


def _known(value: float, absent: float) -> float:
    return nan if value == absent else value


class BoardAndMeter:
    """Who takes the frames of a bus that I/O board and meter share."""

    def __init__(self, database: SignalDatabase, meter: CanMeter, board_receive: Callable[[Frame, float], int | None]) -> None:
        self._database, self._meter, self._board = database, meter, board_receive

    def receive(self, frame: Frame, now: float) -> int | None:
        """Hand the frame to whom it belongs. UnknownId, Malformed."""
        try:
            self._database.sender(frame)
        except UnknownId:
            return self._board(frame, now)
        return self._meter.receive(frame, now)


def frames(database: SignalDatabase, report: MeterReport, alive: int, simulated: bool = True) -> tuple[Frame, ...]:
    """Return the frames of a meter that says this; alive is a counter, taken modulo 256."""
    told = {
        frame: {signal: _wire(getattr(report, field), absent) for field, (signal, absent) in rows.items()} for frame, rows in FIELDS.items()
    }
    told[VALUES] |= {"Alive": float(alive % 256)}
    told[STATE] = {"Disturbed": float(bool(report.fault)), "Simulated": float(simulated), "Clock": _wire(report.clock, 0.0)}
    told[IDENTITY] = {"Serial": float(report.serial) if report.serial.isdigit() else 0.0, "Maker": 1.0, "Model": 1.0}
    absent = {*(() if isfinite(report.voltage_l1) else PHASES), *(() if isfinite(report.export_wh) else (EXPORT,))}
    return tuple(database.encode(frame, signals) for frame, signals in told.items() if frame not in absent)


def _wire(value: float, absent: float) -> float:
    return value if isfinite(value) else absent
