"""`./station bench node-death`: kills each node of a charging station with SIGKILL, one run each, and measures what happens to power, session and bill.

Power is measured where it counts, on the CAN bus of the power modules: when the command to transfer power is withdrawn, and when the modules report that the
current is gone.
"""

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import inf, isfinite, isnan, nan
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from evse_core.codecs.signals import Malformed, SignalDatabase, UnknownId
from evse_core.types import ChargeRecord, ChargeState, RecordStatus
from evse_nodes.can_bus import CanPort
from evse_nodes.databases import load as load_database
from evse_tools.demo_end import billed_energy
from evse_tools.demo_options import Options
from evse_tools.demo_run import DemoRun, Place
from evse_tools.demo_station import default_description, own_domain, write_station
from evse_tools.description import Description
from evse_tools.machine import machine
from evse_tools.node_specs import node_specs
from evse_tools.supervisor import Supervisor

# Nodes whose death must end the flow of power, and nodes whose death must not.
STOPPING = ("can_bridge", "charge_sequencer", "safety_monitor", "energy_meter")
BYSTANDERS = ("energy_manager", "ocpp_uplink", "recorder")
VICTIMS = STOPPING + BYSTANDERS
# Current above which the station counts as charging, and below which as off (../shared/reference/can.md 4: an emergency end gets below 5 A). [A]
CHARGING_CURRENT, NO_CURRENT = 30.0, 5.0
# Charging before a node is killed, charging in all where nothing stops it, and longest wait for the end of a session after a kill. [s]
KILL_AFTER, CHARGE, PATIENCE = 4.0, 12.0, 45.0
# Least time to look on after a kill, in which the node comes back. [s]
SETTLING = 6.0
# Power_Function of DC_Power_Control that lets current flow (../shared/reference/can.md 1.3).
POWER_TRANSFER = 8


# States in which nothing is left to be done.
AT_REST = (ChargeState.AVAILABLE, ChargeState.PREPARING, ChargeState.FINISHED, ChargeState.FAULTED)


@dataclass
class PowerWatch:
    """What the power bus showed after a moment; times in monotonic seconds."""

    since: float = inf
    withdrawn: float = nan
    off: float = nan
    current: float = 0.0
    database: SignalDatabase = field(default_factory=lambda: load_database("evse_v3"))

    def take(self, port: CanPort) -> None:
        """Learn from the frames that have come."""
        for received in port.drain():
            try:
                decoded = self.database.decode(received.frame)
            except (Malformed, UnknownId):
                continue
            self._learn(decoded.name, decoded.signals, received.at)

    def _learn(self, name: str, signals: Any, at: float) -> None:
        if name == "Power_Modules_Status":
            self.current = signals["Present_Current"]
            gone = abs(self.current) <= NO_CURRENT
            self.off = (at if isnan(self.off) else self.off) if gone and at > self.since else nan
        elif name == "DC_Power_Control" and at > self.since and isnan(self.withdrawn) and signals["Power_Function"] != POWER_TRANSFER:
            self.withdrawn = at


class DeathRun(DemoRun):
    """A demo in which one node is killed while power flows."""

    def __init__(self, victim: str, description: Description, supervisor: Supervisor, console: Console) -> None:
        super().__init__(Options(seconds=CHARGE), description, supervisor, [], console, time.time())
        self.victim = victim
        self.watch = PowerWatch()
        bus = description.evses[0].buses["power_bus"]
        self._port = CanPort("bench", bus.interface, bus.channel, bus.bitrate, bus.options)
        self._killed = self._charging = inf

    @property
    def records(self) -> dict[str, ChargeRecord]:
        """Billing records of all sessions that were seen."""
        return self._places[0].track.records

    @property
    def stop_words(self) -> str:
        """How the session ended by the station's own account; the first fault where a restarted sequencer no longer knows."""
        track = self._places[0].track
        session, fault = track.session, next((event for event in track.faults if event.active), None)
        first = f"; first fault {fault.fault} ({fault.detail})" if fault else ""
        return f"{session.state.name}: {session.stop_cause.name}{' ' if session.stop_detail else ''}{session.stop_detail}{first}"

    @property
    def failures(self) -> list[str]:
        """What the driver could not do."""
        return [self._places[0].driver.failure] if self._places[0].driver.failure else []

    def close(self) -> None:
        """Leave the bus."""
        self._port.close()

    def _watch(self) -> None:
        super()._watch()
        self.watch.take(self._port)
        place, now = self._places[0], time.monotonic()
        if self._charging == inf and place.track.is_charging and self.watch.current > CHARGING_CURRENT:
            self._charging = now
        if self._killed == inf and now - self._charging > KILL_AFTER:
            self._kill()
        if now - self._killed > SETTLING and self._settled(place):
            place.driver.give_up("", now)
        if now - self._killed > PATIENCE:
            place.driver.give_up(f"no end within {PATIENCE:.0f} s after {self.victim} was killed", now)

    def _settled(self, place: Place) -> bool:
        """A session that a restarted node no longer knows has been closed, told to the CSMS, and the driver can take the plug."""
        closed = [record for record in self.records.values() if record.status is not RecordStatus.OPEN]
        confirmed = place.track.transaction.stop_confirmed
        return bool(closed) and confirmed and not place.track.io.locked and place.track.session.state in AT_REST

    def _kill(self) -> None:
        pid = next(pid for name, pid in self._supervisor.pids().items() if name.endswith(f"/{self.victim}"))
        self._killed = self.watch.since = time.monotonic()
        os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Death:
    """One row of the table. Times after the kill [ms], NaN where it did not happen within the run."""

    victim: str
    withdrawn_ms: float
    off_ms: float
    session: str
    energy_wh: float | None
    csms_wh: float | None
    records: int
    bills: int
    problems: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return {name: (None if isinstance(value, float) and isnan(value) else value) for name, value in vars(self).items()}


