"""The client for threads; ``leasehold.aio.Client`` is the same for asyncio. All times are in seconds.

with Client("127.0.0.1:50051") as client:
    with client.lock("invoice:42", wait=30) as lease:
        write(lease.fencing_token)
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from leasehold import _fork, aio
from leasehold import _operations as ops
from leasehold._background import Background, background
from leasehold._channel import STREAMS_PER_CONNECTION, Tls
from leasehold._operations import Begin
from leasehold.aio import Operation
from leasehold.errors import LockContended


def _set_event() -> threading.Event:
    # An event that was made before the fork may be locked for ever here.
    event = threading.Event()
    event.set()
    return event


class _Held:
    """What a lease and a group of leases have in common."""

    def __init__(self, loop: Background, inner: aio.Lease | aio.LeaseGroup) -> None:
        self._loop = loop
        self._inner = inner
        self._lost = threading.Event()

    def __repr__(self) -> str:
        return repr(self._inner)

    def _watch(self) -> Self:
        leases = self._inner.leases if isinstance(self._inner, aio.LeaseGroup) else [self._inner]

        def tell() -> None:
            if self._inner.lost_reason is not None:
                self._lost.set()

        def watch() -> None:
            for lease in leases:
                lease.kept.when_over(tell)

        self._loop.loop.call_soon_threadsafe(watch)
        return self

    @property
    def lost(self) -> threading.Event:
        """Set when it is lost, but not when it is released: stop what it protects. Wait for it, or look at it between
        steps. Set in a process that was forked since, too."""
        return _set_event() if self._loop.is_inherited else self._lost

    @property
    def held(self) -> bool:
        """Whether it is held: by the clocks, even if no server has said anything."""
        return self._inner.held

    def remaining(self) -> float:
        """Returns the seconds until the deadline as it stands; 0.0 when it is over."""
        return self._inner.remaining()

    @property
    def lost_reason(self) -> str | None:
        """Why it was lost: a LostReason such as FORCE_RELEASED, or DEADLINE; None if it isn't lost."""
        return self._inner.lost_reason

    def check(self) -> None:
        """Raises LeaseLost unless it is held. Call it before each step that the lease protects."""
        self._inner.check()

    def release(self) -> bool:
        """Releases it, and returns whether that ended a live lease. A repeat does no harm.

        Raises Unavailable when no server answered within 10 s; the lease then ends with its TTL.
        """
        return self._loop.wait(self._inner.release())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Releases it. Raises LeaseLost if it was lost before, unless the body has raised an error of its own."""
        loss = self._inner._loss()
        if loss is None and self.held:
            self._loop.wait(aio.release_quietly(self._inner))
        if loss is not None and error is None:
            raise loss


class Lease(_Held):
    """A lease that the client keeps alive until it is released, lost, or its deadline passes.

    The client never acquires it again by itself.
    """

    def __init__(self, loop: Background, inner: aio.Lease) -> None:
        super().__init__(loop, inner)
        self.resource = inner.resource
        self.lease_id = inner.lease_id
        #: Larger than that of every earlier grant: send it with every write, and refuse smaller ones there.
        self.fencing_token = inner.fencing_token


class LeaseGroup(_Held):
    """Several leases, taken all or none. The group is over as soon as one of them is."""

    def __init__(self, loop: Background, inner: aio.LeaseGroup) -> None:
        super().__init__(loop, inner)
        self.leases = [Lease(loop, lease)._watch() for lease in inner.leases]


class Client:
    """The connections to a deployment. Make one and share it: all threads can use it."""

    def __init__(
        self,
        addresses: str | Sequence[str],
        *,
        tls: Tls | None = None,
        token: str | None = None,
        owner: str | None = None,
        streams_per_connection: int = STREAMS_PER_CONNECTION,
    ) -> None:
        """Connects with the first call.

        ``addresses``: the ``"host:port"`` of one instance or of several. ``tls``: None for plain text. ``token``: the
        client sends it with every call, without the white space around it. ``owner`` tells people who
        holds a lease or runs an operation; ``pid@host`` if not given. ``streams_per_connection``: how many calls a
        connection has open before another one is made, for proxies that allow fewer than 100. Raises ValueError for an
        address that isn't one, and InvalidArgument, a ValueError too, for a token or a number that isn't one.
        """
        _fork.check_usable()
        self._loop = background()

        async def connect() -> aio.Client:
            return aio.Client(
                addresses, tls=tls, token=token, owner=owner, streams_per_connection=streams_per_connection
            )

        self._inner = self._loop.wait(connect())
        self._loop.channels.add(self._inner.operations.channel)
        self.operations = Operations(self._loop, self._inner.operations)

    def __repr__(self) -> str:
        return repr(self._inner)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all calls and connections. Nothing renews the leases that are held: they end with their deadlines.

        Does nothing in a process that was forked since: the client is the other one's.
        """
        if not self._loop.is_inherited:
            self._loop.wait(self._inner.close())

    def lock(self, resource: str, **options: Any) -> Lease:
        """Takes a lease and keeps it alive. Use it in a ``with`` statement, which releases it.

        ``ttl``: how long the lease outlives a dead holder; the server's default if not given. ``wait``: how long to
        queue for it, math.inf for ever; 30 s if not given; with 0 it doesn't queue. ``timeout``: how long it asks
        servers when there is no wait, 10 s if not given. ``shared=True``, or ``permits`` of ``limit``, instead of
        exclusive.
        ``min_hold``: how long the resource stays taken at least, even if the lease is released sooner. ``max_hold``:
        when the lease ends, however often it is renewed. ``owner`` and ``metadata`` are for people who look at the
        lock. ``lease_id`` repeats an earlier acquisition; it is a random UUID if not given. ``on_event(kind, detail)``
        hears queued, granted, renewed, at_risk, reopened, lost and released, in the client's own thread: it must not
        block.

        Raises LockContended when someone else has it and the wait, if any, is over; Unavailable when no server
        answered in time; InvalidArgument for what the server refuses.
        """

        async def take() -> aio.Lease:
            return await self._inner.lock(resource, **options)

        return Lease(self._loop, self._loop.wait(take()))._watch()

    def try_lock(self, resource: str, **options: Any) -> Lease | None:
        """Does what ``lock`` does, but doesn't queue unless ``wait`` is given, and returns None instead of raising
        LockContended."""
        try:
            return self.lock(resource, **{"wait": 0.0, **options})
        except LockContended:
            return None

    def lock_many(self, resources: Sequence[str], **options: Any) -> LeaseGroup:
        """Takes exclusive leases on up to 32 resources, all or none.

        ``ttl``, ``wait``, ``timeout``, ``owner`` and ``on_event`` are those of ``lock``, and so are the errors. One
        call waits at most 30 minutes, even with a longer ``wait``.
        """

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
        #: What the attempts before this one wrote last: go on from there. None if they wrote nothing.
        self.progress = inner.progress
        #: Counts the attempts at the operation, from 1.
        self.number = inner.number
        #: Larger than that of every earlier attempt: send it with every write, and refuse smaller ones there.
        self.fencing_token = inner.fencing_token
        self._signalled = threading.Event()

        async def forward() -> None:
            await inner.signalled.wait()
            self._signalled.set()

        loop.loop.call_soon_threadsafe(lambda: loop.loop.create_task(forward()))

    def __repr__(self) -> str:
        return repr(self._inner)

    @property
    def signalled(self) -> threading.Event:
        """Set when someone asked to cancel the operation, and when the attempt is over; ``check`` raises which."""
        return _set_event() if self._loop.is_inherited else self._signalled

    @property
    def held(self) -> bool:
        """Whether the attempt is still this worker's: by the clocks, even if no server has said anything."""
        return self._inner.kept.is_held

    def remaining(self) -> float:
        """Returns the seconds until the deadline as it stands; 0.0 when it is over."""
        return self._inner.kept.remaining()

    @property
    def lost_reason(self) -> str | None:
        """Why it was lost: an AttemptLostReason such as SUPERSEDED, or DEADLINE; None if it isn't lost."""
        return self._inner.kept.lost_reason

    @property
    def cancel_requested(self) -> bool:
        """Whether someone asked to cancel the operation."""
        return self._inner.cancel_requested

    @property
    def stopping(self) -> bool:
        """Whether its worker was told to stop: finish soon, or the worker gives the operation back."""
        return self._inner.stopping

    def check(self) -> None:
        """Raises AttemptLost when it is over, and OperationCancelled when someone asked to cancel the operation.

        Call it between steps, and let what it raises pass.
        """
        self._inner.check()

    def update(self, *, progress: object = None, data: object = None) -> None:
        """Writes progress or data, for people who watch and for the next attempt. None leaves it as it is.

        The server takes it as a sign of life, too. Raises AttemptLost when the attempt is over, and Unavailable when no
        server answered within 10 s.
        """
        self._loop.wait(self._inner.update(progress=progress, data=data))


