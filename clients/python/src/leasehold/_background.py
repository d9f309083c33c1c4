"""The event loop behind the clients for threads: one daemon thread for the whole process, however many leases it keeps.

asyncio's own clients don't use it: they live in their caller's loop.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

R = TypeVar("R")

#: How many seconds an interrupted caller waits until what it gave up is taken back.
_TAKE_BACK = 2.0


class Background:
    """One event loop in a daemon thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="leasehold", daemon=True)
        self._thread.start()
        atexit.register(self._stop)

    def wait(self, work: Coroutine[Any, Any, R]) -> R:
        """Runs ``work`` in the loop and returns its result. An interrupted caller cancels the work.

        Raises RuntimeError in the loop's own thread, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError(
                "on_event runs in the client's own thread, so it can't wait for a call: make the call in another thread"
            )
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
    """Returns the loop of this process, and starts it for the first client."""
    global _background
    with _lock:
        if _background is None:
            _background = Background()
        return _background
