"""The streams that keep several leases each: KeepAlive carries up to 64, of any TTLs.

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
    """One KeepAlive stream and the leases on it, of which each may have been acquired by several calls."""

    def __init__(self, batches: Batches, members: dict[_Key, list[Kept]]) -> None:
        self._batches = batches
        self._members = members
        self._loop = asyncio.get_running_loop()
        request = lock_service_pb2.KeepAliveRequest(leases=[batches.refs[each[0]] for each in members.values()])
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
        for kept in self._all:
            kept.carry(self)

    @property
    def _all(self) -> list[Kept]:
        return [kept for each in self._members.values() for kept in each]

    @property
    def carried(self) -> list[Kept]:
        """The leases whose newest stream this is."""
        return [kept for kept in self._all if kept.state == "held" and kept.is_on(self)]

    def watch(self) -> None:
        self._stream.silence = min((patience_with(kept.ttl) for kept in self._all), default=RENEW_FOR)

    def _renew(self) -> None:
        self._batches.open(self.carried, takes_in=True)

    def _heard(self, _: Stream, message: Any) -> None:
        event = message.WhichOneof("event")
        if event == "draining":
            for kept in self._all:
                kept.heard(self, message)
            return
        for kept in list(self._members.get((message.resource, message.lease_id), ())):
            if event in ("lost", "moved"):
                self._forget(kept)
            elif event == "renewed":
                self._batches.alone.discard(kept)
            kept.heard(self, message)

    def _ended(self, _: Stream, error: LeaseholdError) -> None:
        self._age.cancel()
        self._batches.all.discard(self)
        members, self._members = self._all, {}
        for kept in members:
            # One of them may be what the server refuses: each tries alone.
            if not error.is_passing and error.reason not in ("MOVED", "LEASE_LOST"):
                self._batches.alone.add(kept)
            kept.ended(self, error)

    def drop(self, kept: Kept) -> None:
        if kept in self._all:
            self._forget(kept)

    def _forget(self, kept: Kept) -> None:
        left = {key: [one for one in each if one is not kept] for key, each in self._members.items()}
        self._members = {key: each for key, each in left.items() if each}
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
        #: What keeps the same acquisition, by lease and fencing token.
        self._same: dict[tuple[_Key, int], list[Kept]] = {}
        #: Leases that share no stream until one is renewed, since a server refused one that they were on.
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
        same = self._same.setdefault((self.key(kept), lease.fencing_token), [])
        same.append(kept)

        def forget() -> None:
            same.remove(kept)
            if not same:
                del self._same[self.key(kept), lease.fencing_token]
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
        pending = [kept for kept in self._pending if kept.state == "held"]
        self._pending.clear()
        groups: list[dict[_Key, list[Kept]]] = []
        shared: dict[_Key, list[Kept]] | None = None
        wanted: set[Kept] = set()
        for kept in pending:
            if kept in wanted:
                continue
            key = self.key(kept)
            # On streams of their own they would take the lease from one another, for ever.
            same = list(self._same[key, self.refs[kept].fencing_token])
            wanted.update(same)
            if kept in self.alone:
                groups.append({key: same})
                continue
            # Two acquisitions of the same lease can't be told apart on one stream.
            if shared is None or len(shared) == MOST or key in shared:
                shared = {}
                groups.append(shared)
            shared[key] = same
        if takes_in and shared is not None:
            self._take_in(shared, wanted)
        for group in groups:
            try:
                self.all.add(Batch(self, group))
            except LeaseholdError:  # another thread has just begun to fork
                self._pending.update(dict.fromkeys(kept for each in group.values() for kept in each))
                self._open_in(FIRST_BACKOFF)

    def _take_in(self, group: dict[_Key, list[Kept]], wanted: set[Kept]) -> None:
        for batch in sorted(self.all, key=lambda each: len(each.carried)):
            more: dict[_Key, list[Kept]] = {}
            for kept in batch.carried:
                if kept not in wanted and kept not in self.alone:
                    more.setdefault(self.key(kept), []).append(kept)
            if len(more) >= MOST / 2 or len(group) + len(more) > MOST:
                return
            if more and group.keys().isdisjoint(more):
                group.update(more)

    def key(self, kept: Kept) -> _Key:
        """Returns by what the messages of a stream name the lease."""
        ref = self.refs[kept]
        return ref.resource, ref.lease_id


def batches_of(channel: Channel) -> Batches:
    """Returns the batches of a channel."""
    if not isinstance(channel.batches, Batches):
        channel.batches = Batches(channel)
    return channel.batches
