"""The DC path from the power modules to the battery: voltages and current for given set points and contactor states.

    converter - C_m, bleed - diode -+- sensor, C_o, discharge resistor - output contactor -+- cable - inlet, C_k - vehicle contactor - R_b - EMF
                                     module_voltage                                        connector_voltage

With both contactors closed the path is solved as a static network: its time constants are some 20 us. Without the battery each part is a capacitor on its
resistors, solved by the exact exponential, so that the step length does not matter. The diode keeps the battery from feeding the converter; modules that take
power back have a switch in its place, which conducts only while they do.
"""

from dataclasses import dataclass
from math import exp, isnan, nan

from evse_core.parameter import parameter


@dataclass(frozen=True, slots=True)
class CircuitConfig:
    """Parts of the DC path."""

    module_capacitance: float = parameter(300e-6, "F", "output capacitors of the converters", "some 50 uF per 10 kW module", 1e-6, 0.1)
    bleed_resistance: float = parameter(
        50e3, "ohm", "resistor across these capacitors", "15 s with the capacitance, usual passive bleed", 100.0, 1e7
    )
    discharge_resistance: float = parameter(
        1000.0, "ohm", "switched resistor that lowers the output", "below 20 V in 0.1 to 1.3 s: can.md 2.3 S8", 10.0, 1e5
    )
    diode_drop: float = parameter(0.9, "V", "forward voltage of the output diode", "power diode", 0.0, 5.0)
    output_capacitance: float = parameter(1e-6, "F", "filter capacitance after the diode", "usual", 1e-9, 0.01)
    output_resistance: float = parameter(1e6, "ohm", "voltage divider after the diode", "usual", 1e3, 1e9)
    cable_resistance: float = parameter(0.004, "ohm", "cable and contacts, both poles", "5 m of 50 mm2 and contacts", 0.0, 1.0)
    cable_capacitance: float = parameter(0.5e-6, "F", "cable and filter capacitance at the connector", "usual", 1e-9, 0.01)
    cable_discharge_resistance: float = parameter(
        500e3, "ohm", "divider at the connector", "10 V within 1 s of opening: can.md 2.3 E4", 1e3, 1e9
    )
    station_insulation: float = parameter(5e6, "ohm", "insulation of the station to earth", "healthy installation", 0.0, 1e9)
    vehicle_insulation: float = parameter(8e6, "ohm", "insulation of the vehicle to earth", "healthy vehicle", 0.0, 1e9)


@dataclass(slots=True)
class Source:
    """What the converters do: `voltage` and `current` are limits [V, A], a negative current is taken back; `forced_voltage` is a fault: the output goes there
    whatever the load [V].
    """

    on: bool = False
    voltage: float = 0.0
    current: float = 0.0
    discharge: bool = False
    forced_voltage: float = nan


@dataclass(slots=True)
class Load:
    """What is behind the output contactor: battery EMF [V] and resistance [ohm] behind the vehicle's contactor."""

    contactor_closed: bool = False
    vehicle_contactor_closed: bool = False
    battery_voltage: float = nan
    battery_resistance: float = 0.1


@dataclass(slots=True)
class CircuitState:
    """Voltages [V], current towards the vehicle [A], insulation to earth [ohm]."""

    capacitor_voltage: float = 0.0
    module_voltage: float = 0.0
    connector_voltage: float = 0.0
    current: float = 0.0
    insulation_resistance: float = 0.0


