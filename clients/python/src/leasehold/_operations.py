"""Operations: the client begins or joins them, keeps them alive by heartbeats, and ends them once.

An attempt obeys the same deadline rule as a lease. All times are in seconds.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import any_pb2
from google.rpc import code_pb2

from leasehold import _numbers
from leasehold._channel import ANSWER_WITHIN, TRY_FOR, Channel, full_jitter
from leasehold._deadline import Sent
from leasehold._hold import Spec, set_duration
from leasehold._kept import RENEW_FOR, Kept, Stream, patience_with, reopen_after, seconds
from leasehold._payload import from_any, to_any
from leasehold.errors import (
    AttemptLost,
    LeaseholdError,
    OperationCancelled,
    OperationFailed,
    attempt_lost,
)
from leasehold.v1 import operation_pb2
from leasehold.v1 import operation_store_service_pb2 as pb

#: How long one WaitOperation waits before the client tries Begin again: the worker may have died.
JOIN_FOR = 10.0
_FINAL = ("SUCCEEDED", "FAILED", "CANCELLED", "DEAD")
_STILL_TAKEN = ("ATTEMPT_HELD", "LOCK_CONTENDED", "OPERATION_OPEN")


def state_name(operation: Any) -> str:
    """Returns the state of a record, such as ``RUNNING``."""
    name: str = operation_pb2.OperationState.Name(operation.state)
    return name.removeprefix("OPERATION_STATE_")


def outcome(operation: Any) -> object:
    """Returns the result of a finished operation.

    Raises OperationCancelled, or OperationFailed if it ended in any other way, with the message of its worker.
    """
    state = state_name(operation)
    named = f"the operation {operation.operation_id} on {operation.resource}"
    if state == "SUCCEEDED":
        return from_any(operation.result)
    if state == "CANCELLED":
        raise OperationCancelled(operation.error.message or f"{named} was cancelled")
    error = OperationFailed(
        operation.error.message or f"{named} is {state}: see why its workers failed or were lost",
        code=code_pb2.Code.Name(operation.error.code),
        reason="OPERATION_FAILED",
    )
    error.state = state
    raise error


class Attempt:
    """One run of an operation by this worker. Its methods belong to the loop; any thread can read its attributes."""

    def __init__(self, channel: Channel, operation: Any, attempt: Any, sent: Sent) -> None:
        self.resource: str = operation.resource
        self.operation_id: str = operation.operation_id
        self.type: str = operation.type
        self.data = from_any(operation.data)
        #: What the attempts before this one wrote last: go on from there. None if they wrote nothing.
        self.progress = from_any(operation.progress)
        #: Counts the attempts at the operation, from 1.
        self.number: int = attempt.number
        #: Larger than that of every earlier attempt: send it with every write, and refuse smaller ones there.
        self.fencing_token: int = attempt.fencing_token
        self.cancel_requested = bool(operation.cancel_requested)
        self.cancel_reason: str = operation.cancel_reason
        #: Set when someone asked to cancel the operation, and when the attempt is over.
        self.signalled = asyncio.Event()
        #: Whether its worker was told to stop: finish soon, or the worker gives the operation back.
        self.stopping = False
        self._key = dict(
            resource=operation.resource,
            operation_id=operation.operation_id,
            claim_id=attempt.claim_id,
            fencing_token=attempt.fencing_token,
        )
        request = pb.KeepAliveOperationRequest(**self._key)
        set_duration(request.renew_for, RENEW_FOR)

        def open_anew(kept: Kept) -> None:
            stream = Stream(
                channel,
                "keeping",
                lambda stubs: stubs.operations.KeepAliveOperation(request, metadata=channel.metadata),
                kept.heard,
                kept.ended,
                silence=patience_with(kept.ttl),
            )
            kept.carry(stream, age=reopen_after())

        self.kept = Kept(
            channel,
            open_anew=open_anew,
            name_reason=lambda reason: pb.AttemptLostReason.Name(reason).removeprefix("ATTEMPT_LOST_REASON_"),
            on_event=self._heard,
        )
        if self.cancel_requested:
            self.signalled.set()
        self.kept.when_over(self.signalled.set)
        if self.kept.extend(sent, seconds(attempt.valid_for)):
            self.kept.open()

    def __repr__(self) -> str:
        return f"<leasehold.Attempt {self.number} at {self.operation_id!r} on {self.resource!r}: {self.kept!r}>"

    def _heard(self, kind: str, detail: Any) -> None:
        if kind == "cancel_requested":
            self.cancel_requested = True
            self.cancel_reason = detail.reason
            self.signalled.set()

    def check(self) -> None:
        """Raises AttemptLost when it is over, and OperationCancelled when someone asked to cancel the operation."""
        self._check_held()
        if self.cancel_requested:
            raise OperationCancelled(
                self.cancel_reason or f"the operation {self.operation_id} on {self.resource} was cancelled"
            )

    def _check_held(self) -> None:
        if not self.kept.is_held:
            raise attempt_lost(self.resource, self.operation_id, self.kept.lost_reason or "it has ended")

    async def update(self, *, progress: object = None, data: object = None) -> None:
        """Writes progress or data; None leaves it as it is. The server takes it as a sign of life, too.

        Raises AttemptLost when the attempt is over, and Unavailable when no server answered in time.
        """
        request = pb.UpdateOperationRequest(**self._key, request_id=str(uuid.uuid4()))
        if progress is not None:
            request.progress.CopyFrom(to_any(progress))
        if data is not None:
            request.data.CopyFrom(to_any(data))
        answered = await self._write("UpdateOperation", request)
        self.kept.extend(answered.sent, seconds(answered.response.attempt.valid_for))

    async def succeed(self, result: any_pb2.Any) -> None:
        """Ends the operation with a result."""
        request = pb.CompleteOperationRequest(**self._key, request_id=str(uuid.uuid4()), release_lease=True)
        request.result.CopyFrom(result)
        await self._end("CompleteOperation", request)

    async def fail(self, error: BaseException) -> None:
        """Ends the operation with an error; OperationCancelled ends it as cancelled."""
        request = pb.CompleteOperationRequest(**self._key, request_id=str(uuid.uuid4()), release_lease=True)
        if isinstance(error, OperationCancelled):
            request.cancelled.message = error.message[:1_000]
        else:
            request.error.code = code_pb2.UNKNOWN
            request.error.message = f"{type(error).__name__}: {error}"[:8_000]
        await self._end("CompleteOperation", request)

    async def yield_back(self, delay: float | None = None) -> None:
        """Gives it back for another worker, after ``delay`` seconds; it doesn't count towards ``max_attempts``."""
        request = pb.YieldOperationRequest(**self._key, request_id=str(uuid.uuid4()))
        set_duration(request.delay, _numbers.span("delay", delay))
        await self._end("YieldOperation", request)

    async def _end(self, method: str, request: Any) -> None:
        self.kept.is_ending = True
        try:
            await self._write(method, request)
        finally:
            self.kept.finish("released", "it has ended")

    async def _write(self, method: str, request: Any) -> Any:
        self._check_held()
        try:
            return await self.kept.channel.unary(
                lambda stubs: getattr(stubs.operations, method), request, within=ANSWER_WITHIN
            )
        except AttemptLost as error:
            error.why = "SUPERSEDED"
            self.kept.finish("lost", error.why)
            raise


