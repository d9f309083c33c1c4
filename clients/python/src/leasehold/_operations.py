"""Operations: begun or joined, kept alive by heartbeats, ended once. An attempt obeys the same deadline rule as a
lease."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import any_pb2
from google.rpc import code_pb2

from leasehold._channel import Channel, full_jitter
from leasehold._deadline import Sent
from leasehold._hold import Spec, set_duration
from leasehold._kept import Kept, seconds
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

#: How long a call is tried that can be repeated.
ANSWER_WITHIN = 10.0
#: How long one WaitOperation waits before Begin is tried again: the worker may have died.
JOIN_FOR = 10.0
_FINAL = ("SUCCEEDED", "FAILED", "CANCELLED", "DEAD")
_STILL_TAKEN = ("ATTEMPT_HELD", "LOCK_CONTENDED", "OPERATION_OPEN")


def state_name(operation: Any) -> str:
    name: str = operation_pb2.OperationState.Name(operation.state)
    return name.removeprefix("OPERATION_STATE_")


def outcome(operation: Any) -> object:
    """The result of a finished operation; raises what it ended with instead."""
    state = state_name(operation)
    if state == "SUCCEEDED":
        return from_any(operation.result)
    if state == "CANCELLED":
        raise OperationCancelled(operation.error.message or "the operation was cancelled")
    error = OperationFailed(
        operation.error.message or f"the operation is {state}",
        code=code_pb2.Code.Name(operation.error.code),
        reason="OPERATION_FAILED",
    )
    error.state = state
    raise error


class Attempt:
    """One run of an operation by this worker. Its methods belong to the loop, but for what it is and how it stands."""

    def __init__(self, channel: Channel, operation: Any, attempt: Any, sent: Sent) -> None:
        self.resource: str = operation.resource
        self.operation_id: str = operation.operation_id
        self.type: str = operation.type
        self.data = from_any(operation.data)
        #: What an earlier attempt has written last: where to go on.
        self.progress = from_any(operation.progress)
        self.number: int = attempt.number
        self.fencing_token: int = attempt.fencing_token
        self.cancel_requested = bool(operation.cancel_requested)
        self.cancel_reason: str = operation.cancel_reason
        #: Set when a request to cancel it, or its end, was heard.
        self.signalled = asyncio.Event()
        #: The worker that runs it was told to stop: come to an end, or be given back.
        self.stopping = False
        self._key = dict(
            resource=operation.resource,
            operation_id=operation.operation_id,
            claim_id=attempt.claim_id,
            fencing_token=attempt.fencing_token,
        )
        request = pb.KeepAliveOperationRequest(**self._key)
        self.kept = Kept(
            channel,
            keep_alive=lambda seat: seat.streams.operations.KeepAliveOperation(request, metadata=channel.metadata),
            name_reason=lambda reason: pb.AttemptLostReason.Name(reason).removeprefix("ATTEMPT_LOST_REASON_"),
            on_event=self._heard,
        )
        if self.cancel_requested:
            self.signalled.set()
        self.kept.when_over(self.signalled.set)
        if self.kept.extend(sent, seconds(attempt.valid_for)):
            self.kept.reopen("begun")

    def _heard(self, kind: str, detail: Any) -> None:
        if kind == "cancel_requested":
            self.cancel_requested = True
            self.cancel_reason = detail.reason
            self.signalled.set()

    def check(self) -> None:
        """Raises AttemptLost when it is over, OperationCancelled when that was asked for."""
        if not self.kept.is_held:
            raise attempt_lost(self.kept.lost_reason or "it has ended")
        if self.cancel_requested:
            raise OperationCancelled(self.cancel_reason or "the operation was cancelled")

    async def update(self, *, progress: object = None, data: object = None) -> None:
        """Writes progress or data; a sign of life, too."""
        request = pb.UpdateOperationRequest(**self._key, request_id=str(uuid.uuid4()))
        if progress is not None:
            request.progress.CopyFrom(to_any(progress))
        if data is not None:
            request.data.CopyFrom(to_any(data))
        answered = await self._write("UpdateOperation", request)
        self.kept.extend(answered.sent, seconds(answered.response.attempt.valid_for))

    async def succeed(self, result: any_pb2.Any) -> None:
        request = pb.CompleteOperationRequest(**self._key, request_id=str(uuid.uuid4()), release_lease=True)
        request.result.CopyFrom(result)
        await self._end("CompleteOperation", request)

    async def fail(self, error: BaseException) -> None:
        request = pb.CompleteOperationRequest(**self._key, request_id=str(uuid.uuid4()), release_lease=True)
        if isinstance(error, OperationCancelled):
            request.cancelled.message = error.message[:1_000]
        else:
            request.error.code = code_pb2.UNKNOWN
            request.error.message = f"{type(error).__name__}: {error}"[:8_000]
        await self._end("CompleteOperation", request)

    async def yield_back(self, delay: float | None = None) -> None:
        """Gives it back, for another worker to go on with; not counted towards its attempts."""
        request = pb.YieldOperationRequest(**self._key, request_id=str(uuid.uuid4()))
        set_duration(request.delay, delay)
        await self._end("YieldOperation", request)

    async def _end(self, method: str, request: Any) -> None:
        self.kept.is_ending = True
        try:
            await self._write(method, request)
        finally:
            self.kept.finish("released", "it has ended")

    async def _write(self, method: str, request: Any) -> Any:
        if not self.kept.is_held:
            raise attempt_lost(self.kept.lost_reason or "it has ended")
        try:
            return await self.kept.channel.unary(
                lambda stubs: getattr(stubs.operations, method), request, within=ANSWER_WITHIN
            )
        except AttemptLost as error:
            error.why = "SUPERSEDED"
            self.kept.finish("lost", error.why)
            raise


class Begin:
    """What a caller of ``run`` asks for; times in seconds."""

    def __init__(
        self,
        resource: str,
        operation_id: str,
        *,
        type: str,
        data: object = None,
        labels: Mapping[str, str] | None = None,
        owner: str = "",
        heartbeat: float | None = None,
        time_to_live: float | None = None,
        lock: Spec | None = None,
        exclusive: bool = False,
        max_attempts: int = 0,
    ) -> None:
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
    """An attempt to run here, or the finished record. Waits while another worker runs it: None for ever, 0 not at
    all."""
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
        lambda stubs: stubs.operations.WaitOperation, request, within=wait + ANSWER_WITHIN, try_for=wait + 3.0
    )
    return answered.response.operation if answered.response.done else None


class Claim:
    """One claim, which a repeat finds again: what it got, it gets for as long as that runs."""

    def __init__(self, types: Sequence[str], *, prefix: str, owner: str, count: int) -> None:
        self._request = pb.ClaimOperationsRequest(
            types=list(types), resource_prefix=prefix, claim_id=str(uuid.uuid4()), owner=owner, max_operations=count
        )

    async def ask(self, channel: Channel, *, wait: float) -> list[Attempt]:
        """Waits a while; none is no error."""
        set_duration(self._request.wait_timeout, wait)
        answered = await channel.unary(
            lambda stubs: stubs.operations.ClaimOperations,
            self._request,
            within=wait + ANSWER_WITHIN,
            try_for=wait + 3.0,
        )
        return [Attempt(channel, one.operation, one.attempt, answered.sent) for one in answered.response.claimed]


async def settle(attempt: Attempt, result: object) -> None:
    """Stores the result. Raises AttemptLost if the attempt was over before it was stored."""
    try:
        packed = to_any(result)
    except Exception as error:  # whatever JSON can't say; recorded as the failure that it is
        await settle_error(attempt, error)
        raise
    await attempt.succeed(packed)


async def settle_error(attempt: Attempt, error: BaseException) -> None:
    """Stores what ended the work; the caller raises ``error`` itself, whatever becomes of storing it."""
    try:
        if isinstance(error, (AttemptLost,)) or not attempt.kept.is_held:
            attempt.kept.finish("released", "it has ended")
        elif isinstance(error, Exception):
            await attempt.fail(error)
        else:  # the process is told to end, or the task: another worker goes on
            await attempt.yield_back()
    except LeaseholdError:
        pass  # it goes stale, and another worker takes it