class Circuit:
    """Keeps the charge of the capacitors. `cable_insulation` [ohm] may be changed at any time."""

    def __init__(self, config: CircuitConfig) -> None:
        self.config = config
        self.cable_insulation = 50e6
        self._capacitor = self._output = self._connector = 0.0

    def step(self, source: Source, load: Load, seconds: float) -> CircuitState:
        """Go on by some seconds with the given contactors and limits."""
        live = load.vehicle_contactor_closed and not isnan(load.battery_voltage)
        if live and load.contactor_closed:
            current = self._connected(source, load)
            self._settle_capacitor(source, seconds)
        else:
            current = 0.0
            self._apart(source, load.contactor_closed, seconds)
            if live:
                self._connector = load.battery_voltage
        return CircuitState(self._capacitor, self._output, self._connector, current, self._insulation(load))

    def _connected(self, source: Source, load: Load) -> float:
        """Solve the static network with the battery; return the current."""
        resistance = self.config.cable_resistance + load.battery_resistance
        leak = 1.0 / self.config.output_resistance + (1.0 / self.config.discharge_resistance if source.discharge else 0.0)
        delivered = 0.0
        if source.on:
            ceiling = (source.voltage * (1.0 + leak * resistance) - load.battery_voltage) / resistance
            # A converter that takes power back regulates its current; the voltage limit is for charging.
            held = not isnan(source.forced_voltage) or source.current < 0.0
            delivered = source.current if held else max(min(source.current, ceiling), 0.0)
        self._output = (load.battery_voltage + delivered * resistance) / (1.0 + leak * resistance)
        if source.on and not isnan(source.forced_voltage):
            self._output = max(source.forced_voltage, self._output)
        current = delivered - leak * self._output
        self._connector = self._output - current * self.config.cable_resistance
        return current

    def _settle_capacitor(self, source: Source, seconds: float) -> None:
        """Keep the converters' capacitor where the diode conducts or the converters hold it; it cannot feed back."""
        decayed = self._capacitor * exp(-seconds / (self.config.module_capacitance * self.config.bleed_resistance))
        held = min(source.voltage, self._output) + self.config.diode_drop if source.on else 0.0
        self._capacitor = min(max(decayed, held), self._output + self.config.diode_drop)

    def _apart(self, source: Source, contactor_closed: bool, seconds: float) -> None:
        """Charge and discharge the capacitors without a battery."""
        c, r = self.config.output_capacitance, 1.0 / self.config.output_resistance
        if source.discharge:
            r += 1.0 / self.config.discharge_resistance
        if contactor_closed:
            cable = self.config.cable_capacitance
            self._output = (self._output * c + self._connector * cable) / (c + cable)
            c, r = c + cable, r + 1.0 / self.config.cable_discharge_resistance
        self._discharge(c, r, seconds)
        if source.on:
            self._charge(source, c, seconds)
        if contactor_closed:
            self._connector = self._output
        else:
            self._connector *= exp(-seconds / (self.config.cable_capacitance * self.config.cable_discharge_resistance))

    def _discharge(self, capacitance: float, conductance: float, seconds: float) -> None:
        """Let the capacitor (farad) behind the diode and the converters' own one decay, together while the diode conducts."""
        own, bleed = self.config.module_capacitance, 1.0 / self.config.bleed_resistance
        excess = self._capacitor - self.config.diode_drop - self._output
        if excess >= -1e-9:
            self._output += excess * own / (own + capacitance)
            self._output *= exp(-seconds * (bleed + conductance) / (own + capacitance))
            self._capacitor = self._output + self.config.diode_drop
            return
        self._output *= exp(-seconds * conductance / capacitance)
        self._capacitor *= exp(-seconds * bleed / own)
        if self._capacitor > self._output + self.config.diode_drop:
            self._output = (self._output * capacitance + (self._capacitor - self.config.diode_drop) * own) / (capacitance + own)
            self._capacitor = self._output + self.config.diode_drop

    def _charge(self, source: Source, capacitance: float, seconds: float) -> None:
        """Let the converters raise their capacitor, and through the diode the output, as fast as the current limit allows."""
        target = source.voltage if isnan(source.forced_voltage) else source.forced_voltage
        rise = source.current * seconds / (self.config.module_capacitance + capacitance)
        self._capacitor = max(self._capacitor, min(target + self.config.diode_drop, self._capacitor + rise))
        self._output = max(self._output, self._capacitor - self.config.diode_drop)

    def _insulation(self, load: Load) -> float:
        """Return the insulation of all that is connected to the modules' side, in parallel."""
        parts = [self.config.station_insulation]
        if load.contactor_closed:
            parts.append(self.cable_insulation)
            if load.vehicle_contactor_closed:
                parts.append(self.config.vehicle_insulation)
        return 1.0 / sum(1.0 / max(part, 1.0) for part in parts)
