"""The recorder's way to the disk: a bounded queue and the thread that empties it, so that a slow disk never holds up the node."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rosbags.rosbag2 import WriterError

from evse_tools import recorder_files as files
from evse_tools.recorder_bag import Bag
from evse_tools.recorder_channels import Channel
from evse_tools.recorder_config import RecorderConfig
from evse_tools.recorder_repair import repair
from evse_tools.recorder_split import Everything, Message, Splitter

# A disk that was full or away is tried again after this. [s]
RETRY = 60.0
# Messages of a late-joiner topic that a new part of a recording repeats at its beginning, as the topic itself would. [1]
REPEATED = 100

# [s]
DAY = 86400.0


class RecorderThread:
    """Writes batches of messages into bags; begins a new bag where one grows too large; stops, and says why, where the disk takes no more."""

    def __init__(
        self,
        config: RecorderConfig,
        channels: Sequence[Channel],
        warn: Callable[[str], None],
        first: Mapping[int, bytes] = MappingProxyType({}),
        split: Splitter | None = None,
    ) -> None:
        """first: messages with which every part begins, by channel; split: which messages go into which recording, all into one by default."""
        self.written = 0
        self.dropped = 0
        self.problem = ""
        self.path: Path | None = None
        self._config, self._channels, self._warn = config, channels, warn
        self._directory = Path(config.directory).expanduser().absolute()
        self._split: Splitter = split or Everything()
        self._late = {
            number: deque[bytes](maxlen=min(REPEATED, item.offered.depth)) for number, item in enumerate(channels) if item.is_late
        }
        for number, data in first.items():
            self._late[number].append(data)
        self._queue: deque[Message] = deque()
        self._queued = 0
        self._bags: dict[int, _Open] = {}
        self._names: dict[int, Iterator[str]] = {}
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
        """Return the size of the open recordings on the disk [B]."""
        return sum(item.bag.bytes for item in list(self._bags.values()))

    def _run(self) -> None:
        self._guarded(self._repair)
        while not self._closing:
            self._guarded(self._work)
            with self._wake:
                self._wake.wait_for(lambda: self._closing, timeout=self._config.flush_period)
        self._guarded(self._work)
        self._guarded(self._finish_all)

    def _guarded(self, action: Callable[[], None]) -> None:
        """Carry out action; a disk that fails stops the recording and nothing else."""
        try:
            action()
        except (OSError, WriterError) as error:
            self._stop(str(error))

    def _stop(self, problem: str) -> None:
        self.problem = problem
        self._next_try = time.monotonic() + RETRY
        bags, self._bags = self._bags, {}
        for item in bags.values():
            item.bag.abort()
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
        with self._wake:
            batch, self._queue, self._queued = self._queue, deque(), 0
        split = self._split.take(batch)
        written = self.written
        try:
            if not self._next_try or self._may_try_again():
                for key, part in split.parts.items():
                    self._write(self._bags.get(key) or self._begin(key, part), part)
        finally:
            # Counted also where the disk failed in the middle.
            self.dropped += sum(map(len, split.parts.values())) - (self.written - written)
            self._remember(batch)
        for key in [key for key in self._names if key not in split.stay]:
            del self._names[key]
            if key in self._bags:
                self._finish(key)
        for key in list(self._bags):
            if key in self._bags:
                self._rotate(key)

    def _may_try_again(self) -> bool:
        """Return whether a disk that took nothing has had its pause; OSError where it still has no room."""
        if time.monotonic() < self._next_try:
            return False
        self._need_room()
        self._next_try, self.problem = 0.0, ""
        return True

    def _need_room(self) -> None:
        least = self._config.min_free_megabytes
        if files.free_megabytes(self._directory) < least:
            raise OSError(f"less than {least:.0f} MB of the disk are free")

    def _remember(self, batch: Iterable[Message]) -> None:
        """Keep what a topic would repeat for who comes late, for the recordings to come."""
        for number, _, data in batch:
            if number in self._late:
                self._late[number].append(data)

    def _rotate(self, key: int) -> None:
        """Flush a recording; close it where it has no room left, or became too large or old. The next part begins with the next message."""
        item = self._bags[key]
        item.bag.flush()
        try:
            self._need_room()
        except OSError:
            self._finish_all()
            raise
        too_old = time.monotonic() - item.began > self._config.max_hours * 3600.0
        if too_old or item.bag.bytes > self._config.max_megabytes * files.MEGABYTE:
            self._finish(key)

    def _write(self, item: "_Open", part: Sequence[Message]) -> None:
        for number, stamp, data in part:
            item.bag.write(number, stamp, data)
            self.written += 1

    def _begin(self, key: int, part: Sequence[Message]) -> "_Open":
        """Open the recording of an EVSE, or the next part of it; it begins with what a late subscriber would get."""
        self._directory.mkdir(parents=True, exist_ok=True)
        config = self._config
        self._need_room()
        since = time.time() - config.keep_days * DAY
        files.delete_oldest(self._directory, config.station, config.keep - 1, config.keep_megabytes, since)
        stamp = part[0][1] if part else time.time_ns()
        # The parts of a session have its name, in order.
        named = self._names.setdefault(key, files.names(files.base_name(config.station, time.time(), key)))
        name = next(name for name in named if not (self._directory / name).exists())
        about = {"station": config.station, "evses": " ".join(map(str, config.evses))}
        item = _Open(Bag(self._directory / name, self._channels, about), time.monotonic())
        self._bags[key] = item
        self.path, self.problem = item.bag.path, ""
        known = {(number, data) for number, _, data in part if number in self._late}
        for number, kept in self._late.items():
            for data in kept:
                if (number, data) not in known:
                    item.bag.write(number, stamp, data)
        return item

    def _finish(self, key: int) -> None:
        self._bags.pop(key).bag.close({"dropped": str(self.dropped)})

    def _finish_all(self) -> None:
        for key in list(self._bags):
            self._finish(key)


@dataclass(frozen=True, slots=True)
class _Open:
    """A recording that is being written, and when that began on the monotonic clock [s]."""

    bag: Bag
    began: float
