"""A cabinet of power modules that serves several EVSEs through a switch matrix: config/can/cabinet.dbc, and a generic v3 power link per EVSE.

Theory of operation. Each outlet is a bank of power modules (power_modules.py) whose members are the converters that are connected to it. What an outlet is
asked for is shared by its members, those that run first. The interlock of the switches is the cabinet's own and trusts nobody: a switch closes only while
all others of its module are open, and between equal voltages; it moves only without current; and it moves only for a command that is at most
`command_timeout` old. Without commands everything goes on as it is and no switch moves. What was asked for against these rules is refused and counted; what
happened in spite of them is counted, too (`bridged`, `moved_under_current`), for a simulated switch can weld.
"""

from dataclasses import dataclass, field, replace

from evse_core.codecs.cabinet import ALL_OPEN, Duty
from evse_core.codecs.signals import PISTOL_SHIFT, SignalDatabase
from evse_core.frame import Frame
from evse_core.module_allocator import Cabinet
from evse_core.module_demand import OutletRating
from evse_simulators.cabinet_converter import NO_CURRENT, Converter, PowerCabinetConfig, Refusals
from evse_simulators.circuit import Source
from evse_simulators.faults import CABINET, Answer, FaultSet
from evse_simulators.pace import Periodic, Wire
from evse_simulators.power_modules import CONVERTING, LONGEST_STEP, PowerModulesModel
from evse_simulators.power_modules_config import WITHOUT_COOLANT, enclosure_after


class Outlet(PowerModulesModel):
    """The bank of modules that one EVSE sees: its members come and go."""

    def __init__(self, rating: OutletRating, config: PowerCabinetConfig, database: SignalDatabase, cabinet: "PowerCabinetModel") -> None:
        own = replace(config, max_current=rating.max_current, max_power=rating.max_power, max_voltage=rating.max_voltage, module_count=1)
        super().__init__(own, database)
        self.rating = rating
        self._cabinet = cabinet
        self._served = False

    @property
    def members(self) -> list[Converter]:
        """The converters whose switch to this outlet, and no other, is closed."""
        return [converter for converter in self._cabinet.converters.values() if converter.outlet == self.rating.outlet]

    @property
    def working(self) -> int:
        """How many members can give current."""
        if "modules_failed" in self.faults:
            return 0
        count = sum(member.serves for member in self.members)
        return count - 1 if "module_failed" in self.faults and count > 1 else count

    @property
    def enabled(self) -> bool:
        """The bank allows power once a member is there, and then until the session is over: one without members gives 0 A."""
        self._served = self.awake and (self._served or self.working > 0)
        return super().enabled and self._served

    def inject(self, name: str, active: bool) -> Answer:
        """Break or heal something of the bank, or of the cabinet at this outlet."""
        if name not in self.faults.known:
            return self._cabinet.inject(name, active, outlet=self.rating.outlet)
        return super().inject(name, active)

    @property
    def wanted(self) -> float:
        """The current [A] that is asked for on the power link."""
        return self._applied.current if self._applied.function in CONVERTING else 0.0

    def offered_current(self) -> float:
        """Return the current [A] that the members can give at the present voltage; those that are about to leave do not count."""
        if "modules_offer_nothing" in self.faults:
            return 0.0
        count, members = self.working, [member for member in self.members if member.serves]
        most = sum(member.limit(max(self.state.module_voltage, 1.0)) for member in members[:count])
        return min(most, self.config.max_current, self.config.max_power / max(self.state.module_voltage, 1.0))

    def _limited(self) -> Source:
        source = super()._limited()
        if not self.faults & {"over_current", "module_runaway"}:
            source.current = min(source.current, sum(member.ceiling for member in self.members))
        return source

    def _heat(self, seconds: float) -> None:
        """Divide the current among the members, and take over how warm they are."""
        self._divide()
        self.temperature = max((member.temperature for member in self.members), default=self.config.cabinet_temperature)
        self.enclosure_temperature = enclosure_after(seconds, self.config, self.temperature, self.enclosure_temperature)

    def _divide(self) -> None:
        """Let those that run share evenly as far as each can, then those that rest, then those that leave."""
        left = self.state.current
        order = (
            [member for member in self.members if member.serves and member.duty == Duty.RUN],
            [member for member in self.members if member.serves and member.duty != Duty.RUN],
            [member for member in self.members if not member.serves],
        )
        for group in order:
            for index, member in enumerate(sorted(group, key=lambda member: member.ceiling)):
                member.current = min(left / (len(group) - index), member.ceiling)
                left -= member.current
        # What is beyond all ceilings (a runaway) goes through those that are there.
        for member in self.members:
            member.current += left / len(self.members) if abs(left) > 1e-6 else 0.0

    def _bank_frame(self) -> Frame:
        """Return how many modules are told to run here, how many of them work, and what these give."""
        known = [member for member in self.members if member.duty == Duty.RUN]
        working = [member.current for member in known if member.working]
        self._alive = (self._alive + 1) % 256
        signals = {
            "Module_Count": float(len(known)),
            "Modules_Working": 0.0 if "modules_failed" in self.faults else float(len(working)),
            "Lowest_Module_Current": min(working, default=0.0),
            "Highest_Module_Current": max(working, default=0.0),
            "Alive": float(self._alive),
        }
        return self._wire.write("Module_Bank", signals, pistol=self._pistol)


