"""CAN frames to reports and commands to frames for one EVSE, and the cut of power that nobody can talk out of: docs/design.md, "The permit".

Theory of operation. `on_frame` feeds the receivers; `on_safety` and `on_..._command` keep the latest value with its time of receipt. `step` decides for
each frame by itself whether power may pass (permit_gate.py) and returns the frames that are due: each link in its own period, and at once when something
changes that cannot wait. Where the sequencer is silent, vehicle and lines are taken down in the order of the permit's rule 4. `reports` returns the values
that are due on topics. A link whose receive path does not work gets no frames, so that its devices stop by their own timeouts.
No thread and no clock: a node and a simulated world drive it the same way, by `step`, `reports` and `next_wake` whenever `needs_step` says so.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import nan as NAN
from typing import Any, TypeVar

from evse_core.can_bridge_devices import make_devices
from evse_core.can_bridge_news import flags, leap
from evse_core.can_schedule import LineRelease, LinkSchedule, Receiver, TopicSchedule
from evse_core.codecs.evse_v3 import PowerOutput
from evse_core.codecs.io_board import LockCommand
from evse_core.codecs.secc import LAMP_BOARDS
from evse_core.codecs.signals import SignalDatabase
from evse_core.energy_meter import EnergyMeter, MeterConfig
from evse_core.frame import Frame
from evse_core.parameter import parameter
from evse_core.permit_gate import HARMLESS, Inputs, PermitGate
from evse_core.sample import Sample, fresh
from evse_core.types import (
    BusHealth,
    BusLink,
    CanBusStatus,
    CanStatus,
    ControllerCommand,
    ControllerPhase,
    CutCause,
    IoCommand,
    Lamp,
    PowerCommand,
    PowerFunction,
    PowerReport,
    Reaction,
    SafetyState,
    VehicleCommand,
)
from evse_core.vehicle_link import check, link_parameter

# A reading that may decide anything here: three periods (../shared/reference/can.md 2.7: stale after 300 ms). [s]
READING_LIMIT = 0.3
# A vehicle that has been silent for so long is gone (../shared/reference/can.md 2.4: frame loss 1 s). [s]
VEHICLE_GONE = 1.0
# Generation that a bridge names to a vehicle before the sequencer has named one: 2 is 1.0 to 1.2 (../shared/reference/can.md 2.1).
DEFAULT_GENERATION = 2
_T = TypeVar("_T")
# A value is fresh up to its limit and stale after it: wake up just after. [s]
JUST_AFTER = 0.0005


@dataclass(frozen=True, slots=True)
class CanBridgeConfig:
    """Times of can_bridge, and its place on the buses."""

    vehicle_link: str = link_parameter()
    controller_pistol: int = parameter(
        1, "", "pistol index of the charge controller on the vehicle bus", "generic EVSE v3, can.md 1.1", 1, 31
    )
    controller_lamps: str = parameter(
        "", "", "whose LEDs show the station's lamp: secc or spcc, a board of the charge controller; empty: none", "can.md 1.3"
    )
    controller_timeout: float = parameter(0.2, "s", "silence of the charge controller that cuts power", "can.md 1.4 row 0", 0.1, 0.2)
    permit_timeout: float = parameter(
        0.2, "s", "oldest permit that lets power through", "docs/design.md, The permit 2; two of 50 ms may be late", 0.1, 0.2
    )
    command_timeout: float = parameter(
        0.2, "s", "oldest command that counts", "docs/design.md, The permit 2; two of 50 ms may be late", 0.1, 0.2
    )
    vehicle_period: float = parameter(0.1, "s", "period of the frames to the vehicle", "CHAdeMO, can.md 2.1", 0.05, 0.2)
    power_period: float = parameter(0.1, "s", "period of the frames to the power modules", "generic EVSE v3, can.md 1.3", 0.05, 0.15)
    io_period: float = parameter(0.05, "s", "period of the frames to the I/O board", "config/can/io_board.dbc", 0.01, 0.1)
    report_period: float = parameter(0.1, "s", "period of reports without news", "msg/VehicleReport.msg: 10 Hz", 0.02, 0.1)
    pistol: int = parameter(1, "", "pistol index on the power bus, bits 28..24 of identifiers", "generic EVSE v3, can.md 1.1", 1, 31)
    has_meter: bool = parameter(False, "", "a meter hangs on the bus of the I/O board", "meter.kind: can")
    release_current: float = parameter(5.0, "A", "current at which signal 2 may go without a sequencer", "CHAdeMO, can.md 2.3 E1", 0.0, 5.0)
    release_timeout: float = parameter(0.5, "s", "time after which signal 2 goes in any case", "CHAdeMO, can.md 2.3 E1", 0.0, 2.5)
    sequence_gap: float = parameter(0.5, "s", "time from signal 2 off to signal 1 off", "CHAdeMO, can.md 2.3 E5", 0.5, 5.0)
    publish_frames: bool = parameter(
        True, "", "publish every frame on can_frames, for recordings", "own choice: without, a log explains little"
    )

    def __post_init__(self) -> None:
        """ValueError where a text is none of those that are known."""
        check(self.vehicle_link)
        if self.controller_lamps not in ("", *LAMP_BOARDS):
            raise ValueError(f"controller_lamps: {self.controller_lamps!r} is none of {', '.join(LAMP_BOARDS)}")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A frame to send on a link."""

    link: BusLink
    frame: Frame


