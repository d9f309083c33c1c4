"""What fork() means for this client.

Threads don't survive a fork, and gRPC's core can't be used in the child if it was in use at the fork. So the background
loop lets go of it just before a fork and takes it up again just after, in the parent only: its streams break and are
opened anew, which costs no lease. The child has nothing of gRPC, and its own clients begin from nothing.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable

from leasehold.errors import LeaseholdError, OtherProcess

#: How many seconds a fork waits for this client to end its calls: it can, but a busy machine takes its time.
_LET_GO_WITHIN = 4.0
#: How many seconds a fork waits for gRPC to end then: it doesn't, where others use it.
_UNUSED_WITHIN = 1.0
_LOOK_EVERY = 0.002
_NEVER = ("", "0", "false", "no", "off")

_forking = threading.RLock()
_is_paused = False
_began_in_use = False
_was_in_use = False


def is_paused() -> bool:
    """Whether a fork is under way: nothing of gRPC can begin until it is over."""
    return _is_paused


def other_process(what: str, made_in: int) -> OtherProcess:
    """Makes the error of whatever is used in a process that didn't make it."""
    return OtherProcess(
        f"{what} was made in another process ({made_in}; this one is {os.getpid()}), and only works there: "
        "make a new client after the fork"
    )


def check_usable() -> None:
    """Raises LeaseholdError where gRPC can't work, because it was in use when this process was forked."""
    if _began_in_use:
        raise LeaseholdError(
            "gRPC was in use when this process was forked, so it can't work here: fork while no asyncio client and no "
            'other user of gRPC has made a call, or start the process anew (multiprocessing: the method "spawn")',
            code="FAILED_PRECONDITION",
            reason="OTHER_PROCESS",
        )


def on_fork(let_go: Callable[[float], None], over: Callable[[], None]) -> None:
    """Registers what lets go of gRPC before each fork, and what is called after it in both processes.

    ``let_go`` gets the seconds that it can take.
    """

    def before() -> None:
        global _is_paused, _was_in_use
        _forking.acquire()
        _is_paused = True
        let_go(_LET_GO_WITHIN)
        _wait_until_unused(time.monotonic() + _UNUSED_WITHIN)
        _was_in_use = _is_in_use()

    def in_parent() -> None:
        global _is_paused
        _is_paused = False
        over()
        _forking.release()

    def in_child() -> None:
        global _forking, _is_paused, _began_in_use
        _forking = threading.RLock()
        _is_paused = False
        _began_in_use = _began_in_use or _was_in_use
        over()

    if hasattr(os, "register_at_fork"):  # Windows has no fork
        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def _wait_until_unused(until: float) -> None:
    # gRPC ends when the last of its objects is gone, and an error's traceback may hold one in a circle.
    while _is_in_use() and time.monotonic() < until:
        gc.collect()
        time.sleep(_LOOK_EVERY)


def _is_in_use() -> bool:
    """Whether gRPC has a thread: the poller of its asyncio part, or one of its core, of whatever library."""
    if any("_poll_wrapper" in thread.name for thread in threading.enumerate()):
        return True
    # gRPC's own support of forks, where it is on, does for the core that other libraries use.
    if os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "").lower() not in _NEVER:
        return False
    return any(name.startswith(("event_engine", "grpc_")) for name in _thread_names())


def _thread_names() -> list[str]:
    names = []
    try:
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/comm") as comm:
                names.append(comm.read().strip())
    except OSError:  # no Linux, or the thread has just ended
        pass
    return names