@dataclass(slots=True)
class Truth:
    """What must never happen, counted by the physics and not by who commands or reports."""

    bridged: int = 0
    moved_under_current: int = 0
    above_rating: int = 0
    bridges: set[tuple[int, frozenset[int]]] = field(default_factory=set)


class PowerCabinetModel:
    """The cabinet. Give frames of the cabinet bus to `on_frame`, call `step` at 25 Hz or more; `outlets` are stepped by whoever plays their power links."""

    def __init__(self, config: PowerCabinetConfig, cabinet: Cabinet, database: SignalDatabase, power_database: SignalDatabase) -> None:
        self.config, self.cabinet = config, cabinet
        self.faults = FaultSet(CABINET)
        self.refusals, self.truth = Refusals(), Truth()
        self.converters = {rating.module: Converter(rating, config, cabinet.efficiency) for rating in cabinet.modules}
        self.outlets = {rating.outlet: Outlet(rating, config, power_database, self) for rating in cabinet.outlets}
        self._wire = Wire(database)
        self._then: float | None = None
        self._alive = 0
        self._status, self._counters = Periodic(0.1), Periodic(1.0)
        self._frozen: dict[int, Frame] = {}
        self._hit: dict[str, Converter] = {}

    # What can be broken

    def inject(self, name: str, active: bool, module: int = 0, outlet: int = 0) -> Answer:
        """Break or heal a module, by its number or as the first one of an outlet (else the first one of all), or silence the cabinet."""
        if name == "cabinet_silent" or name not in self.faults.known:
            return self.faults.set(name, active)
        converter = self._chosen(name, active, module, outlet)
        if converter is None:
            return Answer(False, f"the cabinet has no module {module}")
        self.faults.set(name, active)
        attribute, broken = _BROKEN[name]
        setattr(converter, attribute, broken if active else not broken)
        if not active:
            self._frozen.pop(converter.rating.module, None)
        return Answer(True, f"module {converter.rating.module}: {name}{'' if active else ' healed'}")

    def _chosen(self, name: str, active: bool, module: int, outlet: int) -> Converter | None:
        if module:
            return self.converters.get(module)
        if not active and name in self._hit:
            return self._hit.pop(name)
        apart = name == "cabinet_switch_stuck_open"
        fit = [item for item in self.converters.values() if (item.outlet != outlet if apart else item.outlet == outlet)]
        allowed = [item for item in fit if not outlet or outlet in item.rating.outlets]
        self._hit[name] = next(iter(allowed or self.converters.values()))
        return self._hit[name]

    def heal(self) -> None:
        """Heal everything."""
        self.faults.clear()
        self._frozen.clear()
        self._hit.clear()
        for converter in self.converters.values():
            for attribute, broken in _BROKEN.values():
                setattr(converter, attribute, not broken)

    # Time

    def on_frame(self, frame: Frame, now: float) -> None:
        """Take a frame of the station; others are ignored."""
        decoded = self._wire.read(frame)
        converter = self.converters.get(frame.id >> PISTOL_SHIFT)
        if decoded is not None and converter is not None and decoded.name == "Module_Command" and "Alive" in decoded.signals:
            converter.take(decoded.signals, now)

    def step(self, now: float) -> tuple[Frame, ...]:
        """Go on to now [s]; return the frames on the cabinet bus."""
        seconds = 0.0 if self._then is None else min(now - self._then, LONGEST_STEP)
        self._then = now
        voltages = {number: outlet.state.module_voltage for number, outlet in self.outlets.items()}
        moved = False
        for converter in self.converters.values():
            converter.obey(voltages, self.refusals, now)
            under_current = abs(converter.current) > NO_CURRENT
            if converter.contacts(now):
                moved = True
                self.truth.moved_under_current += under_current
            if converter.outlet == ALL_OPEN:
                converter.current = 0.0
            outlet = self.outlets.get(converter.outlet)
            hot = outlet is not None and "module_hot" in outlet.faults
            converter.convert(voltages, seconds, WITHOUT_COOLANT if hot else 1.0)
            self._judge(converter)
        return self._frames(now, moved)

    def _judge(self, converter: Converter) -> None:
        """Count what must never be."""
        bridge = (converter.rating.module, converter.closed)
        if len(converter.closed) > 1 and bridge not in self.truth.bridges:
            self.truth.bridges.add(bridge)
            self.truth.bridged += 1
        self.truth.above_rating += converter.current > converter.rating.max_current * 1.01 + 0.1

    def _frames(self, now: float, moved: bool) -> tuple[Frame, ...]:
        due, counters = self._status.due(now), self._counters.due(now)
        if "cabinet_silent" in self.faults or not (due or counters or moved):
            return ()
        self._alive = (self._alive + 1) % 256
        frames = [self._module_frame(item) for item in self.converters.values()] if due or moved else []
        if counters:
            frames += [self._counter_frame(item) for item in self.converters.values() if not item.frozen]
        if due:
            frames += [self._outlet_frame(number, outlet) for number, outlet in self.outlets.items()]
            frames.append(self._cabinet_frame())
        return tuple(frames)

    def _module_frame(self, item: Converter) -> Frame:
        """Return the status of a module; a frozen one repeats its last frame."""
        number = item.rating.module
        if item.frozen and number in self._frozen:
            return self._frozen[number]
        signals = {f"Closed_{outlet}": 1.0 for outlet in item.closed} | {
            "Connected_To": float(item.driven),
            "Working": float(item.working),
            "Duty": float(item.duty),
            "Refused": float(item.refused),
            "Voltage": item.voltage,
            "Current": item.current,
            "Temperature": item.temperature,
            "Alive": float(self._alive),
        }
        self._frozen[number] = self._wire.write("Module_Status", signals, pistol=number)
        return self._frozen[number]

    def _counter_frame(self, item: Converter) -> Frame:
        signals = {"Running_Hours": item.hours, "Switch_Operations": float(item.operations), "Alive": float(self._alive)}
        return self._wire.write("Module_Counters", signals, pistol=item.rating.module)

    def _outlet_frame(self, number: int, outlet: Outlet) -> Frame:
        signals = {
            "Voltage": outlet.state.module_voltage,
            "Current": outlet.state.current,
            "Current_Wanted": outlet.wanted,
            "Alive": float(self._alive),
        }
        return self._wire.write("Outlet_Status", signals, pistol=number)

    def _cabinet_frame(self) -> Frame:
        signals = {
            "Module_Count": float(len(self.converters)),
            "Refused_Outlets": float(self.refusals.outlets),
            "Refused_Current": float(self.refusals.current),
            "Refused_Voltage": float(self.refusals.voltage),
            "Alive": float(self._alive),
        }
        return self._wire.write("Cabinet_Status", signals)


# Faults of a single module: its attribute, and the value of it that is broken.
_BROKEN = {
    "cabinet_module_dies": ("working", False),
    "cabinet_switch_welded": ("welded", True),
    "cabinet_switch_stuck_open": ("stuck_open", True),
    "cabinet_status_frozen": ("frozen", True),
}