def kill(victim: str, folder: Path, console: Console) -> Death:
    """Run one demo in which victim dies, and tell what happened."""
    description = write_station(default_description(), 1, "", folder)
    with own_domain() as domain:
        supervisor = Supervisor(node_specs(description), folder / "log")
        supervisor.start()
        run = DeathRun(victim, description, supervisor, console)
        try:
            run.run(domain)
        finally:
            run.close()
            supervisor.stop()
    return _row(run, billed_energy(folder / "csms_simulator.json"))


def _row(run: DeathRun, found_bills: dict[int, float]) -> Death:
    closed = [record for record in run.records.values() if record.status in {RecordStatus.CLOSED, RecordStatus.INTERRUPTED}]
    energy = sum(record.end_register_wh - record.begin_register_wh for record in closed)
    watch, since = run.watch, run.watch.since
    withdrawn, off = 1e3 * (watch.withdrawn - since), 1e3 * (watch.off - since)
    row = Death(
        run.victim, withdrawn, off, run.stop_words, energy if closed else None, sum(found_bills.values()) if found_bills else None,
        len(closed), len(found_bills), (),
    )  # fmt: skip
    return replace(row, problems=(*run.failures, *_problems(row)))


def _problems(row: Death) -> Iterable[str]:
    """Yield what must not be: power that stays, a session that is not billed once."""
    if isnan(row.off_ms):
        yield "the current was not gone at the end"
    if row.records != 1 or row.bills != 1:
        yield f"{row.records} records and {row.bills} bills for one session"
    if row.energy_wh is not None and row.csms_wh is not None and abs(row.energy_wh - row.csms_wh) > 1.0:
        yield f"the record says {row.energy_wh:.1f} Wh, the CSMS {row.csms_wh:.1f} Wh"


def run(victims: tuple[str, ...] = VICTIMS, as_json: bool = False) -> int:
    """Kill each victim in a run of its own; returns 1 where power stayed or the bill was wrong."""
    console = Console(stderr=True, highlight=False)
    rows = []
    for victim in victims:
        console.print(f"[bold]killing {victim}[/bold]")
        with tempfile.TemporaryDirectory(prefix="station_bench_") as folder:
            rows.append(kill(victim, Path(folder), Console(quiet=True)))
    _show(rows, as_json)
    return 1 if any(row.problems for row in rows) else 0


def _show(rows: list[Death], as_json: bool) -> None:
    if as_json:
        figures = [figure for row in rows for figure in _figures(row)]
        print(
            json.dumps(
                {"bench": "node-death", "machine": machine(), "figures": figures, "deaths": [row.as_dict() for row in rows]}, indent=2
            )
        )
        return
    table = Table(title="SIGKILL while power flows", caption="times from the kill, on the power modules' CAN bus")
    for column in ("node", "power withdrawn", "current gone", "session", "record", "CSMS", "problems"):
        table.add_column(column, overflow="fold")
    for row in rows:
        energies = (f"{value:.1f} Wh" if value is not None else "none" for value in (row.energy_wh, row.csms_wh))
        table.add_row(
            row.victim, _milliseconds(row.withdrawn_ms), _milliseconds(row.off_ms), row.session, *energies, "; ".join(row.problems)
        )
    Console(highlight=False).print(table)


def _figures(row: Death) -> list[dict[str, Any]]:
    values = {f"{row.victim}: power withdrawn": row.withdrawn_ms, f"{row.victim}: current gone": row.off_ms}
    return [
        {"name": name, "n": 1, "median": value, "p99": value, "max": value, "unit": "ms"}
        for name, value in values.items()
        if isfinite(value)
    ]


def _milliseconds(value: float) -> str:
    return f"{value:.0f} ms" if isfinite(value) else "never"