@dataclass(frozen=True, slots=True)
class Report:
    """A value to publish on a topic."""

    topic: str
    value: Any


@dataclass(frozen=True, slots=True)
class _Output:
    """What all links are told at one moment."""

    power: PowerOutput
    io: IoCommand
    lock: LockCommand
    vehicle: VehicleCommand


class CanBridge:
    """The rule of can_bridge for one EVSE."""

    def __init__(self, config: CanBridgeConfig, databases: Mapping[str, SignalDatabase]) -> None:
        """Begin; databases by name, at least those of can_bridge_devices.database_names."""
        self.config = config
        devices = make_devices(config, databases)
        self._vehicle, self._modules, self._sender, self._board = devices.vehicle, devices.modules, devices.sender, devices.board
        periods = {BusLink.VEHICLE: config.vehicle_period, BusLink.POWER: config.power_period, BusLink.IO: config.io_period}
        self._links = {link: _schedule(link, receive, periods[link]) for link, receive in devices.receive.items()}
        self._reports: tuple[tuple[str, Receiver, TopicSchedule], ...] = tuple(
            (topic, receiver, TopicSchedule(config.report_period)) for topic, receiver in devices.reports.items()
        )
        self._status = TopicSchedule(config.report_period)
        self._looked_at: tuple[int, ...] = ()
        self._healths = tuple(link.status.health for link in self._links.values())
        self._energy = EnergyMeter(MeterConfig(), 0.0)
        self._gate = PermitGate(config.permit_timeout, config.command_timeout)
        self._release = LineRelease(config.release_current, config.release_timeout, config.sequence_gap)
        self._inputs = Inputs()
        # When each input becomes stale. [s]
        self._expiries: dict[str, float] = {}
        self._cause = CutCause.PERMIT_ABSENT
        self._alive = 0
        self._transmitting = self._plugged = False
        # The sequencer is not there, as of the last step.
        self._silent = True
        self._news, self._wake = True, -math.inf

    # What comes in

    def on_frame(self, link: BusLink, frame: Frame, now: float) -> bool:
        """Take a frame from a bus; return False for the echo of a frame of this station."""
        is_foreign = self._links[link].take(frame, now)
        if self._plugged is not self._board.plugged:
            self._plugged = self._board.plugged
            if not self._plugged and self._vehicle.LED_BY_STATION:
                self._vehicle.reset()
        return is_foreign

    def on_bus(self, status: CanBusStatus) -> None:
        """Take health, detail, sent, errors and dropped of a bus as its port sees them."""
        self._news |= status.health is not self._links[status.link].status.health
        self._links[status.link].status = status
        self._healths = tuple(link.status.health for link in self._links.values())

    def on_refused(self, link: BusLink, now: float) -> None:
        """Take that a bus has not accepted a frame of the last step."""
        self._links[link].retry(now)
        self._wake = min(self._wake, self._links[link].next_send)

    def on_safety(self, state: SafetyState, now: float) -> None:
        """Take the permit, as old as it says: one that was held up on its way, or by a pause of this process, counts no longer. Without a time it is stale."""
        given = state.given if state.given <= now else -math.inf
        self._inputs.safety = self._noted("safety", self._inputs.safety, Sample(state, given), self.config.permit_timeout, now)

    def on_power_command(self, command: PowerCommand, now: float) -> None:
        """Take the sequencer's word to the modules."""
        if command.session_announced and not (self._inputs.power is not None and self._inputs.power.value.session_announced):
            self._modules.begin_session()
        self._inputs.power = self._noted("power", self._inputs.power, Sample(command, now), self.config.command_timeout, now)

    def on_vehicle_command(self, command: VehicleCommand, now: float) -> None:
        """Take the sequencer's word to the vehicle."""
        self._inputs.vehicle = self._noted("vehicle", self._inputs.vehicle, Sample(command, now), self.config.command_timeout, now)

    def on_io_command(self, command: IoCommand, now: float) -> None:
        """Take the sequencer's word to the I/O board."""
        self._inputs.io = self._noted("io", self._inputs.io, Sample(command, now), self.config.command_timeout, now)

    def _noted(self, name: str, last: Sample[_T] | None, new: Sample[_T], limit: float, now: float) -> Sample[_T]:
        """Return the new value, after noting when it expires and whether it changes something: a set point that drifts can wait for the next period."""
        self._news = self._news or last is None or last.age(now) > limit or flags(last.value) != flags(new.value)
        self._expiries[name] = new.received + limit + JUST_AFTER
        self._wake = min(self._wake, self._expiries[name])
        return new

    # What goes out

    def needs_step(self, now: float) -> bool:
        """Return whether step and reports have something to do: news has come, or the time has that next_wake named."""
        return self._news or now >= self._wake or self._changes() != self._looked_at

    def _changes(self) -> tuple[int, ...]:
        """Return how much the devices have said, in the order of their reports."""
        return tuple([receiver.changes for _, receiver, _ in self._reports])

    def step(self, now: float) -> list[Outgoing]:
        """Return the frames that are due, a cut at once and to the modules first.

        What devices say changes nothing of them while a sequencer commands, but for a charge controller that takes its power away: on a full bus most steps
        end here.
        """
        # An input that has just become stale wakes JUST_AFTER; a step that comes in between sees it.
        waits = not self._news and not self._silent and now < self._wake - 2.0 * JUST_AFTER
        if waits and self._vehicle.cut_cause(now) is self._inputs.link:
            return []
        self._news = False
        output = self._output(now)
        outgoing: list[Outgoing] = []
        for link, schedule in self._links.items():
            if schedule.usable and schedule.due(_key(link, output), now):
                outgoing += [Outgoing(link, frame) for frame in self._frames(link, output, now)]
        if self._transmitting and not output.vehicle.transmit:
            self._vehicle.reset()
        self._transmitting = output.vehicle.transmit
        return outgoing

    def reports(self, now: float) -> list[Report]:
        """Return the values that are due on topics."""
        due = []
        before, self._looked_at = self._looked_at, self._changes()
        for number, (topic, receiver, schedule) in enumerate(self._reports):
            heard = not before or self._looked_at[number] != before[number]
            if heard or now >= schedule.wake:
                value = self._counted(receiver.report(now), now)
                if schedule.due((flags(value), leap(topic, value)), receiver.pulse, now):
                    due.append(Report(topic, value))
        if self._status.due((self._cause, self._gate.cut_count, self._healths), 0.0, now):
            due.append(Report("can_status", self.status()))
        return due

    def _counted(self, value: Any, now: float) -> Any:
        """Return a report of the modules with the energy up to it: this process sees what flows also while the meter is away."""
        if not isinstance(value, PowerReport):
            return value
        self._energy.on_report(value, now)
        return replace(value, energy_wh=self._energy.register_wh, export_energy_wh=self._energy.export_register_wh)

    def status(self) -> CanStatus:
        """Return the health of the buses and whether power passes, as of the last step."""
        buses = tuple(self._links[link].full_status() for link in sorted(self._links))
        return CanStatus(buses=buses, power_allowed=self._cause is CutCause.NONE, cut_cause=self._cause, cut_count=self._gate.cut_count)

    def next_wake(self, now: float) -> float:
        """Return the time by which step and reports must be called again where nothing happens before, and keep it for needs_step. [s]"""
        times = [
            *self._expiries.values(),
            *self._release.times(),
            *(time + JUST_AFTER for time in self._vehicle.times()),
            self._status.wake,
        ]
        for _, _, schedule in self._reports:
            times.append(schedule.wake)
        for link in self._links.values():
            if link.usable:
                times.append(link.next_send)
        wake = math.inf
        for time in times:
            if now < time < wake:
                wake = time
        self._wake = wake if wake < math.inf else now + self.config.report_period
        return self._wake

    def idle(self, now: float) -> bool:
        """Return whether this process may end: all is commanded off and the connector is free, or nobody commands and the lines are down."""
        if self._gate.commands_stale(self._inputs, now):
            return self._silent_output(now).io == IoCommand(lamp=Lamp.FAULT)
        output, board = self._output(now), self._board.report(now)
        quiet = output.power.command.function is PowerFunction.OFF and not output.power.command.session_announced
        lines = output.io.sequence_1 or output.io.sequence_2 or output.io.close_contactor or output.io.lock
        locked = board.locked and board.age <= READING_LIMIT
        return quiet and not lines and not locked and not output.vehicle.transmit

    def farewell(self, now: float) -> list[Outgoing]:
        """Return the last frames of a process that ends: everything off, the vehicle told to stop, the lock as it is."""
        vehicle = self._stop_words(now)
        self._alive += 1
        frames = [Outgoing(BusLink.POWER, frame) for frame in self._sender.frames(PowerOutput(self._power_off()), True, now)]
        frames.append(Outgoing(BusLink.IO, self._board.frame(IoCommand(lamp=Lamp.FAULT), LockCommand.HOLD, self._alive)))
        if self._transmitting:
            frames += [
                Outgoing(BusLink.VEHICLE, frame) for frame in self._vehicle.frames(vehicle, self._modules.report(now), now, Lamp.FAULT)
            ]
        return frames

    def _frames(self, link: BusLink, output: _Output, now: float) -> list[Frame]:
        if link is BusLink.POWER:
            power = PowerOutput(output.power.command, output.power.contactor_closed, output.power.emergency, self._vehicle.known())
            return self._sender.frames(power, self._modules.enabled_now(now, READING_LIMIT), now)
        if link is BusLink.VEHICLE:
            return self._vehicle.frames(output.vehicle, self._modules.report(now), now, output.io.lamp) if output.vehicle.transmit else []
        self._alive += 1
        return [self._board.frame(output.io, output.lock, self._alive)]

    def _output(self, now: float) -> _Output:
        """Decide what every link is told now."""
        self._inputs.link = self._vehicle.cut_cause(now)
        self._cause = self._gate.decide(self._inputs, now)
        self._silent = self._gate.commands_stale(self._inputs, now)
        self._release.note(self._silent, self._current(now), now)
        return self._silent_output(now) if self._silent else self._commanded_output(now)

    def _commanded_output(self, now: float) -> _Output:
        """Return what the sequencer wants, without power where it may not pass."""
        allowed = self._cause is CutCause.NONE
        inputs = self._inputs
        assert inputs.power is not None
        assert inputs.io is not None
        power, io = inputs.power.value, inputs.io.value
        vehicle = inputs.vehicle.value if inputs.vehicle is not None else VehicleCommand()
        if not allowed:
            io = replace(io, close_contactor=False, pilot_current=NAN)
            power = power if power.function in HARMLESS else replace(power, function=PowerFunction.OFF)
            controller = replace(vehicle.controller, enabled=False) if vehicle.controller.enabled else vehicle.controller
            stopped = vehicle.stop_control or vehicle.charging
            vehicle = replace(vehicle, charging=False, stop_control=stopped, max_discharge_current=0.0, controller=controller)
        lock = LockCommand.LOCK if io.lock else LockCommand.UNLOCK
        return _Output(self._power_output(power, io, now), io, lock, vehicle)

    def _silent_output(self, now: float) -> _Output:
        """Return what is said without a sequencer: docs/design.md, The permit 4."""
        last = self._inputs.io.value if self._inputs.io is not None else IoCommand()
        io = IoCommand(
            sequence_1=last.sequence_1 and self._release.holds_1(now),
            sequence_2=last.sequence_2 and self._release.holds_2(),
            lamp=Lamp.FAULT,
        )
        return _Output(self._power_output(self._power_off(), io, now), io, LockCommand.HOLD, self._stop_words(now))

    def _power_output(self, command: PowerCommand, io: IoCommand, now: float) -> PowerOutput:
        safety = fresh(self._inputs.safety, now, self.config.permit_timeout)
        emergency = safety is not None and safety.reaction is Reaction.EMERGENCY and command.session_announced
        return PowerOutput(command, io.close_contactor, emergency or self._gate.tripped)

    def _power_off(self) -> PowerCommand:
        """Return the last command without any power; the session stays announced, so that the modules go on reporting."""
        if self._inputs.power is None:
            return PowerCommand(function=PowerFunction.OFF, phase=ControllerPhase.INITIALISING)
        last = self._inputs.power.value
        return replace(last, function=PowerFunction.OFF, lower_output_voltage=False, phase=ControllerPhase.NOT_AVAILABLE)

    def _stop_words(self, now: float) -> VehicleCommand:
        """Return what the vehicle is told without a sequencer, as long as it is there."""
        sample = self._inputs.vehicle
        if sample is None:
            last, transmit = VehicleCommand(protocol_number=DEFAULT_GENERATION), self._vehicle.silence(now) <= VEHICLE_GONE
        else:
            last, transmit = sample.value, sample.value.transmit and (self._release.holds_1(now) or not self._vehicle.LED_BY_STATION)
        power = self._modules.report(now)
        known = power.age <= READING_LIMIT
        return replace(
            last,
            transmit=transmit,
            available_current=0.0,
            max_discharge_current=0.0,
            present_voltage=power.voltage if known else NAN,
            present_current=power.current if known else NAN,
            connector_locked=last.connector_locked or self._board.report(now).locked,
            charging=False,
            charger_malfunction=True,
            stop_control=True,
            controller=ControllerCommand(stop_button=True),
        )

    def _current(self, now: float) -> float:
        """Return the output current, NaN where no fresh reading tells it. [A]"""
        return self._modules.current if now - self._modules.pulse <= READING_LIMIT else NAN


def _schedule(link: BusLink, receive: Any, period: float) -> LinkSchedule:
    return LinkSchedule(receive, period, CanBusStatus(link=link, health=BusHealth.OK))


def _key(link: BusLink, output: _Output) -> Any:
    """Return what goes out at once when it changes."""
    if link is BusLink.IO:
        return flags(output.io), output.lock
    if link is BusLink.VEHICLE:
        return flags(output.vehicle)
    power = output.power
    return flags(power.command), power.contactor_closed, power.emergency
