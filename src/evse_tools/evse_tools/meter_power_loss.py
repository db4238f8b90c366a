"""The states in which a loss of power may leave an energy meter's files, each opened as the next start would and judged.

Theory of operation. With a write-ahead log, what a loss of power leaves is the database as it was at the last checkpoint and the log up to a frame that was
not before the last sync: each prefix that ends with a commit is made, because what follows a commit and is none counts for nothing; half a frame or one of
garbage is put behind it. A checkpoint copies pages into the database while the log is kept: databases with any part of the pages are made, too. What the
meter said after a sync must be in every state that has the frames of that sync. The sequencer and can_bridge begin anew with the machine: the session is
unknown, the counter of power_report is at 0.
"""

import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evse_core.types import ChargeRecord, PowerReport, SessionState, StopCause
from evse_nodes.audit_trail import FILE
from evse_nodes.meter_book import MeterBook
from evse_tools.meter_kill_child import CONFIG, EVSE, TARIFF
from evse_tools.meter_kill_judge import LEDGER, ROUNDING, Told, judge, records
from evse_tools.sync_trace import FRAME, LOG_HEADER, PAGE, commits, frames, tracing

STEP, VOLTAGE = 0.1, 400.0
# Databases that a checkpoint has left half written. [1]
CUT_CHECKPOINTS = 20


@dataclass(frozen=True, slots=True)
class Promise:
    """What the meter has said with so many frames in its log, all of them synced: a record, or a register [Wh]."""

    frames: int
    record: ChargeRecord | None
    register_wh: float


@dataclass(slots=True)
class Life:
    """A folder with the meter's files while it lives, and after it has ended, and what was promised."""

    living: Path
    ended: Path
    promises: list[Promise] = field(default_factory=list)
    given_wh: float = 0.0
    # Frames of the logs of ledger and audit trail when the meter was there and nothing had begun: the trail has said with what it runs, synced.
    ledger_made: int = 0
    trail_synced: int = 0
    # What was said before it was synced.
    early: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verdict:
    """States that were judged, and what did not hold, with the state that it was found in."""

    states: int
    problems: tuple[str, ...]


class _Watched(MeterBook):
    """A book that notes how much of its log a durable save has synced."""

    def __init__(self, folder: Path, tell: Callable[[ChargeRecord], None], saved: Callable[[float], None]) -> None:
        super().__init__(CONFIG, TARIFF, EVSE, folder, tell)
        self._saved = saved

    def save(self, now: float, stamp: float, durable: bool) -> None:
        """Store the register."""
        super().save(now, stamp, durable)
        if durable and self.stored:
            self._saved(self.register_wh)


def live(folder: Path, sessions: int, seed: int) -> Life:
    """Charge some sessions, the last of which is not ended, and keep the files as they are before and after the meter ends."""
    with tracing() as synced:
        return _live(folder, sessions, seed, synced)


def _live(folder: Path, sessions: int, seed: int, synced: Mapping[str, int]) -> Life:
    dice, work = random.Random(seed), folder / "work"
    made = Life(folder / "living", folder / "ended")
    log = work / f"{LEDGER}-wal"

    def promise(register_wh: float, record: ChargeRecord | None = None) -> None:
        if synced[log.name] < frames(log):
            made.early.append(
                f"{record.session_id if record else 'register'} was said with {frames(log)} frames, {synced[log.name]} of them synced"
            )
        made.promises.append(Promise(frames(log), record, register_wh))

    book = _Watched(work, lambda record: promise(max(record.begin_register_wh, record.end_register_wh), record), promise)
    made.ledger_made, made.trail_synced = synced[log.name], synced[f"{FILE}-wal"]
    book.recover(0.0)
    now = 0.0
    for number in range(sessions):
        session = SessionState(session_id=f"loss-{number}", session_active=True, transaction_active=True)
        powers = [0.0, *(dice.uniform(0.0, 50_000.0) for _ in range(dice.randrange(20, 80))), 0.0]
        for power in powers:
            now += STEP
            report = PowerReport(complete=True, age=0.0, voltage=VOLTAGE, current=power / VOLTAGE)
            book.on_power(report, now, 1.8e9 + now)
            book.on_session(session, now, 1.8e9 + now)
            book.tick(now, 1.8e9 + now)
        if number < sessions - 1:
            book.on_session(SessionState(session_id=f"loss-{number}", stop_cause=StopCause.LOCAL), now, 1.8e9 + now)
    made.given_wh = book.meter.register_wh
    shutil.copytree(work, made.living)
    book.close()
    shutil.copytree(work, made.ended)
    return made


