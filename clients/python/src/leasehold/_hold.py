"""How the client takes leases.

It takes one by Hold, a single stream that waits and keeps it for the first seconds; several at once by AcquireMany. A
batch keeps them then.
"""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leasehold import _numbers
from leasehold._batches import batches_of
from leasehold._channel import ANSWER_WITHIN, Channel, full_jitter
from leasehold._kept import FIRST_ANSWER, RENEW_FOR, SILENCE, Kept, Stream, holders_of, seconds
from leasehold.errors import LeaseholdError, no_answer_in_time, no_first_answer
from leasehold.v1 import lease_events_pb2, lease_pb2, lock_service_pb2

#: How many seconds the client tries to give back what it no longer waits for.
_GIVE_BACK = 1.0
#: The longest wait of one unary call, in seconds.
_LONGEST_UNARY_WAIT = 30 * 60.0

OnEvent = Callable[[str, Any], None]

_log = logging.getLogger("leasehold")


@dataclass(frozen=True)
class Spec:
    """A request for a lease. All times are in seconds; None stands for the server's default.

    ``ttl``: how long the lease outlives a dead holder. ``shared``, or ``permits`` (at least 1) of ``limit``, instead of
    exclusive. ``min_hold``: how long the resource stays taken at least, even if the lease is released sooner.
    ``max_hold``: when the lease ends, however often it is renewed. ``owner`` and ``metadata`` are for people who look
    at the lock. ``lease_id`` names the acquisition: a repeat with the same one is the same acquisition. It is a secret:
    anyone who knows it can release the lease.
    """

    resource: str
    ttl: float | None = None
    owner: str = ""
    shared: bool = False
    permits: int | None = None
    limit: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    min_hold: float | None = None
    max_hold: float | None = None
    lease_id: str = field(default_factory=lambda: str(uuid.uuid4()), repr=False)

    def __post_init__(self) -> None:
        """Raises InvalidArgument for a number that means nothing."""
        for option in ("ttl", "min_hold", "max_hold"):
            _numbers.span(option, getattr(self, option))
        for option in ("permits", "limit"):
            if getattr(self, option) is not None:
                _numbers.count(option, getattr(self, option), 1)

    def message(self) -> lease_pb2.LeaseSpec:
        """Returns it as the message of the contract."""
        spec = lease_pb2.LeaseSpec(
            resource=self.resource, lease_id=self.lease_id, owner=self.owner, metadata=dict(self.metadata)
        )
        set_duration(spec.ttl, self.ttl)
        set_duration(spec.min_hold, self.min_hold)
        set_duration(spec.max_hold, self.max_hold)
        if self.shared:
            spec.shared.SetInParent()
        elif self.permits is not None:
            spec.permits.permits = self.permits
            spec.permits.limit = self.limit or 0
        return spec


def set_duration(duration: Any, value: float | None) -> None:
    """Sets a Duration of a message to ``value`` seconds; None leaves it unset."""
    if value is not None:
        duration.FromNanoseconds(round(float(value) * 1e9))


def _set_wait(request: Any, wait: float, left: float) -> None:
    if wait <= 0.0:
        return
    if math.isinf(wait):
        request.wait_forever = True
    else:
        set_duration(request.wait_timeout, max(left, 0.001))


def _lost_reason(reason: int) -> str:
    name: str = lease_events_pb2.LostReason.Name(reason)
    return name.removeprefix("LOST_REASON_")


def _guarded(on_event: OnEvent | None) -> OnEvent:
    """Returns an observer that logs what ``on_event`` raises: a failing observer must not cost the lease."""

    def tell(kind: str, detail: Any) -> None:
        try:
            if on_event is not None:
                on_event(kind, detail)
        except Exception:
            _log.exception("on_event raised an error when it was told %s; the lease is not affected", kind)

    return tell


