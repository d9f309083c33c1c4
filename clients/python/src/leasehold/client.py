"""The client for threads; ``leasehold.aio.Client`` is the same for asyncio. All times are in seconds.

with Client("127.0.0.1:50051") as client:
    with client.lock("invoice:42", wait=30) as lease:
        write(lease.fencing_token)
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Self

from leasehold import _operations as ops
from leasehold import aio
from leasehold._background import Background, background
from leasehold._channel import Tls
from leasehold._operations import Begin
from leasehold.errors import LeaseholdError, LockContended, lease_lost

_log = logging.getLogger("leasehold")


class _Held:
    """What a lease and a group of them have in common."""

    def __init__(self, loop: Background, inner: aio.Lease | aio.LeaseGroup) -> None:
        self._loop = loop
        self._inner = inner
        #: Set when it is lost (not when it is released): stop what it protects. Wait for it, or look at it between
        #: steps.
        self.lost = threading.Event()

    def _watch(self) -> Self:
        leases = self._inner.leases if isinstance(self._inner, aio.LeaseGroup) else [self._inner]

        def tell() -> None:
            if self._inner.lost_reason is not None:
                self.lost.set()

        def watch() -> None:
            for lease in leases:
                lease.kept.when_over(tell)

        self._loop.loop.call_soon_threadsafe(watch)
        return self

    @property
    def held(self) -> bool:
        """By the clocks, also where nothing has been heard."""
        return self._inner.held

    def remaining(self) -> float:
        """Seconds until the deadline as it stands; 0.0 when it is over."""
        return self._inner.remaining()

    @property
    def lost_reason(self) -> str | None:
        """Why it was lost: a LostReason such as FORCE_RELEASED, or DEADLINE. None while it isn't."""
        return self._inner.lost_reason

    def check(self) -> None:
        """Raises LeaseLost unless it is held. Call it before each step that the lease protects."""
        self._inner.check()

    def release(self) -> bool:
        """Gives it back. Whether a live lease was ended; raises Unavailable when no server could be asked in time."""
        return self._loop.wait(self._inner.release())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Releases it. Raises LeaseLost if it was lost before, unless the body has raised something of its own."""
        lost = self.lost_reason
        if lost is None and self.held:
            try:
                self.release()
            except LeaseholdError as failure:
                _log.warning("a lease could not be released, and ends with its TTL: %s", failure)
        if lost is not None and error is None:
            raise lease_lost(lost)


class Lease(_Held):
    """A lease that is kept alive until it is released, lost, or its deadline passes. Never acquired again by itself."""

    def __init__(self, loop: Background, inner: aio.Lease) -> None:
        super().__init__(loop, inner)
        self.resource = inner.resource
        self.lease_id = inner.lease_id
        #: Larger than that of every earlier grant: send it with every write, and refuse smaller ones there.
        self.fencing_token = inner.fencing_token


class LeaseGroup(_Held):
    """Several leases, taken all or none. Over as soon as one of them is."""

    def __init__(self, loop: Background, inner: aio.LeaseGroup) -> None:
        super().__init__(loop, inner)
        self.leases = [Lease(loop, lease)._watch() for lease in inner.leases]


class Client:
    """Connections to a deployment. Make one and share it; it may be used by all threads."""

    def __init__(
        self, addresses: str | Sequence[str], *, tls: Tls | None = None, token: str | None = None, owner: str = ""
    ) -> None:
        """``addresses``: "host:port" of the instances. ``tls``: plain text if None. ``owner`` tells people who holds a
        lease."""
        self._loop = background()

        async def connect() -> aio.Client:
            return aio.Client(addresses, tls=tls, token=token, owner=owner)

        self._inner = self._loop.wait(connect())
        self.operations = Operations(self._loop, self._inner.operations)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Calls fail from now on. Leases that are held aren't renewed any more, and end with their deadlines."""
        self._loop.wait(self._inner.close())

    def lock(self, resource: str, **options: Any) -> Lease:
        """Takes a lease and keeps it alive. Use it in a ``with``, which releases it.

        ``ttl``: how long the lease outlives a dead holder (the server's default if not given). ``wait``: how long to
        queue for it, math.inf for ever; 0, the default: not at all, LockContended then. ``timeout``: without a wait,
        how long servers are asked, 10 s. ``shared=True``, or ``permits`` of ``limit``, instead of exclusive.
        ``min_hold``, ``max_hold``, ``owner``, ``metadata``; ``lease_id``: the same acquisition again; ``on_event(kind,
        detail)``, called in the client's thread.
        """

        async def take() -> aio.Lease:
            return await self._inner.lock(resource, **options)

        return Lease(self._loop, self._loop.wait(take()))._watch()

    def try_lock(self, resource: str, **options: Any) -> Lease | None:
        """As ``lock`` without a wait; None when someone else has it."""
        try:
            return self.lock(resource, **options)
        except LockContended:
            return None

    def lock_many(self, resources: Sequence[str], **options: Any) -> LeaseGroup:
        """Takes exclusive leases on up to 32 resources, all or none: ``ttl``, ``wait``, ``timeout``, ``owner`` as for
        ``lock``."""

        async def take() -> aio.LeaseGroup:
            return await self._inner.lock_many(resources, **options)

        return LeaseGroup(self._loop, self._loop.wait(take()))._watch()


