"""Log records of another thread, handed over to the executor's thread and written there as ROS logs."""

import logging
from collections.abc import Callable
from typing import Any


class LogHandover(logging.Handler):
    """Hands each record of a logger to a function; close() ends it."""

    def __init__(self, name: str, hand_over: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._hand_over = hand_over
        self._source = logging.getLogger(name)
        self._source.setLevel(logging.INFO)
        self._source.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record over."""
        self._hand_over(record)

    def close(self) -> None:
        """Hear no more."""
        self._source.removeHandler(self)
        super().close()


def write_log(logger: Any, record: logging.LogRecord) -> None:
    """Write a record to a ROS logger: one call site per severity, as rclpy demands."""
    text = logging.Formatter().format(record)
    if record.levelno >= logging.ERROR:
        logger.error(text)
    elif record.levelno >= logging.WARNING:
        logger.warning(text)
    else:
        logger.info(text)
