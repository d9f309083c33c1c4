"""Streams keep leases and attempts alive until they are released, lost, or their deadlines pass.

When a stream breaks, moves or grows old, another one goes on, on any instance that answers. A broken stream is not a
loss yet. _batches.py has the streams that keep several leases. All times are in seconds.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol

import grpc

from leasehold import _fork
from leasehold._channel import FIRST_BACKOFF, TRY_FOR, Channel, Kind, Seat, Stubs, forked, full_jitter
from leasehold._deadline import Deadline, Sent
from leasehold.errors import OTHER_PROCESS, LeaseholdError, client_closed, from_rpc, local_error, no_first_answer
from leasehold.v1 import lease_events_pb2

#: How long a stream can be silent before it counts as dead, or half the TTL: servers say something every 15 s.
SILENCE = 20.0
#: How long a server can trust a stream: a client that lives opens it anew when half of that is over.
RENEW_FOR = 20.0
#: How long the first message of a stream whose time is over may still take.
FIRST_ANSWER = TRY_FOR
#: How long the server has to end the stream of what is over: one that the client cancels counts as an error.
END_WITHIN = 0.5
#: How often the client looks at the clocks in any case: a suspended machine's timers may have stood still.
LOOK = 1.0
#: How long waiting streams let those go first that keep something: since the last of these was answered, and in all.
_HOLDERS_FIRST = 2.0
_HOLDERS_MOST = 10.0
_LEAST_PATIENCE = 0.1
#: The risks of one instance, from which the next one may be free.
_MOVES_ON = (
    lease_events_pb2.AT_RISK_REASON_STORE_UNAVAILABLE,
    lease_events_pb2.AT_RISK_REASON_PRIMARY_UNCONFIRMED,
)

Open = Callable[[Stubs], Any]


def seconds(duration: Any) -> float:
    """Returns a Duration of a message in seconds."""
    return float(duration.ToNanoseconds()) / 1e9


def reopen_after() -> float:
    """Returns the age at which a stream is opened anew: at random, so that those that began together part."""
    return RENEW_FOR * (0.4 + 0.1 * random.random())


def patience_with(ttl: float) -> float:
    """Returns how long a stream that keeps something with this TTL can be silent."""
    return min(SILENCE, max(ttl / 2, _LEAST_PATIENCE))


class Carrier(Protocol):
    """A stream as what it keeps sees it: one of its own, or one that it shares."""

    @property
    def seat(self) -> Seat: ...

    @property
    def sent(self) -> Sent: ...

    @property
    def open_calls(self) -> int:
        """How many calls its connection had when it was opened."""

    @property
    def part(self) -> float:
        """A random number from 0 to 1, by which what it carries stays together."""

    def drop(self, kept: Kept) -> None:
        """Carries ``kept`` no more, and lets the server end the stream when nothing is left on it."""

    def watch(self) -> None:
        """Takes notice of the TTL of what it carries."""


class Stream:
    """One stream: when it was sent, what it says, and whether it has fallen silent. It decides nothing."""

    def __init__(
        self,
        channel: Channel,
        kind: Kind,
        open_stream: Open,
        on_message: Callable[[Stream, Any], None],
        on_end: Callable[[Stream, LeaseholdError], None],
        *,
        silence: float = SILENCE,
    ) -> None:
        self.seat = channel.seat
        self.part = random.random()
        #: How long it can be silent.
        self.silence = silence
        #: Whether it only waits for the server to end it.
        self.is_ending = False
        self._channel = channel
        self._on_message = on_message
        self._on_end = on_end
        self._is_over = False
        self._loop = asyncio.get_running_loop()
        self._pool = self.seat.pool(kind)
        self._stubs = self._pool.take()
        self.open_calls = self._stubs.open
        self.sent = channel.clock.sent()
        self._call = open_stream(self._stubs)
        self._ended = channel.began(self)
        self._timer = self._loop.call_later(silence, self._fell_silent)
        self.task = self._loop.create_task(self._read(self._call))

    async def _read(self, call: Any) -> None:
        end: LeaseholdError
        try:
            async for message in call:
                if self._is_over:
                    return
                if self.is_ending:
                    continue
                self._on_message(self, message)
                if not self._is_over and not self.is_ending:
                    self._timer.cancel()
                    self._timer = self._loop.call_later(self.silence, self._fell_silent)
            end = local_error("UNAVAILABLE", "the stream ended")
        except grpc.RpcError as error:
            end = from_rpc(error, self.seat.address)
        except asyncio.CancelledError:
            if self._is_over:
                return  # this client cancelled it
            end = forked() if self._channel.is_letting_go else client_closed()
        self._end(end)

    def _fell_silent(self) -> None:
        self._end(local_error("UNAVAILABLE", f"{self.seat.address} said nothing for {self.silence:.0f} s"))

    def _end(self, error: LeaseholdError) -> None:
        if not self._is_over:
            self._stop()
            if not self.is_ending:
                self._on_end(self, error)

    def _stop(self) -> None:
        self._is_over = True
        self._timer.cancel()
        self._ended()
        self._call.cancel()
        self._pool.give(self._stubs)
        # What is over may be remembered for a while, and gRPC can't end before the last of its objects is gone.
        del self._call, self._stubs

    def cancel(self) -> bool:
        """Ends the stream silently. A channel that ends it, at its close or for a fork, lets it tell its end."""
        if not self._is_over:
            self._stop()
            if self.is_ending:
                return True
            if self._channel.is_closed:
                self._on_end(self, client_closed())
            elif self._channel.is_letting_go:
                self._on_end(self, forked())
        return True

    def let_end(self) -> None:
        """Waits a little for the server to end it, and then ends it silently; what it says counts no more."""
        if self._is_over or self.is_ending:
            return
        self.is_ending = True
        self._timer.cancel()
        self._timer = self._loop.call_later(END_WITHIN, self.cancel)
        holders_of(self._channel).are_ending.add(self.task)
        self.task.add_done_callback(holders_of(self._channel).are_ending.discard)

    # ---- As the carrier of one lease or attempt.

    def drop(self, kept: Kept) -> None:
        self.let_end()

    def watch(self) -> None:
        pass


class Kept:
    """A lease or an attempt: its ``state`` is ``held`` until it is ``released`` or ``lost``.

    Any thread can read ``is_held``, ``remaining`` and ``lost_reason``; everything else belongs to the loop.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        open_anew: Callable[[Kept], None],
        name_reason: Callable[[int], str],
        on_event: Callable[[str, Any], None] | None = None,
    ) -> None:
        """``open_anew`` sees to it that another stream carries it, and calls ``carry`` then."""
        self.channel = channel
        self.state = "held"
        #: Why it is over.
        self.why = ""
        #: Set when it is over: lost or released.
        self.over = asyncio.Event()
        #: Set on an attempt while its outcome is being written: what a stream says about its end is no loss then.
        self.is_ending = False
        #: How many streams were left without an answer, one after the other.
        self.unanswered = 0
        self._deadline = Deadline(channel.clock)
        self._open_anew = open_anew
        self._name_reason = name_reason
        self._on_event = on_event
        self._on_over: list[Callable[[], None]] = []
        self._loop = asyncio.get_running_loop()
        #: The newest stream counts; the one before it goes on until the newest has said that it keeps the lease.
        self._call: Carrier | None = None
        self._former: Carrier | None = None
        self._age: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._last_look: asyncio.TimerHandle | None = None
        self._failures = 0
        holders_of(channel).add(self)

    # ---- What a holder asks, in any thread: by the clocks, even if no timer has run.

    @property
    def is_held(self) -> bool:
        return self.remaining() > 0.0

    def remaining(self) -> float:
        return self._deadline.remaining() if self.state == "held" and not self.channel.is_inherited else 0.0

    @property
    def lost_reason(self) -> str | None:
        if self.channel.is_inherited:
            return OTHER_PROCESS
        if self.state == "held" and not self.is_held:
            return "DEADLINE"
        return self.why if self.state == "lost" else None

    def __repr__(self) -> str:
        return f"held for {self.remaining():.1f} s" if self.is_held else self.lost_reason or self.state

    # ---- What happens to it.

    @property
    def ttl(self) -> float:
        """The most that was left of it."""
        return self._deadline.ttl

    def when_over(self, call: Callable[[], None]) -> None:
        """Calls ``call`` in the loop when it is over, or at once if it is over already."""
        if self.over.is_set():
            call()
        else:
            self._on_over.append(call)

    def extend(self, sent: Sent, valid_for: float) -> bool:
        """Takes the ``valid_for`` of an answer, in seconds. Returns whether it is held."""
        if self.state != "held":
            return False
        if not self._deadline.extend(sent, valid_for):
            self.finish("lost", "DEADLINE")
            return False
        self.look()
        return True

    def is_on(self, call: Carrier) -> bool:
        """Whether ``call`` is its newest stream."""
        return self._call is call

    def begin(self, call: Stream, for_long: float) -> None:
        """Makes the stream that granted it the one that carries it, ``for_long`` seconds from now."""
        if self.state != "held":  # the grant came too late
            call.let_end()
            return
        self._call = call
        call.silence = patience_with(self.ttl)
        self._age = self._loop.call_later(for_long, self.open)

    def open(self) -> None:
        """Goes over to a new stream. The former one goes on until the new one has said that it keeps the lease."""
        # On a closed channel nothing renews it any more; it is held until its deadline all the same.
        if self.state != "held" or self.channel.is_closed:
            return
        self._cancel(self._age)
        self._cancel(self._retry)
        try:
            if not _fork.is_paused():
                self._open_anew(self)
                return
        except LeaseholdError:
            pass  # another thread has just begun to fork
        self._retry = self._loop.call_later(FIRST_BACKOFF, self.open)

    def reopen(self, why: str) -> None:
        """Goes over to a new stream, and tells why."""
        if self.state == "held" and not self.channel.is_closed:
            self._tell("reopened", why)
            self.open()

    def carry(self, call: Carrier, *, age: float | None = None) -> None:
        """Makes ``call``, which was just opened for it, its newest stream; ``age``: when to open another one."""
        if self.state != "held":
            call.drop(self)
            return
        self._cancel(self._age)
        self._cancel(self._retry)
        if self._former is not None:
            self._former.drop(self)
        self._former, self._call = self._call, call
        if age is not None:
            self._age = self._loop.call_later(age, self.open)
        # A server may accept the stream and never answer it: the next one starts long before the silence is over.
        answer_in = max(_LEAST_PATIENCE, min(TRY_FOR * 2.0 ** min(self.unanswered, 30), self.remaining() / 2))
        self._retry = self._loop.call_later(answer_in, self._no_answer, call, answer_in)

    def _no_answer(self, call: Carrier, within: float) -> None:
        self.unanswered += 1
        self.channel.leave(call.seat)
        self._reopen_later(no_first_answer(call.seat.address, within, call.open_calls).message, 0.0, call.part)

    def heard(self, call: Carrier, message: Any) -> None:
        """Takes a message about it of one of its streams."""
        if self.state != "held":
            return
        event = message.WhichOneof("event")
        if event == "renewed":
            # The former stream's word counts too: it is as true, counted from when that stream was sent.
            ttl = self.ttl
            if not self.extend(call.sent, seconds(message.renewed.valid_for)):
                return
            if self.ttl > ttl:
                call.watch()
            self._tell("renewed", message.renewed)
            if call is self._call:
                self._settled()
        elif event == "at_risk":
            if call is self._call:
                self._is_at_risk(call, message.at_risk.reason)
            self._tell("at_risk", message.at_risk)
        elif event == "lost":
            if not self.is_ending:
                self.finish("lost", self._name_reason(message.lost.reason))
        elif event == "draining":
            if call is self._call:
                self.channel.leave(call.seat)
                self.reopen(f"{call.seat.address} is shutting down")
        elif event == "moved":
            if call is self._former:
                self._former = None
            elif call is self._call:
                # An older request arrived after the newest one: opening another one answers that.
                self._call = None
                self._reopen_later("an older call came late", 0.0, call.part)
            call.drop(self)
        elif event == "cancel_requested":
            self._tell("cancel_requested", message.cancel_requested)

    # The instance answers, and goes on trying. But it may be the only one that can't reach Redis, so another one is
    # asked before the time runs out. Not at once, and not by all clients at the same moment: in a failover all
    # instances are at risk.
    def _is_at_risk(self, call: Carrier, reason: int) -> None:
        holders_of(self.channel).found(self)
        self._cancel(self._retry)
        if reason == lease_events_pb2.AT_RISK_REASON_RENEW_FOR:
            self._reopen_later("the server trusts its stream no more", 0.0, call.part)
        elif reason in _MOVES_ON and self.channel.instances > 1:

            def move() -> None:
                self.channel.leave(call.seat)
                self.reopen(f"{call.seat.address} can't renew it")

            self._retry = self._loop.call_later(self.remaining() / 4 * (0.5 + 0.5 * call.part), move)

    def ended(self, call: Carrier, error: LeaseholdError) -> None:
        """Takes the end of one of its streams, and opens another if it was the newest."""
        if call is self._former:
            self._former = None
        if call is not self._call or self.state != "held":
            return
        self._call = None
        if error.reason != "MOVED":
            self.channel.leave(call.seat)
        self._reopen_later(error.message, error.retry_after or 0.0, call.part)

    def finish(self, state: str, why: str, *, keeps_streams: bool = False) -> None:
        """Ends it, once: ``state`` is ``released`` or ``lost``.

        ``keeps_streams``: they go on until ``end_streams``, since no server knows of its end yet.
        """
        if self.state != "held":
            return
        self._deadline.end()
        self.why = why
        self.state = state
        for timer in (self._age, self._retry, self._last_look):
            self._cancel(timer)
        holders_of(self.channel).remove(self)
        if not keeps_streams:
            self.end_streams()
        self.over.set()
        for tell in self._on_over:
            tell()
        self._tell(state, why)

    def end_streams(self) -> None:
        """Lets the servers end the streams of what is over."""
        for call in (self._call, self._former):
            if call is not None:
                call.drop(self)
        self._call = self._former = None

    def _settled(self) -> None:
        self._failures = self.unanswered = 0
        self._cancel(self._retry)
        holders_of(self.channel).found(self)
        if self._former is not None:
            self._former.drop(self)
            self._former = None

    # It waits as long as the server asks, but for half of what is left at most: more would surely lose it.
    def _reopen_later(self, why: str, asked: float, part: float) -> None:
        if self.channel.is_closed:
            return
        holders_of(self.channel).lack(self)
        pause = min(max(asked, full_jitter(self._failures, part)), self.remaining() / 2)
        self._failures += 1
        if self._call is None:  # one that is still there may be answered meanwhile, and grows old
            self._cancel(self._age)
        self._cancel(self._retry)
        self._retry = self._loop.call_later(pause, self.reopen, why)

    def look(self) -> None:
        """Looks at the clocks, and ends it when its deadline has passed."""
        if self.state != "held":
            return
        self._cancel(self._last_look)
        left = self._deadline.remaining()
        if left == 0.0:
            self.finish("lost", "DEADLINE")
        elif left < LOOK:  # before the next look at all of them
            self._last_look = self._loop.call_later(left, self.look)

    def _tell(self, kind: str, detail: Any) -> None:
        if self._on_event is not None:
            self._on_event(kind, detail)

    @staticmethod
    def _cancel(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


class Holders:
    """All that a channel keeps: it looks at their clocks, and tells whether each of them has a stream."""

    def __init__(self) -> None:
        self.are_ending: set[asyncio.Task[None]] = set()
        self._all: set[Kept] = set()
        self._lacking: set[Kept] = set()
        self._none_lacks = asyncio.Event()
        self._none_lacks.set()
        self._found_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def add(self, kept: Kept) -> None:
        """Looks at its clocks from now on."""
        self._all.add(kept)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)

    def remove(self, kept: Kept) -> None:
        """Forgets what is over."""
        self._all.discard(kept)
        self.found(kept)
        if not self._all and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)
        for kept in list(self._all):
            kept.look()

    def lack(self, kept: Kept) -> None:
        """Notes that no stream keeps it for sure."""
        self._lacking.add(kept)
        self._none_lacks.clear()

    def found(self, kept: Kept) -> None:
        """Notes that a server has answered its newest stream, or that it needs none any more."""
        if kept in self._lacking:
            self._lacking.discard(kept)
            self._found_at = asyncio.get_running_loop().time()
        if not self._lacking:
            self._none_lacks.set()

    async def answered(self, within: float) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        end = began + min(within, _HOLDERS_MOST)
        await asyncio.sleep(FIRST_BACKOFF / 2)  # both may have broken at this moment
        while (left := min(end, max(began, self._found_at) + _HOLDERS_FIRST) - loop.time()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._none_lacks.wait()
                return
            except TimeoutError:
                pass

    async def let_end(self) -> None:
        if self.are_ending:
            await asyncio.wait(list(self.are_ending), timeout=END_WITHIN)


def holders_of(channel: Channel) -> Holders:
    """Returns what keeps the leases and attempts of a channel."""
    if not isinstance(channel.holders, Holders):
        channel.holders = Holders()
    return channel.holders
