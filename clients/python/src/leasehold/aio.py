"""The client for asyncio; ``leasehold.Client`` is the same for threads. All times are in seconds.

async with Client("127.0.0.1:50051") as client:
    async with client.lock("invoice:42", wait=30) as lease:
        ...  # cancelled, and LeaseLost raised, if the lease is lost
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypedDict, TypeVar, cast

from leasehold import _numbers
from leasehold import _operations as ops
from leasehold._channel import ANSWER_WITHIN, STREAMS_PER_CONNECTION, WAIT_FOR_LOCK, Channel, Tls, full_jitter
from leasehold._hold import OnEvent, Spec, hold, hold_many, release
from leasehold._kept import Kept
from leasehold._operations import Attempt, Begin
from leasehold._payload import from_any
from leasehold.errors import LeaseholdError, LeaseLost, LockContended, lease_lost
from leasehold.v1 import operation_pb2
from leasehold.v1 import operation_store_service_pb2 as pb

__all__ = ["Attempt", "Client", "Lease", "LeaseGroup", "Operation", "Operations", "Tls", "Worker"]

_log = logging.getLogger("leasehold")

#: How many seconds the end of a block waits for its release.
_RELEASE_WITHIN = 2.0
#: The releases that are under way, also after the end of their blocks.
_releasing: set[asyncio.Future[bool]] = set()


class Lease:
    """A lease that the client keeps alive until it is released, lost, or its deadline passes.

    The client never acquires it again by itself.
    """

    def __init__(self, message: Any, kept: Kept) -> None:
        self.resource: str = message.resource
        self.lease_id: str = message.lease_id
        #: Larger than that of every earlier grant: send it with every write, and refuse smaller ones there.
        self.fencing_token: int = message.fencing_token
        self.kept = kept

    # The lease_id isn't shown: anyone who knows it can release the lease.
    def __repr__(self) -> str:
        return f"<leasehold.Lease on {self.resource!r}, fencing token {self.fencing_token}: {self.kept!r}>"

    @property
    def held(self) -> bool:
        """Whether it is held: by the clocks, even if no server has said anything."""
        return self.kept.is_held

    def remaining(self) -> float:
        """Returns the seconds until the deadline as it stands; 0.0 when it is over."""
        return self.kept.remaining()

    @property
    def over(self) -> asyncio.Event:
        """An event that is set when it is lost or released."""
        return self.kept.over

    @property
    def lost_reason(self) -> str | None:
        """Why it was lost: a LostReason such as FORCE_RELEASED, or DEADLINE; None if it isn't lost."""
        return self.kept.lost_reason

    def check(self) -> None:
        """Raises LeaseLost unless it is held. Call it before each step that the lease protects."""
        if not self.held:
            raise lease_lost(self.resource, self.lost_reason or "it was released")

    def _loss(self) -> LeaseLost | None:
        """Returns the error that tells why it was lost; None if it isn't lost."""
        return None if self.lost_reason is None else lease_lost(self.resource, self.lost_reason)

    async def release(self) -> bool:
        """Releases it, and returns whether that ended a live lease. A repeat does no harm.

        Raises Unavailable when no server answered within 10 s; the lease then ends with its TTL.
        """
        self.kept.channel.check_process()
        self.kept.finish("released", "it was released", keeps_streams=True)
        try:
            return await release(self.kept.channel, self.resource, self.lease_id)
        finally:
            self.kept.end_streams()


class LeaseGroup:
    """Several leases, taken all or none. The group is over as soon as one of them is."""

    def __init__(self, leases: Sequence[Lease]) -> None:
        self.leases = list(leases)
        self.over = asyncio.Event()
        for lease in self.leases:
            lease.kept.when_over(self.over.set)

    def __repr__(self) -> str:
        return f"<leasehold.LeaseGroup {self.leases!r}>"

    @property
    def held(self) -> bool:
        """Whether all of them are held: by the clocks, even if no server has said anything."""
        return all(lease.held for lease in self.leases)

    def remaining(self) -> float:
        """Returns the seconds until the first of their deadlines; 0.0 when one of them is over."""
        return min(lease.remaining() for lease in self.leases)

    @property
    def lost_reason(self) -> str | None:
        """Why the first of them that is lost was lost; None if none is."""
        return next((lease.lost_reason for lease in self.leases if lease.lost_reason), None)

    def check(self) -> None:
        """Raises LeaseLost unless all of them are held."""
        for lease in self.leases:
            lease.check()

    def _loss(self) -> LeaseLost | None:
        """Returns the error of the first of them that is lost; None if none is."""
        return next((loss for lease in self.leases if (loss := lease._loss()) is not None), None)

    async def release(self) -> bool:
        """Releases all of them, and returns whether that ended live leases only; otherwise as ``Lease.release``."""
        return all(await asyncio.gather(*(lease.release() for lease in self.leases)))


