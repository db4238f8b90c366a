"""Many signed records checked at once, on all processors: 100,000 in a minute is what an inspector should not have to wait longer for."""

import multiprocessing
from collections.abc import Sequence
from functools import cache, partial

from evse_core.ocmf_check import Verdict, check
from evse_core.ocmf_signature import PublicKey, public_key, public_text
from evse_tools.machine import processors, rare_collection
from evse_tools.records_source import Signed

# Fewer are checked before other processes have begun to. [1]
FEW = 1000
# Records that a process gets at once. [1]
CHUNK = 250


def verdicts(records: Sequence[Signed], key: PublicKey | None, serial: str = "") -> list[Verdict]:
    """Return what each record is worth; without a key each is checked with the one that it was stored with."""
    given = public_text(key) if key is not None else ""
    work = [(record.text, given or record.public_key) for record in records]
    judged = partial(_verdict, serial=serial)
    if len(work) < FEW or processors() == 1:
        return [judged(item) for item in work]
    with multiprocessing.get_context("fork").Pool(processors(), initializer=rare_collection) as pool:
        return pool.map(judged, work, chunksize=CHUNK)


def _verdict(item: tuple[str, str], serial: str) -> Verdict:
    text, key = item
    return check(text, _key(key) if key else None, serial)


@cache
def _key(text: str) -> PublicKey:
    """Return a key; taking it apart costs a tenth of a check."""
    return public_key(text)
