"""When a reader wakes those who wait for frames: at once as long as frames are few, in lots on a bus that is full.

To wake another thread costs several times as much as to read a frame. A station's buses carry some 100 frames/s in bursts of a few; there each frame wakes.
"""

# Frames that may wake one by one in a row, more than all devices of a bus send in one period. [1]
BURST = 20.0
# How long frames of a full bus are collected, and with it the time after which one more frame may wake by itself: up to 1,000 frames/s none waits. Own
# choice: a fifth of the 5 ms that a topic rests between two reports (evse_core/can_schedule.py, REPORT_SPACING), so that reports lose little. [s]
LOT = 0.001
# Frames of one lot at most, so that a flood on the bus does not keep the reader from waking anybody. [1]
MOST = 256


class Pace:
    """An allowance of wakes that grows with time and shrinks with frames."""

    def __init__(self, now: float) -> None:
        self._allowance, self._at = BURST, now

    def spend(self, frames: int, now: float) -> bool:
        """Take that frames have come; return whether there was an allowance for one."""
        allowance = min(BURST, self._allowance + (now - self._at) / LOT)
        self._allowance, self._at = max(allowance - frames, 0.0), now
        return allowance >= 1.0