T = TypeVar("T", bound=Lease | LeaseGroup)
R = TypeVar("R")


class Operation(TypedDict):
    """What is recorded of an operation."""

    #: Such as ``RUNNING`` or ``SUCCEEDED``.
    state: str
    result: Any
    progress: Any
    data: Any
    #: The number of its attempt, from 1; 0 before the first.
    attempt: int
    #: The whole record, as the contract has it.
    record: operation_pb2.Operation


class _Taking(Generic[T]):
    """A lease that is about to be taken.

    ``await`` takes it; ``async with`` also releases it, and cancels its body when the lease is lost.
    """

    def __init__(self, take: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._take = take
        self._lease: T | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False
        self._watch: asyncio.Task[None] | None = None
        self._cancelling = 0

    def __await__(self) -> Generator[Any, None, T]:
        return self._take().__await__()

    async def __aenter__(self) -> T:
        lease = self._lease = await self._take()
        task = self._task = asyncio.current_task()
        assert task is not None
        self._cancelling = task.cancelling()

        async def cancel_when_lost() -> None:
            await lease.over.wait()
            if lease.lost_reason is not None:
                self._cancelled = True
                task.cancel()

        self._watch = asyncio.create_task(cancel_when_lost())
        return lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        lease, task = self._lease, self._task
        assert lease is not None and task is not None and self._watch is not None
        self._watch.cancel()
        loss = lease._loss()
        if self._cancelled and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            assert loss is not None  # only a loss cancels the body
            raise loss from error
        if loss is None and lease.held:
            await release_quietly(lease)
        if loss is not None and error is None:
            raise loss
        return False


async def release_quietly(lease: Lease | LeaseGroup) -> None:
    """Releases what a block held, and only logs a failure: that must hide neither the block's result nor its error.

    After 2 s the block ends, and the release goes on.
    """
    releasing = asyncio.ensure_future(lease.release())
    _releasing.add(releasing)

    def tell(done: asyncio.Future[bool]) -> None:
        _releasing.discard(done)
        if not done.cancelled() and done.exception() is not None:
            leases = lease.leases if isinstance(lease, LeaseGroup) else [lease]
            resources = ", ".join(each.resource for each in leases)
            _log.warning("the lease on %s was not released, and ends with its TTL: %s", resources, done.exception())

    releasing.add_done_callback(tell)
    await asyncio.wait([releasing], timeout=_RELEASE_WITHIN)


class Client:
    """The connections to a deployment. Make one and share it, within one event loop."""

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
        self._channel = Channel(
            [addresses] if isinstance(addresses, str) else addresses,
            tls=tls,
            token=token,
            streams_per_connection=streams_per_connection,
        )
        self._owner = f"{os.getpid()}@{socket.gethostname()}" if owner is None else owner
        self.operations = Operations(self._channel, self._owner)

    def __repr__(self) -> str:
        return f"<leasehold.Client of {self._channel!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends all calls and connections. Nothing renews the leases that are held: they end with their deadlines."""
        await self._channel.close()

    def lock(
        self,
        resource: str,
        *,
        ttl: float | None = None,
        wait: float = WAIT_FOR_LOCK,
        timeout: float = ANSWER_WITHIN,
        owner: str | None = None,
        shared: bool = False,
        permits: int | None = None,
        limit: int | None = None,
        metadata: Mapping[str, str] | None = None,
        min_hold: float | None = None,
        max_hold: float | None = None,
        lease_id: str | None = None,
        on_event: OnEvent | None = None,
    ) -> _Taking[Lease]:
        """Takes a lease: ``lease = await client.lock(…)``, or ``async with client.lock(…) as lease``.

        ``ttl``: how long the lease outlives a dead holder; None for the server's default. ``wait``: how long to queue
        for it, math.inf for ever; 30 s if not given; with 0 it doesn't queue.
        ``timeout``: how long it asks servers when there is no wait.
        ``shared``, or ``permits`` of ``limit``, instead of exclusive. ``min_hold``: how long the resource stays taken
        at least, even if the lease is released sooner. ``max_hold``: when the lease ends, however often it is renewed.
        ``owner`` and ``metadata`` are for people who look at the lock. ``lease_id`` repeats an earlier acquisition; it
        is a random UUID if not given. ``on_event(kind, detail)`` hears queued, granted, renewed, at_risk, reopened,
        lost and released, in the event loop.

        Raises LockContended when someone else has it and the wait, if any, is over; Unavailable when no server
        answered in time; InvalidArgument for what the server refuses.
        """
        wait, timeout = _numbers.wait("wait", wait), _numbers.wait("timeout", timeout)
        named = {} if lease_id is None else {"lease_id": lease_id}
        spec = Spec(
            resource,
            ttl=ttl,
            owner=self._owner if owner is None else owner,
            shared=shared,
            permits=permits,
            limit=limit,
            metadata=metadata or {},
            min_hold=min_hold,
            max_hold=max_hold,
            **named,
        )

        async def take() -> Lease:
            return Lease(*await hold(self._channel, spec, wait=wait, timeout=timeout, on_event=on_event))

        return _Taking(take)

    async def try_lock(self, resource: str, **options: Any) -> Lease | None:
        """Does what ``lock`` does, but doesn't queue unless ``wait`` is given, and returns None instead of raising
        LockContended."""
        try:
            return await self.lock(resource, **{"wait": 0.0, **options})
        except LockContended:
            return None

    def lock_many(
        self,
        resources: Sequence[str],
        *,
        ttl: float | None = None,
        wait: float = WAIT_FOR_LOCK,
        timeout: float = ANSWER_WITHIN,
        owner: str | None = None,
        on_event: OnEvent | None = None,
    ) -> _Taking[LeaseGroup]:
        """Takes exclusive leases on up to 32 resources, all or none, and otherwise does what ``lock`` does.

        One call waits at most 30 minutes, even with a longer ``wait``.
        """
        wait, timeout = _numbers.wait("wait", wait), _numbers.wait("timeout", timeout)
        specs = [Spec(each, ttl=ttl, owner=self._owner if owner is None else owner) for each in resources]

        async def take() -> LeaseGroup:
            taken = await hold_many(self._channel, specs, wait=wait, timeout=timeout, on_event=on_event)
            return LeaseGroup([Lease(*each) for each in taken])

        return _Taking(take)


class Operations:
    """Records of long-running work, each run by one worker at a time."""

    def __init__(self, channel: Channel, owner: str) -> None:
        self.channel = channel
        self.owner = owner

    async def run(
        self,
        resource: str,
        operation_id: str,
        work: Callable[[Attempt], Awaitable[R]],
        *,
        type: str = "run",
        data: object = None,
        labels: Mapping[str, str] | None = None,
        heartbeat: float | None = None,
        time_to_live: float | None = None,
        lock: Spec | None = None,
        exclusive: bool = False,
        max_attempts: int = 0,
        wait: float | None = None,
    ) -> R:
        """Does the work once, however often and from wherever it is called, and returns the result.

        It begins the operation, or takes it over from a worker that fell silent, or waits for the worker that runs it
        (``wait`` seconds, None for ever, 0 not at all). A repeat returns the stored result.

        ``work`` gets the attempt. The client stores what it returns: JSON data or a protobuf message. What it raises is
        stored as the operation's failure and raised here.

        ``type``: the kind of work, by which workers claim. ``data``: what a worker needs to know. ``labels``: to find
        the operation by. ``heartbeat``: how long a running attempt can be silent before another worker takes over.
        ``time_to_live``: the server gives the operation up if it isn't finished by then. ``lock``: every attempt also
        takes a lease on the resource. ``exclusive``: the only open operation of its resource. ``max_attempts``: how
        many attempts can go stale before the server gives the operation up, 1 to 1,000; 0 for the server's default.

        Raises AttemptLost when the attempt was lost meanwhile, and then nothing is stored; AttemptHeld when another
        worker still runs it after ``wait``; OperationFailed or OperationCancelled, when it ended so in an earlier call.
        """
        begin = Begin(
            resource,
            operation_id,
            type=type,
            data=data,
            labels=labels,
            owner=self.owner,
            heartbeat=heartbeat,
            time_to_live=time_to_live,
            lock=lock,
            exclusive=exclusive,
            max_attempts=max_attempts,
        )
        begun = await ops.begin_or_join(self.channel, begin, wait=wait)
        if not isinstance(begun, Attempt):
            return cast(R, ops.outcome(begun))
        return await perform(begun, work)

    async def begin(self, resource: str, operation_id: str, *, type: str = "run", **options: Any) -> None:
        """Records an operation for a worker to claim. Options are those of ``run``, without ``wait``.

        A repeat has no second effect. Raises LeaseholdError with the reason OPERATION_EXISTS if the operation exists
        with another type, other data or other labels.
        """
        begin = Begin(resource, operation_id, type=type, owner=self.owner, **options)
        await self._call("BeginOperation", begin.request)

    async def get(self, resource: str, operation_id: str) -> Operation:
        """Returns the ``state``, ``result``, ``progress``, ``data``, ``attempt`` (its number) and the whole ``record``.

        Raises LeaseholdError with the reason OPERATION_NOT_FOUND if there is no such operation.
        """
        request = pb.GetOperationRequest(resource=resource, operation_id=operation_id)
        record = (await self._call("GetOperation", request)).operation
        return {
            "state": ops.state_name(record),
            "result": from_any(record.result),
            "progress": from_any(record.progress),
            "data": from_any(record.data),
            "attempt": record.attempt_number,
            "record": record,
        }

    async def cancel(self, resource: str, operation_id: str, *, reason: str = "") -> None:
        """Asks to cancel an operation. A pending one is cancelled at once; the worker of a running one decides."""
        request = pb.CancelOperationRequest(resource=resource, operation_id=operation_id, reason=reason)
        await self._call("CancelOperation", request)

    def worker(
        self,
        types: Sequence[str],
        work: Callable[[Attempt], Awaitable[object]],
        *,
        concurrency: int = 1,
        resource_prefix: str = "",
    ) -> Worker:
        """Returns a worker that claims operations of these types, from ``start`` (or ``async with``) until ``stop``.

        ``types``: 1 to 16. ``concurrency``: how many it runs at a time. ``resource_prefix``: it claims only operations
        on resources whose names begin with it.
        """
        return Worker(self, types, work, concurrency=concurrency, resource_prefix=resource_prefix)

    async def _call(self, method: str, request: Any) -> Any:
        answered = await self.channel.unary(
            lambda stubs: getattr(stubs.operations, method), request, within=ANSWER_WITHIN
        )
        return answered.response


async def perform(attempt: Attempt, work: Callable[[Attempt], Awaitable[R]]) -> R:
    """Does the work, stores its outcome, and returns the result. Raises what the work raises."""
    try:
        result = await work(attempt)
    except BaseException as error:
        await asyncio.shield(asyncio.ensure_future(ops.settle_error(attempt, error)))
        raise
    await ops.settle(attempt, result)
    return result


class Worker:
    """Claims operations and runs them, ``concurrency`` at a time.

    When the work fails, the worker records that and logs it.
    """

    def __init__(
        self,
        operations: Operations,
        types: Sequence[str],
        work: Callable[[Attempt], Awaitable[object]],
        *,
        concurrency: int,
        resource_prefix: str,
    ) -> None:
        self._operations = operations
        self._types = types
        self._work = work
        self._concurrency = _numbers.count("concurrency", concurrency, 1)
        self._prefix = resource_prefix
        self._running: dict[asyncio.Task[None], Attempt] = {}
        self._loop_task: asyncio.Task[None] | None = None
        #: The claim that is under way.
        self._claim: ops.Claim | None = None
        self._freed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def start(self) -> None:
        """Starts to claim."""
        self._loop_task = asyncio.create_task(self._claim_for_ever())

    async def stop(self, *, grace: float = 10.0) -> None:
        """Stops claiming, and sets ``Attempt.stopping`` on the operations that run.

        They have ``grace`` seconds to finish; the worker then gives them back for others.
        """
        grace = _numbers.wait("grace", grace)
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.wait([self._loop_task])
            await self._give_back_unheard()
        for attempt in self._running.values():
            attempt.stopping = True
        if self._running:
            await asyncio.wait(list(self._running), timeout=None if math.isinf(grace) else grace)
        for task, attempt in list(self._running.items()):
            try:
                await attempt.yield_back()
            except LeaseholdError as error:
                _log.warning("%s on %s was not given back: %s", attempt.operation_id, attempt.resource, error)
            task.cancel()

    async def _give_back_unheard(self) -> None:
        """Gives back what the last claim got: its answer may have been on its way when the claim was cancelled."""
        if self._claim is None:
            return
        try:
            for attempt in await self._claim.ask(self._operations.channel, wait=0.0):
                await attempt.yield_back()
        except LeaseholdError as error:
            _log.warning("what the last claim got was not given back; others get it when it goes stale: %s", error)

    async def _claim_for_ever(self) -> None:
        failures = 0
        while True:
            free = self._concurrency - len(self._running)
            if free == 0:
                self._freed.clear()
                await self._freed.wait()
                continue
            try:
                claim = self._claim = ops.Claim(
                    self._types, prefix=self._prefix, owner=self._operations.owner, count=min(free, 32)
                )
                claimed = await claim.ask(self._operations.channel, wait=ops.JOIN_FOR)
                self._claim = None
                failures = 0
            except LeaseholdError as error:
                if self._operations.channel.is_closed:
                    return
                _log.warning("claiming operations failed, and is tried again: %s", error)
                await asyncio.sleep(max(error.retry_after or 0.0, full_jitter(failures)))
                failures += 1
                continue
            for attempt in claimed:
                task = asyncio.create_task(self._run(attempt))
                self._running[task] = attempt
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._freed.set()

    async def _run(self, attempt: Attempt) -> None:
        try:
            await perform(attempt, self._work)
        except Exception as error:
            _log.warning("%s on %s failed: %s", attempt.operation_id, attempt.resource, error)