Work = Callable[[Attempt], Any]
R = TypeVar("R")


class Operations:
    """Records of long-running work, each run by one worker at a time."""

    def __init__(self, loop: Background, inner: aio.Operations) -> None:
        self._loop = loop
        self._inner = inner

    def run(
        self,
        resource: str,
        operation_id: str,
        work: Callable[[Attempt], R],
        *,
        type: str = "run",
        wait: float | None = None,
        **options: Any,
    ) -> R:
        """Does the work once, however often and from wherever it is called, and returns the result.

        It begins the operation, or takes it over from a worker that fell silent, or waits for the worker that runs it
        (``wait`` seconds, None for ever, 0 not at all). A repeat returns the stored result.

        ``work`` gets the attempt, in this thread. The client stores what it returns: JSON data or a protobuf message.
        What it raises is stored as the operation's failure and raised here.

        ``type``: the kind of work, by which workers claim. ``data``: what a worker needs to know. ``labels``: to find
        the operation by. ``heartbeat``: how long a running attempt can be silent before another worker takes over.
        ``time_to_live``: the server gives the operation up if it isn't finished by then. ``lock``, a Spec: every
        attempt also takes a lease on the resource. ``exclusive``: the only open operation of its resource.
        ``max_attempts``: how many attempts can go stale before the server gives the operation up, 1 to 1,000; 0 for the
        server's default.

        Raises AttemptLost when the attempt was lost meanwhile, and then nothing is stored; AttemptHeld when another
        worker still runs it after ``wait``; OperationFailed or OperationCancelled, when it ended so in an earlier call.
        """
        begin = Begin(resource, operation_id, type=type, owner=self._inner.owner, **options)
        begun = self._loop.wait(ops.begin_or_join(self._inner.channel, begin, wait=wait))
        if not isinstance(begun, ops.Attempt):
            return cast(R, ops.outcome(begun))
        try:
            result = work(Attempt(self._loop, begun))
        except BaseException as error:
            if not self._loop.is_inherited:
                self._loop.wait(ops.settle_error(begun, error))
            raise
        self._loop.wait(ops.settle(begun, result))
        return result

    def begin(self, resource: str, operation_id: str, *, type: str = "run", **options: Any) -> None:
        """Records an operation for a worker to claim. Options are those of ``run``, without ``wait``.

        A repeat has no second effect. Raises LeaseholdError with the reason OPERATION_EXISTS if the operation exists
        with another type, other data or other labels.
        """
        self._loop.wait(self._inner.begin(resource, operation_id, type=type, **options))

    def get(self, resource: str, operation_id: str) -> Operation:
        """Returns the ``state``, ``result``, ``progress``, ``data``, ``attempt`` (its number) and the whole ``record``.

        Raises LeaseholdError with the reason OPERATION_NOT_FOUND if there is no such operation.
        """
        return self._loop.wait(self._inner.get(resource, operation_id))

    def cancel(self, resource: str, operation_id: str, *, reason: str = "") -> None:
        """Asks to cancel an operation. A pending one is cancelled at once; the worker of a running one decides."""
        self._loop.wait(self._inner.cancel(resource, operation_id, reason=reason))

    def worker(self, types: Sequence[str], work: Work, *, concurrency: int = 1, resource_prefix: str = "") -> Worker:
        """Returns a worker that claims operations of these types, from ``start`` (or ``with``) until ``stop``.

        It runs ``work`` in threads, ``concurrency`` at a time. ``types``: 1 to 16. ``resource_prefix``: it claims only
        operations on resources whose names begin with it.
        """
        return Worker(self._loop, self._inner, types, work, concurrency=concurrency, resource_prefix=resource_prefix)


class Worker:
    """Claims operations and runs them, ``concurrency`` at a time.

    When the work fails, the worker records that and logs it.
    """

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
        """Starts to claim."""

        async def start() -> None:
            self._inner.start()

        self._loop.wait(start())

    def stop(self, *, grace: float = 10.0) -> None:
        """Stops claiming, and sets ``Attempt.stopping`` on the operations that run.

        They have ``grace`` seconds to finish; the worker then gives them back for others.
        """
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

    # A daemon thread: work that ignores its end must not keep the process alive.
    threading.Thread(target=run, name=f"leasehold {attempt.operation_id}", daemon=True).start()
    return future
