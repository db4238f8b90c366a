"""The recorder's way to the disk: a bounded queue and the thread that empties it, so that a slow disk never holds up the node."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from rosbags.rosbag2 import WriterError

from evse_tools import recorder_files as files
from evse_tools.recorder_bag import Bag
from evse_tools.recorder_channels import Channel
from evse_tools.recorder_config import RecorderConfig
from evse_tools.recorder_repair import repair

# A disk that was full or away is tried again after this. [s]
RETRY = 60.0
# Messages of a late-joiner topic that a new part of a recording repeats at its beginning, as the topic itself would. [1]
REPEATED = 100

Message = tuple[int, int, bytes]  # channel, time of receipt [ns since the epoch], serialized


class RecorderThread:
    """Writes batches of messages into bags; begins a new bag where one grows too large; stops, and says why, where the disk takes no more."""

    def __init__(
        self,
        config: RecorderConfig,
        channels: Sequence[Channel],
        warn: Callable[[str], None],
        first: Mapping[int, bytes] = MappingProxyType({}),
    ) -> None:
        """first: messages with which every part begins, by channel."""
        self.written = 0
        self.dropped = 0
        self.problem = ""
        self.path: Path | None = None
        self._config, self._channels, self._warn = config, channels, warn
        self._directory = Path(config.directory).expanduser().absolute()
        self._names = files.names(files.base_name(config.station, time.time()))
        self._late = {
            number: deque[bytes](maxlen=min(REPEATED, item.offered.depth)) for number, item in enumerate(channels) if item.is_late
        }
        for number, data in first.items():
            self._late[number].append(data)
        self._queue: deque[Message] = deque()
        self._queued = 0
        self._bag: Bag | None = None
        self._next_try = 0.0
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def put(self, batch: Sequence[Message]) -> None:
        """Queue messages; where the queue is full they are dropped and counted."""
        with self._wake:
            for message in batch:
                if self._queued + len(message[2]) > self._config.queue_megabytes * files.MEGABYTE:
                    self.dropped += 1
                else:
                    self._queue.append(message)
                    self._queued += len(message[2])

    def close(self, timeout: float = 10.0) -> None:
        """Write what is queued and close the bag; give up after timeout [s]."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout)

    @property
    def bytes(self) -> int:
        """Return the size of the open bag on the disk [B]."""
        return self._bag.bytes if self._bag else 0

    def _run(self) -> None:
        self._guarded(self._repair)
        while not self._closing:
            self._guarded(self._work)
            with self._wake:
                self._wake.wait_for(lambda: self._closing, timeout=self._config.flush_period)
        self._guarded(self._work)
        self._guarded(self._finish)

    def _guarded(self, action: Callable[[], None]) -> None:
        """Carry out action; a disk that fails stops the recording and nothing else."""
        try:
            action()
        except (OSError, WriterError) as error:
            self._stop(str(error))

    def _stop(self, problem: str) -> None:
        self.problem = problem
        self._next_try = time.monotonic() + RETRY
        bag, self._bag = self._bag, None
        if bag is not None:
            bag.abort()
        self._warn(f"recording stopped: {problem}; next try in {RETRY:.0f} s")

    def _repair(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        for path in files.unfinished(self._directory, self._config.station):
            if files.free_megabytes(self._directory) < self._config.min_free_megabytes:
                return
            try:
                self._warn(f"{path.name}: its recorder died; {repair(path)} messages recovered")
            except Exception as error:  # a file may be broken in any way; it must not keep the next recording from starting
                self._warn(f"{path.name}: its recorder died; nothing recovered: {error!r}")

    def _work(self) -> None:
        """Write what is queued, flush, and rotate."""
        if self._bag is None and time.monotonic() >= self._next_try:
            self._begin()
        with self._wake:
            batch, self._queue, self._queued = self._queue, deque(), 0
        if self._bag is None:
            self.dropped += len(batch)
            return
        self._write(self._bag, batch)
        self._bag.flush()
        if files.free_megabytes(self._directory) < self._config.min_free_megabytes:
            self._finish()
            raise OSError(f"less than {self._config.min_free_megabytes:.0f} MB of the disk are free")
        if self._bag.bytes > self._config.max_megabytes * files.MEGABYTE:
            self._finish()
            self._begin()

    def _write(self, bag: Bag, batch: deque[Message]) -> None:
        for number, stamp, data in batch:
            bag.write(number, stamp, data)
            if number in self._late:
                self._late[number].append(data)
        self.written += len(batch)

    def _begin(self) -> None:
        """Open the next part of this run."""
        self._directory.mkdir(parents=True, exist_ok=True)
        if files.free_megabytes(self._directory) < self._config.min_free_megabytes:
            raise OSError(f"less than {self._config.min_free_megabytes:.0f} MB of the disk are free")
        files.delete_oldest(self._directory, self._config.station, self._config.keep - 1)
        name = next(name for name in self._names if not (self._directory / name).exists())
        about = {"station": self._config.station, "evses": " ".join(map(str, self._config.evses))}
        self._bag = Bag(self._directory / name, self._channels, about)
        self.path, self.problem = self._bag.path, ""
        now = time.time_ns()
        for number, kept in self._late.items():
            for data in kept:
                self._bag.write(number, now, data)

    def _finish(self) -> None:
        bag, self._bag = self._bag, None
        if bag is not None:
            bag.close({"dropped": str(self.dropped)})
