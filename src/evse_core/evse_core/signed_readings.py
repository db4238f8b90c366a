"""The readings of a session with the signed records that vouch for them, for whoever tells them on, such as transactionData of OCPP 1.6 (can.md 7.1).

A record has all readings of its session so far (evidence.py) and stands with the one that it was made for: the begin, each change of prices, the end. A pause
or an error makes no record of its own; it is signed in the next one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evse_core.evidence import Proof
from evse_core.ocmf import Mark, parse, parse_time
from evse_core.session_readings import SessionReading

# Times in a record are to the millisecond; readings of a session are a minute apart but for begin and end. [s]
_SAME_TIME = 0.002


@dataclass(frozen=True, slots=True)
class SignedReading:
    """A reading, and the record that was made for it; None where it is in the next one."""

    reading: SessionReading
    proof: Proof | None = None


def signed_readings(readings: Sequence[SessionReading], proofs: Sequence[Proof]) -> tuple[SignedReading, ...]:
    """Return the readings of a session in their order, each with the record that ends with it; proofs are the session's records, oldest first.

    ValueError names a record that cannot be read, or that ends with no reading of the session or with one before that of the record before it.
    """
    found: dict[int, Proof] = {}
    position = 0
    for proof in proofs:
        position = _position(readings, proof, position)
        found[position] = proof
        position += 1
    return tuple(SignedReading(reading, found.get(index)) for index, reading in enumerate(readings))


def _position(readings: Sequence[SessionReading], proof: Proof, begin: int) -> int:
    """Return where the last reading of a record stands among those of the session from `begin` on."""
    try:
        mark, stamp = _last(parse(proof.text).readings)
    except ValueError as error:
        raise ValueError(f"record {proof.page}: {error}") from error
    for index in range(begin, len(readings)):
        if readings[index].mark is mark and abs(readings[index].stamp - stamp) < _SAME_TIME:
            return index
    raise ValueError(f"record {proof.page}: ends with no reading of the session that is still without one")


def _last(rows: Sequence[Mapping[str, object]]) -> tuple[Mark, float]:
    if not rows:
        raise ValueError("has no readings")
    return Mark(str(rows[-1].get("TX"))), parse_time(str(rows[-1].get("TM")))[0].timestamp()
