"""The event loop that serves all clients of this process that aren't asyncio's own: one daemon thread, however many
leases."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

R = TypeVar("R")

#: How long an interrupted caller waits for what it gave up to be taken back.
_TAKE_BACK = 2.0


class Background:
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="leasehold", daemon=True)
        self._thread.start()
        atexit.register(self._stop)

    def wait(self, work: Coroutine[Any, Any, R]) -> R:
        """Runs it in the loop, from another thread. A caller that is interrupted cancels it."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a callback of a lease may not wait for the client: it runs in the client's own thread")
        done = threading.Event()
        tasks: list[asyncio.Task[R]] = []

        def start() -> None:
            task = self.loop.create_task(work)
            tasks.append(task)
            task.add_done_callback(lambda _: done.set())

        self.loop.call_soon_threadsafe(start)
        try:
            done.wait()
        except BaseException:  # KeyboardInterrupt, or a signal handler that raises
            self.loop.call_soon_threadsafe(lambda: tasks[0].cancel())
            done.wait(_TAKE_BACK)
            raise
        return tasks[0].result()

    def _stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(1.0)


_lock = threading.Lock()
_background: Background | None = None


def background() -> Background:
    global _background
    with _lock:
        if _background is None:
            _background = Background()
        return _background