class Begin:
    """What a caller of ``run`` or ``begin`` asks for; ``aio.Operations.run`` says what each argument means."""

    def __init__(
        self,
        resource: str,
        operation_id: str,
        *,
        type: str = "run",
        data: object = None,
        labels: Mapping[str, str] | None = None,
        owner: str = "",
        heartbeat: float | None = None,
        time_to_live: float | None = None,
        lock: Spec | None = None,
        exclusive: bool = False,
        max_attempts: int = 0,
    ) -> None:
        heartbeat = _numbers.span("heartbeat", heartbeat)
        time_to_live = _numbers.span("time_to_live", time_to_live)
        max_attempts = _numbers.count("max_attempts", max_attempts, 0)
        self.request = pb.BeginOperationRequest(
            resource=resource,
            operation_id=operation_id,
            type=type,
            labels=dict(labels or {}),
            owner=owner,
            exclusive=exclusive,
            max_attempts=max_attempts,
        )
        if data is not None:
            self.request.data.CopyFrom(to_any(data))
        set_duration(self.request.heartbeat_timeout, heartbeat)
        set_duration(self.request.time_to_live, time_to_live)
        if lock is not None:
            self.request.lock.CopyFrom(lock.message())
            self.request.lock.lease_id = ""  # the claim_id serves as one


