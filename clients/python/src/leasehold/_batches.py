"""The streams that keep several leases each: KeepAlive carries up to 64, whatever their TTLs.

A batch is opened anew before the server trusts it no more, which is the client's sign of life, and takes in leases of
others that are less than half full. What happens to one lease is no matter of the others. All times are in seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from leasehold import _fork
from leasehold._channel import FIRST_BACKOFF, Channel
from leasehold._deadline import Sent
from leasehold._kept import RENEW_FOR, Kept, Stream, patience_with, reopen_after
from leasehold.errors import LeaseholdError
from leasehold.v1 import lease_pb2, lock_service_pb2

#: How many leases one stream carries at most: a limit of the contract.
MOST = 64
#: How long leases that need a stream wait for one another.
_COLLECT = 0.05

_Key = tuple[str, str]


class Batch:
    """One KeepAlive stream and the leases on it."""

    def __init__(self, batches: Batches, members: dict[_Key, Kept]) -> None:
        self._batches = batches
        self._members = members
        self._loop = asyncio.get_running_loop()
        request = lock_service_pb2.KeepAliveRequest(leases=[batches.refs[kept] for kept in members.values()])
        request.renew_for.FromNanoseconds(round(RENEW_FOR * 1e9))
        channel = batches.channel
        self._stream = Stream(
            channel,
            "keeping",
            lambda stubs: stubs.locks.KeepAlive(request, metadata=channel.metadata),
            self._heard,
            self._ended,
        )
        self.seat = self._stream.seat
        self.sent: Sent = self._stream.sent
        self.open_calls = self._stream.open_calls
        self.part = self._stream.part
        self._age = self._loop.call_later(reopen_after(), self._renew)
        self.watch()
        for kept in list(members.values()):
            kept.carry(self)

    @property
    def carried(self) -> list[Kept]:
        """The leases whose newest stream this is."""
        return [kept for kept in self._members.values() if kept.state == "held" and kept.is_on(self)]

    def watch(self) -> None:
        self._stream.silence = min((patience_with(kept.ttl) for kept in self._members.values()), default=RENEW_FOR)

    def _renew(self) -> None:
        self._batches.open(self.carried, takes_in=True)

    def _heard(self, _: Stream, message: Any) -> None:
        event = message.WhichOneof("event")
        if event == "draining":
            for each in list(self._members.values()):
                each.heard(self, message)
            return
        kept = self._members.get((message.resource, message.lease_id))
        if kept is None:
            return
        if event in ("lost", "moved"):
            self._forget(kept)
        kept.heard(self, message)

    def _ended(self, _: Stream, error: LeaseholdError) -> None:
        self._age.cancel()
        self._batches.all.discard(self)
        members, self._members = self._members, {}
        for kept in members.values():
            # One of them may be what the server refuses: each tries alone.
            if not error.is_passing and error.reason not in ("MOVED", "LEASE_LOST"):
                self._batches.alone.add(kept)
            kept.ended(self, error)

    def drop(self, kept: Kept) -> None:
        if kept in self._members.values():
            self._forget(kept)

    def _forget(self, kept: Kept) -> None:
        self._members = {key: each for key, each in self._members.items() if each is not kept}
        if self._members:
            self.watch()
        else:
            self._age.cancel()
            self._batches.all.discard(self)
            self._stream.let_end()


class Batches:
    """All batches of a channel, and the leases that need one."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.all: set[Batch] = set()
        #: How the contract names each lease.
        self.refs: dict[Kept, lease_pb2.LeaseRef] = {}
        #: Leases that share no stream, since a server refused one that they were on.
        self.alone: set[Kept] = set()
        self._pending: dict[Kept, None] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._opens_at = 0.0

    def add(self, kept: Kept, lease: Any) -> None:
        """Takes in a lease that was granted; it needs no stream of a batch yet."""
        self.refs[kept] = lease_pb2.LeaseRef(
            resource=lease.resource, lease_id=lease.lease_id, fencing_token=lease.fencing_token
        )

        def forget() -> None:
            del self.refs[kept]
            self.alone.discard(kept)
            self._pending.pop(kept, None)

        kept.when_over(forget)

    def want(self, kept: Kept) -> None:
        """Opens a stream for it soon, together with others that need one."""
        self._pending[kept] = None
        self._open_in(min(_COLLECT, kept.remaining() / 10))

    def _open_in(self, pause: float) -> None:
        at = self._loop.time() + pause
        if self._timer is not None:
            if self._opens_at <= at:
                return
            self._timer.cancel()
        self._opens_at = at
        self._timer = self._loop.call_later(pause, self._open_pending)

    def _open_pending(self) -> None:
        self._timer = None
        self.open((), takes_in=False)

    def open(self, leases: Iterable[Kept], *, takes_in: bool) -> None:
        """Opens streams for these leases and for those that wait; ``takes_in``: and for some of small batches."""
        self._pending.update(dict.fromkeys(leases))
        if self.channel.is_closed:
            self._pending.clear()
            return
        if _fork.is_paused():
            self._open_in(FIRST_BACKOFF)
            return
        wanted = [kept for kept in self._pending if kept.state == "held"]
        self._pending.clear()
        groups: list[dict[_Key, Kept]] = []
        shared: dict[_Key, Kept] | None = None
        for kept in wanted:
            if kept in self.alone:
                groups.append({self._key(kept): kept})
                continue
            # Two acquisitions of the same lease can't be told apart on one stream.
            if shared is None or len(shared) == MOST or self._key(kept) in shared:
                shared = {}
                groups.append(shared)
            shared[self._key(kept)] = kept
        if takes_in and shared is not None:
            self._take_in(shared, set(wanted))
        for group in groups:
            try:
                self.all.add(Batch(self, group))
            except LeaseholdError:  # another thread has just begun to fork
                self._pending.update(dict.fromkeys(group.values()))
                self._open_in(FIRST_BACKOFF)

    def _take_in(self, group: dict[_Key, Kept], wanted: set[Kept]) -> None:
        for batch in sorted(self.all, key=lambda each: len(each.carried)):
            more = {self._key(kept): kept for kept in batch.carried if kept not in wanted and kept not in self.alone}
            if len(more) >= MOST / 2 or len(group) + len(more) > MOST:
                return
            if more and group.keys().isdisjoint(more):
                group.update(more)

    def _key(self, kept: Kept) -> _Key:
        ref = self.refs[kept]
        return ref.resource, ref.lease_id


def batches_of(channel: Channel) -> Batches:
    """Returns the batches of a channel."""
    if not isinstance(channel.batches, Batches):
        channel.batches = Batches(channel)
    return channel.batches
