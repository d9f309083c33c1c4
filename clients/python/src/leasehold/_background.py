"""The event loop behind the clients for threads: one daemon thread for the whole process, however many leases it keeps.

asyncio's own clients don't use it: they live in their caller's loop.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Coroutine
from typing import Any, TypeVar

from leasehold import _fork
from leasehold._channel import Channel

R = TypeVar("R")

#: How many seconds an interrupted caller waits until what it gave up is taken back.
_TAKE_BACK = 2.0


class Background:
    """One event loop in a daemon thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.channels: weakref.WeakSet[Channel] = weakref.WeakSet()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self.loop.run_forever, name="leasehold", daemon=True)
        self._thread.start()
        atexit.register(self._stop)

    def wait(self, work: Coroutine[Any, Any, R]) -> R:
        """Runs ``work`` in the loop and returns its result. An interrupted caller cancels the work.

        Raises RuntimeError in the loop's own thread, which would wait for itself, and OtherProcess in a process that
        was forked since.
        """
        if self.is_inherited:
            work.close()
            raise _fork.other_process("the client of this call", self._pid)
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

    @property
    def is_inherited(self) -> bool:
        """Whether this process was forked since: the thread doesn't exist here."""
        return os.getpid() != self._pid

    def let_go(self, within: float) -> None:
        """Ends everything of gRPC for a fork, in at most ``within`` seconds; the calls begin again after it."""
        if self.is_inherited or threading.current_thread() is self._thread:
            return
        done = threading.Event()

        async def let_go() -> None:
            try:
                await asyncio.gather(*(channel.let_go() for channel in list(self.channels)))
            finally:
                done.set()

        def start() -> None:
            self._letting_go = self.loop.create_task(let_go())

        self.loop.call_soon_threadsafe(start)
        done.wait(within)

    def _stop(self) -> None:
        if self.is_inherited:
            return
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(1.0)


_lock = threading.Lock()
_background: Background | None = None


def background() -> Background:
    """Returns the loop of this process, and starts it for the first client."""
    global _background
    with _lock:
        if _background is None or _background.is_inherited:
            _background = Background()
        return _background


def _let_go(within: float) -> None:
    # Held until the fork is over, so that no thread of this process holds it for ever in the child.
    _lock.acquire()
    if _background is not None:
        _background.let_go(within)


_fork.on_fork(_let_go, _lock.release)