async def begin_or_join(channel: Channel, begin: Begin, *, wait: float | None) -> Attempt | Any:
    """Returns an attempt to run here, or the finished record.

    ``wait``: how many seconds it waits while another worker runs it; None for ever, 0 not at all. Then it raises
    AttemptHeld, or what else stands in the way.
    """
    if wait is not None:
        wait = _numbers.wait("wait", wait)
    request = begin.request
    request.claim_id = str(uuid.uuid4())
    give_up = float("inf") if wait is None else channel.clock.monotonic() + wait
    tries = 0
    while True:
        try:
            answered = await channel.unary(lambda stubs: stubs.operations.BeginOperation, request, within=ANSWER_WITHIN)
        except LeaseholdError as error:
            left = give_up - channel.clock.monotonic()
            if error.reason not in _STILL_TAKEN or left <= 0:
                raise
            pause = min(left, max(error.retry_after or 0.0, full_jitter(tries)))
            tries += 1
            if error.reason == "ATTEMPT_HELD":
                finished = await _wait_for(channel, request, min(left, max(1.0, pause), JOIN_FOR))
                if finished is not None:
                    return finished
            else:
                await asyncio.sleep(pause)
            continue
        response = answered.response
        if response.HasField("attempt"):
            return Attempt(channel, response.operation, response.attempt, answered.sent)
        if state_name(response.operation) in _FINAL:
            return response.operation


async def _wait_for(channel: Channel, key: Any, wait: float) -> Any:
    request = pb.WaitOperationRequest(resource=key.resource, operation_id=key.operation_id)
    set_duration(request.wait_timeout, wait)
    answered = await channel.unary(
        lambda stubs: stubs.operations.WaitOperation,
        request,
        within=wait + ANSWER_WITHIN,
        try_for=wait + TRY_FOR,
        kind="waiting",
    )
    return answered.response.operation if answered.response.done else None


class Claim:
    """One claim. A repeat gets the same operations again, for as long as they run."""

    def __init__(self, types: Sequence[str], *, prefix: str, owner: str, count: int) -> None:
        self._request = pb.ClaimOperationsRequest(
            types=list(types), resource_prefix=prefix, claim_id=str(uuid.uuid4()), owner=owner, max_operations=count
        )

    async def ask(self, channel: Channel, *, wait: float) -> list[Attempt]:
        """Waits for up to ``wait`` seconds, and returns what it claimed; that may be nothing."""
        set_duration(self._request.wait_timeout, wait)
        answered = await channel.unary(
            lambda stubs: stubs.operations.ClaimOperations,
            self._request,
            within=wait + ANSWER_WITHIN,
            try_for=wait + TRY_FOR,
            kind="waiting" if wait > 0 else "calls",
        )
        return [Attempt(channel, one.operation, one.attempt, answered.sent) for one in answered.response.claimed]


async def settle(attempt: Attempt, result: object) -> None:
    """Stores the result. Raises AttemptLost if the attempt was over before."""
    try:
        packed = to_any(result)
    except Exception as error:  # a result that JSON can't say is a failure, and recorded as one
        await settle_error(attempt, error)
        raise
    await attempt.succeed(packed)


async def settle_error(attempt: Attempt, error: BaseException) -> None:
    """Stores the error that ended the work. The caller raises ``error`` itself, even if this can't store it."""
    try:
        if isinstance(error, (AttemptLost,)) or not attempt.kept.is_held:
            attempt.kept.finish("released", "it has ended")
        elif isinstance(error, Exception):
            await attempt.fail(error)
        else:  # the process or the task is told to end: another worker goes on
            await attempt.yield_back()
    except LeaseholdError:
        pass  # the attempt goes stale, and another worker takes the operation over
