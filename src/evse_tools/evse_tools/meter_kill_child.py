"""The energy meter of `station bench meter-kills`: a process of its own with the real book on disk, fed through a pipe until it is killed. No ROS here."""

import logging
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from evse_core.energy_meter import MeterConfig
from evse_core.tariff import Tariff
from evse_core.types import ChargeRecord, PowerReport, SessionState
from evse_nodes.meter_book import MeterBook

EVSE = 1
CONFIG, TARIFF = MeterConfig(station_name="bench", serial="1"), Tariff("EUR", "0.50")


@dataclass(frozen=True, slots=True)
class Heard:
    """What reaches the meter at a moment of the virtual clock [s]; the clock of the machine is `stamp` [s]."""

    now: float
    stamp: float
    report: PowerReport | None = None
    session: SessionState | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What the meter has said since it was asked last: records, and the register as it told it [Wh]."""

    records: tuple[ChargeRecord, ...]
    register_wh: float


def live(folder: Path, begin: float, pipe: Connection) -> None:
    """Do what energy_meter_node does with what comes through the pipe; None ends it in order."""
    logging.disable(logging.ERROR)
    told: list[ChargeRecord] = []
    book = MeterBook(CONFIG, TARIFF, EVSE, folder, told.append)
    book.recover(begin)
    while True:
        pipe.send(Said(tuple(told), book.register_wh))
        told.clear()
        heard: Heard | None = pipe.recv()
        if heard is None:
            break
        if heard.report is not None:
            book.on_power(heard.report, heard.now, heard.stamp)
        if heard.session is not None:
            book.on_session(heard.session, heard.now, heard.stamp)
        book.tick(heard.now, heard.stamp)
    book.close()
    pipe.send(Said(tuple(told), book.register_wh))