async def hold(
    channel: Channel, spec: Spec, *, wait: float, timeout: float, on_event: OnEvent | None
) -> tuple[Any, Kept]:
    """Takes a lease, and returns it and what keeps it alive. ``wait`` and ``timeout`` are in seconds.

    When it raises or is cancelled, it leaves nothing in a queue, as far as a server answers.
    """
    give_up = channel.clock.monotonic() + (wait if wait > 0 else timeout)
    try:
        return await _hold_on_any(channel, spec, wait, give_up, _guarded(on_event))
    except asyncio.CancelledError:
        # The task that waited is cancelled; the release runs in another one, which only a closed loop ends.
        await asyncio.shield(asyncio.ensure_future(_give_back(channel, spec)))
        raise
    except LeaseholdError as error:
        # It may be queued or even granted at a server whose answer never arrived.
        if error.reason != "LOCK_CONTENDED" and error.code not in ("INVALID_ARGUMENT", "UNAUTHENTICATED"):
            await _give_back(channel, spec)
        raise


async def _hold_on_any(
    channel: Channel, spec: Spec, wait: float, give_up: float, on_event: OnEvent
) -> tuple[Any, Kept]:
    message = spec.message()
    began = channel.clock.monotonic()
    tries = unanswered = 0
    while True:
        seat = channel.seat
        request = lock_service_pb2.HoldRequest(spec=message)
        set_duration(request.renew_for, RENEW_FOR)
        _set_wait(request, wait, give_up - channel.clock.monotonic())
        granting: _Granting | None = None
        try:
            granting = _Granting(channel, request, FIRST_ANSWER * 2.0 ** min(unanswered, 30), on_event)
            return await granting.wait(give_up)
        except LeaseholdError as error:
            tries += 1
            if granting is not None and granting.is_unanswered:
                unanswered += 1
            granting = None  # nothing of gRPC is left in this call while it pauses: the process may fork
            pause = max(error.retry_after or 0.0, full_jitter(tries - 1))
            can_pass = error.is_passing or error.reason == "MOVED"
            again = channel.clock.monotonic() + pause
            if not can_pass or again >= give_up or wait <= 0 and channel.has_asked_all(tries, again - pause - began):
                raise
            channel.leave(seat)
            on_event("reopened", error.message)
        await asyncio.sleep(pause)
        if wait > 0:
            await holders_of(channel).answered(give_up - channel.clock.monotonic())


class _Granting:
    """One Hold stream, until it grants or ends. After the grant it is the first stream that keeps the lease."""

    def __init__(self, channel: Channel, request: Any, answer_in: float, on_event: OnEvent) -> None:
        #: Whether the server left it without an answer.
        self.is_unanswered = False
        self._channel = channel
        self._on_event = on_event
        self._kept: Kept | None = None
        loop = asyncio.get_running_loop()
        self._granted: asyncio.Future[tuple[Any, Kept]] = loop.create_future()
        has_wait = request.WhichOneof("wait") is not None
        self._stream = Stream(
            channel,
            "waiting",
            lambda stubs: stubs.locks.Hold(request, metadata=channel.metadata),
            self._heard,
            self._ended,
        )
        # An instance that accepts the call and says nothing gets no more time. (One that queues it says so every 15 s.)
        self._answer_in = SILENCE if has_wait else answer_in
        self._first_answer = loop.call_later(self._answer_in, self._no_answer)

    async def wait(self, give_up: float) -> tuple[Any, Kept]:
        """Returns the lease and what keeps it alive. Raises what the stream ended with.

        ``give_up``: when to raise Unavailable at the latest, in seconds of the monotonic clock.
        """
        # This bounds the wait for a silent server; a server that queues the call ends it a little earlier.
        left = give_up - self._channel.clock.monotonic() + FIRST_ANSWER
        is_taken = False
        try:
            async with asyncio.timeout(None if math.isinf(left) else left):
                granted = await self._granted
            is_taken = True
            return granted
        except TimeoutError:
            raise no_answer_in_time(self._stream.seat.address, self._stream.open_calls) from None
        finally:
            self._first_answer.cancel()
            if not is_taken and self._kept is not None:  # granted at the moment at which the caller went away
                self._kept.finish("released", "nobody waits for it any more")
            elif not is_taken:
                self._stream.cancel()

    def _heard(self, call: Stream, message: Any) -> None:
        if self._kept is not None:
            self._kept.heard(call, message)
            return
        self._first_answer.cancel()
        event = message.WhichOneof("event")
        if event == "queued":
            self._on_event("queued", message.queued)
        if event == "granted" and not self._granted.done():
            self._kept = kept = keep(self._channel, message.granted, call.sent, self._on_event)
            kept.begin(call, RENEW_FOR / 4)
            if not self._granted.done():  # the observer may have cancelled the caller
                self._granted.set_result((message.granted, kept))

    def _ended(self, call: Stream, error: LeaseholdError) -> None:
        if self._kept is not None:
            self._kept.ended(call, error)
        elif not self._granted.done():
            self._granted.set_exception(error)

    def _no_answer(self) -> None:
        self.is_unanswered = True
        self._stream.cancel()
        error = no_first_answer(self._stream.seat.address, self._answer_in, self._stream.open_calls)
        self._ended(self._stream, error)