class Attempt:
    """One run of an operation by this worker."""

    def __init__(self, loop: Background, inner: ops.Attempt) -> None:
        self._loop = loop
        self._inner = inner
        self.resource = inner.resource
        self.operation_id = inner.operation_id
        self.type = inner.type
        self.data = inner.data
        #: What an earlier attempt has written last: where to go on.
        self.progress = inner.progress
        self.number = inner.number
        self.fencing_token = inner.fencing_token
        #: Set when a request to cancel it, or its end, was heard: then ``check`` raises which.
        self.signalled = threading.Event()

        async def forward() -> None:
            await inner.signalled.wait()
            self.signalled.set()

        loop.loop.call_soon_threadsafe(lambda: loop.loop.create_task(forward()))

    @property
    def held(self) -> bool:
        return self._inner.kept.is_held

    def remaining(self) -> float:
        """Seconds until the deadline as it stands; 0.0 when it is over."""
        return self._inner.kept.remaining()

    @property
    def lost_reason(self) -> str | None:
        return self._inner.kept.lost_reason

    @property
    def cancel_requested(self) -> bool:
        return self._inner.cancel_requested

    @property
    def stopping(self) -> bool:
        """The worker was told to stop: come to an end, or be given back."""
        return self._inner.stopping

    def check(self) -> None:
        """Raises AttemptLost when it is over, OperationCancelled when that was asked for. Call it between steps."""
        self._inner.check()

    def update(self, *, progress: object = None, data: object = None) -> None:
        """Writes progress or data, for those who watch and for the next attempt. None leaves it as it is."""
        self._loop.wait(self._inner.update(progress=progress, data=data))


Work = Callable[[Attempt], Any]


class Operations:
    """Records of long-running work, each run by one worker at a time."""

    def __init__(self, loop: Background, inner: aio.Operations) -> None:
        self._loop = loop
        self._inner = inner

    def run(
        self, resource: str, operation_id: str, work: Work, *, type: str, wait: float | None = None, **options: Any
    ) -> Any:
        """Does the work once, whoever asks how often: begins it, or takes it over from a worker that fell silent, or
        waits for the worker that does it (``wait`` seconds, None for ever), and returns the result, also of a run
        before.

        ``work`` gets the attempt, in this thread; what it returns is stored. What it raises is stored as the
        operation's failure and raised here; by repeats, as OperationFailed. Lost in between: AttemptLost, and nothing
        is stored. Options: ``data``, ``labels``, ``heartbeat``, ``time_to_live``, ``lock`` (a Spec), ``exclusive``,
        ``max_attempts``.
        """
        begin = Begin(resource, operation_id, type=type, owner=self._inner.owner, **options)
        begun = self._loop.wait(ops.begin_or_join(self._inner.channel, begin, wait=wait))
        if not isinstance(begun, ops.Attempt):
            return ops.outcome(begun)
        try:
            result = work(Attempt(self._loop, begun))
        except BaseException as error:
            self._loop.wait(ops.settle_error(begun, error))
            raise
        self._loop.wait(ops.settle(begun, result))
        return result

    def begin(self, resource: str, operation_id: str, *, type: str, **options: Any) -> None:
        """Records it for a worker to claim. Again is no error, unless type, data or labels are others."""
        self._loop.wait(self._inner.begin(resource, operation_id, type=type, **options))

    def get(self, resource: str, operation_id: str) -> dict[str, Any]:
        """``state``, ``result``, ``progress``, ``data``, ``attempt`` and the whole ``record``."""
        return self._loop.wait(self._inner.get(resource, operation_id))

    def cancel(self, resource: str, operation_id: str, *, reason: str = "") -> None:
        """Asks for it: pending, it is cancelled at once; of a running one the worker is told, and decides."""
        self._loop.wait(self._inner.cancel(resource, operation_id, reason=reason))

    def worker(self, types: Sequence[str], work: Work, *, concurrency: int = 1, resource_prefix: str = "") -> Worker:
        """Claims operations of these types and runs ``work`` in threads, from ``start`` (or ``with``) until
        ``stop``."""
        return Worker(self._loop, self._inner, types, work, concurrency=concurrency, resource_prefix=resource_prefix)


class Worker:
    """Claims and runs, ``concurrency`` at a time. A failing work is recorded as failed, and logged."""

    def __init__(
        self, loop: Background, operations: aio.Operations, types: Sequence[str], work: Work, **options: Any
    ) -> None:
        self._loop = loop
        self._inner = operations.worker(types, lambda attempt: _in_thread(loop, work, attempt), **options)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        async def start() -> None:
            self._inner.start()

        self._loop.wait(start())

    def stop(self, *, grace: float = 10.0) -> None:
        """Claims no more; works that run are told (``Attempt.stopping``), have ``grace`` seconds, and are then given
        back."""
        self._loop.wait(self._inner.stop(grace=grace))


def _in_thread(loop: Background, work: Work, attempt: ops.Attempt) -> Awaitable[Any]:
    future: asyncio.Future[Any] = loop.loop.create_future()

    def settle(set_it: Callable[[Any], None], value: Any) -> None:
        if not future.done():
            set_it(value)

    def run() -> None:
        try:
            result = work(Attempt(loop, attempt))
        except Exception as error:
            loop.loop.call_soon_threadsafe(settle, future.set_exception, error)
        else:
            loop.loop.call_soon_threadsafe(settle, future.set_result, result)

    # A daemon: a work that ignores its end must not keep the process.
    threading.Thread(target=run, name=f"leasehold {attempt.operation_id}", daemon=True).start()
    return future