def states(life: Life, place: Path, every: int, seed: int) -> Iterator[tuple[str, int, Path]]:
    """Yield each state that a loss may leave as a folder, with its name and how many frames of the ledger's log it has."""
    dice, number = random.Random(seed), 0
    log, trail = ((life.living / f"{name}-wal").read_bytes() for name in (LEDGER, FILE))
    total = (len(log) - LOG_HEADER) // FRAME
    # What the trail's log has beyond this is written after the ledger was synced, and not synced itself.
    synced = trail[: LOG_HEADER + life.trail_synced * FRAME]
    for count in _chosen(commits(log), {promise.frames for promise in life.promises}, every):
        whole, number = LOG_HEADER + count * FRAME, number + 1
        end = {0: b"", 1: log[whole : whole + dice.randrange(1, FRAME)], 2: dice.randbytes(FRAME), 3: bytes(PAGE)}[number % 4]
        yield f"log of {count} of {total} frames", count, _state(life.living, place, log[:whole] + end, synced)
    before, after = ((folder / LEDGER).read_bytes() for folder in (life.living, life.ended))
    for cut in range(CUT_CHECKPOINTS):
        pages = [(after if dice.random() < 0.5 else before)[at : at + PAGE] for at in range(0, len(after), PAGE)]
        folder = _state(life.living, place, log, trail)
        _cut(folder / LEDGER, pages)
        yield f"checkpoint cut the {cut + 1}. time", total, folder
    for count in range((len(trail) - LOG_HEADER) // FRAME + 1):
        # No record is begun before the trail is synced.
        known = total if count >= life.trail_synced else life.ledger_made
        folder = _state(life.living, place, log[: LOG_HEADER + known * FRAME], trail[: LOG_HEADER + count * FRAME])
        yield f"audit trail's log of {count} frames", known, folder


def _chosen(ends: list[int], promised: set[int], every: int) -> list[int]:
    """Return the commits to look at: each `every`th, and those at and beside what was promised."""
    near = {place + beside for place, end in enumerate(ends) if end in promised for beside in (-1, 0, 1)}
    return [end for place, end in enumerate(ends) if place % every == 0 or place in near or end == ends[-1]]


def _cut(database: Path, pages: list[bytes]) -> None:
    """Write pages, leaving a hole for those that the file did not have yet."""
    with database.open("r+b") as file:
        for number, page in enumerate(pages):
            file.seek(number * PAGE)
            file.write(page)


def _state(source: Path, place: Path, log: bytes, trail: bytes) -> Path:
    """Return a copy of the files with other logs of ledger and audit trail; the index of a log (-shm) is never synced and never there."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(source, place, ignore=shutil.ignore_patterns("*-shm"))
    (place / f"{LEDGER}-wal").write_bytes(log)
    (place / f"{FILE}-wal").write_bytes(trail)
    return place


def judge_state(life: Life, count: int, folder: Path) -> Iterator[str]:
    """Start the meter as after a loss of power, let it end what was open, and yield what does not hold."""
    told, begin = Told(), 50_000.0
    promised = [promise for promise in life.promises if promise.frames <= count]
    for promise in promised:
        if promise.record is not None:
            told.add(promise.record)
    book = MeterBook(CONFIG, TARIFF, EVSE, folder, told.add)
    opened = book.register_wh
    book.recover(begin)
    for step in range(3):
        now = begin + STEP * step
        book.on_power(PowerReport(complete=True, age=0.0, voltage=0.0, current=0.0, energy_wh=0.0), now, 1.8e9 + now)
        book.on_session(SessionState(), now, 1.8e9 + now)
        book.tick(now, 1.8e9 + now)
    still_open = book.open
    book.close()
    if still_open is not None:
        yield f"{still_open.session_id}: stays open"
    least = max((promise.register_wh for promise in promised), default=0.0)
    if not least - ROUNDING <= opened <= life.given_wh + ROUNDING:
        yield f"the register is {opened:.6f} Wh, promised were {least:.6f} Wh, given {life.given_wh:.6f} Wh"
    if records(folder):
        yield from judge(folder, told)
    elif told.records:
        yield "all records are lost"


def lose(folder: Path, sessions: int, every: int, seed: int) -> Verdict:
    """Live, then judge the states that a loss of power may leave: each `every`th commit of the log, and those around promises."""
    life, judged = live(folder, sessions, seed), 0
    problems = [*life.early]
    for name, count, place in states(life, folder / "state", every, seed):
        judged += 1
        problems += [f"{name}: {words}" for words in judge_state(life, count, place)]
    return Verdict(judged, tuple(problems))
