"""A SignalDatabase that codes what repeats only once: of the frames of a session most repeat, and the world codes each of them on both sides."""

from collections.abc import Mapping
from typing import Any

from evse_core.codecs.signals import Decoded, SignalDatabase
from evse_core.frame import Frame

# Results that are kept of each kind; some 100 different frames are on a bus in any ten seconds.
MOST = 4096


class MemoDatabase:
    """Answers like the database that it wraps; errors are not kept."""

    def __init__(self, database: SignalDatabase) -> None:
        self._database = database
        self._decoded: dict[tuple[Any, ...], Decoded] = {}
        self._encoded: dict[tuple[Any, ...], Frame] = {}
        self._senders: dict[int, str] = {}

    def decode(self, frame: Frame) -> Decoded:
        """Return what SignalDatabase.decode returns."""
        key = (frame.id, frame.data, frame.extended)
        found = self._decoded.get(key)
        if found is None:
            found = _keep(self._decoded, key, self._database.decode(frame))
        return found

    def sender(self, frame: Frame) -> str:
        """Return what SignalDatabase.sender returns."""
        key = frame.id << 1 | frame.extended
        found = self._senders.get(key)
        if found is None:
            found = _keep(self._senders, key, self._database.sender(frame))
        return found

    def encode(self, message_name: str, signals: Mapping[str, float], *, pistol: int = 0) -> Frame:
        """Return what SignalDatabase.encode returns."""
        key = (message_name, pistol, tuple(signals), tuple(signals.values()))
        found = self._encoded.get(key)
        if found is None:
            found = _keep(self._encoded, key, self._database.encode(message_name, signals, pistol=pistol))
        return found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._database, name)


def _keep(memo: dict[Any, Any], key: Any, value: Any) -> Any:
    if len(memo) >= MOST:
        memo.clear()
    memo[key] = value
    return value
