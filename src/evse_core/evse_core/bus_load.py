"""How much of a CAN bus's time frames take.

A frame of a classical CAN bus with n bytes of data takes at most g + 8 n + 13 + floor((g + 8 n - 1) / 4) bit times. g bits are subject to stuffing besides
the data: 34 with an identifier of 11 bits, 54 with one of 29. 13 are not: CRC delimiter, acknowledgement, end of frame, three of space. Source: Davis, Burns,
Bril, Lukkien: Controller Area Network (CAN) schedulability analysis, Real-Time Systems 35 (2007). That counts the most stuff bits that can be: 135 and 160
bits with 8 bytes, of which 24 and 29 are stuffing; most frames have fewer, so the load that is told is rather too high than too low.
Not counted: error frames (they are counted as errors), and frames that are repeated after them.
"""

from math import inf, nan

from evse_core.frame import Frame

# Counts are compared over windows of so long. [s]
WINDOW = 1.0
_SUBJECT_TO_STUFFING = {False: 34, True: 54}
_FREE_OF_STUFFING = 13


def _bits(extended: bool, length: int) -> int:
    stuffed = _SUBJECT_TO_STUFFING[extended] + 8 * length
    return stuffed + _FREE_OF_STUFFING + (stuffed - 1) // 4


_BITS = {extended: tuple(_bits(extended, length) for length in range(9)) for extended in (False, True)}


def frame_bits(frame: Frame) -> int:
    """Return the longest time [bit] that a frame of at most 8 bytes takes on the bus."""
    return _BITS[frame.extended][min(len(frame.data), 8)]


class BusLoad:
    """The share of a bus's time that frames took in the last window. Counters may be fed by one thread each way."""

    def __init__(self, bitrate: int) -> None:
        self._bitrate = bitrate
        self._received = self._sent = 0
        self._began, self._counted = -inf, 0
        self._load = nan

    def receive(self, frame: Frame) -> None:
        """Count a frame of somebody else."""
        self._received += frame_bits(frame)

    def send(self, frame: Frame) -> None:
        """Count an own frame."""
        self._sent += frame_bits(frame)

    def load(self, now: float) -> float:
        """Return the load [1] of the last window that is over; NaN before the first."""
        seconds = now - self._began
        if seconds >= WINDOW:
            bits = self._received + self._sent
            # The first call begins a window; one that comes late ends a long one, whose mean tells nothing wrong.
            self._load = (bits - self._counted) / (seconds * self._bitrate) if seconds < inf else nan
            self._began, self._counted = now, bits
        return self._load
