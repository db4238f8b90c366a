"""An asyncio event loop in a thread of its own, beside the executor of ROS."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any


class LoopThread:
    """Runs main() until it ends or close() is called. Only post() and close() may be called from other threads."""

    def __init__(self, name: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.loop = asyncio.new_event_loop()
        self._log = logging.getLogger(name)
        self._main = main
        self._tasks: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def post(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function in the thread; nothing happens after its end."""
        try:
            self.loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            self._log.debug("posted after the end")

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work beside main; what it raises is logged. In the thread only."""
        task = self.loop.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self, timeout: float) -> None:
        """End main and all that was spawned, and wait for it at most timeout [s]."""
        self.post(lambda: self._task is not None and self._task.cancel())
        if self._thread.is_alive():
            self._thread.join(timeout)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            self._log.exception("a task failed")

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self._task = self.loop.create_task(self._main())
        try:
            self.loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            self._log.debug("ended")
        finally:
            self.loop.run_until_complete(self._end_tasks())
            self.loop.close()

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.loop.shutdown_asyncgens()