def keep(channel: Channel, lease: Any, sent: Any, on_event: OnEvent) -> Kept:
    """Returns what keeps a granted lease alive; the caller gives it a stream. ``sent``: when its call was sent."""
    batches = batches_of(channel)
    kept = Kept(channel, open_anew=batches.want, name_reason=_lost_reason, on_event=on_event)
    batches.add(kept, lease)
    if kept.extend(sent, seconds(lease.valid_for)):
        on_event("granted", lease)
    return kept


async def hold_many(
    channel: Channel, specs: Sequence[Spec], *, wait: float, timeout: float, on_event: OnEvent | None
) -> list[tuple[Any, Kept]]:
    """Takes all leases or none, and returns each with what keeps it alive. ``wait`` and ``timeout`` are in seconds."""
    give_up = channel.clock.monotonic() + (min(wait, _LONGEST_UNARY_WAIT) if wait > 0 else timeout)
    left = give_up - channel.clock.monotonic()
    request = lock_service_pb2.AcquireManyRequest(specs=[spec.message() for spec in specs])
    _set_wait(request, wait, left)
    try:
        answered = await channel.unary(
            lambda stubs: stubs.locks.AcquireMany,
            request,
            within=left + FIRST_ANSWER,
            try_for=FIRST_ANSWER if wait <= 0 else left + FIRST_ANSWER,
            kind="waiting" if wait > 0 else "calls",
            asks_once=wait <= 0,
        )
    except BaseException as error:
        if not isinstance(error, LeaseholdError) or error.is_passing or error.code == "ABORTED":
            giving_back = asyncio.gather(*(_give_back(channel, spec) for spec in specs))
            await asyncio.shield(giving_back)
        raise
    taken = [(lease, keep(channel, lease, answered.sent, _guarded(on_event))) for lease in answered.response.leases]
    for _, kept in taken:
        kept.open()
    return taken


async def release(channel: Channel, resource: str, lease_id: str) -> bool:
    """Releases a lease, and returns whether that ended a live one."""
    request = lock_service_pb2.ReleaseRequest(resource=resource, lease_id=lease_id)
    answered = await channel.unary(lambda stubs: stubs.locks.Release, request, within=ANSWER_WITHIN)
    return bool(answered.response.released)


async def _give_back(channel: Channel, spec: Spec) -> None:
    # A failure here is of no use to a caller that gets no lease: what was granted ends with its TTL.
    try:
        async with asyncio.timeout(_GIVE_BACK):
            await release(channel, spec.resource, spec.lease_id)
    except (LeaseholdError, TimeoutError):
        pass
