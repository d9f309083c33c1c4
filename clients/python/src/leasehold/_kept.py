"""Streams keep a lease or an attempt alive until it is released, lost, or its deadline passes.

When a stream breaks, moves or grows old, another one goes on, on any instance that answers. A broken stream is not a
loss yet. All times are in seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from leasehold import _fork
from leasehold._channel import FIRST_BACKOFF, Channel, Seat, forked, full_jitter
from leasehold._deadline import Deadline, Sent
from leasehold.errors import OTHER_PROCESS, LeaseholdError, client_closed, from_rpc, local_error, no_first_answer

#: How long a stream can be silent before it counts as dead: servers say something every 15 s.
SILENCE = 20.0
#: How long the first message of a new stream may take.
FIRST_ANSWER = 3.0
#: The age at which a stream is opened anew.
REOPEN_AFTER = 30 * 60.0
#: How often the client looks at the clocks in any case: a suspended machine's timers may have stood still.
LOOK = 1.0

Open = Callable[[Seat], Any]


def seconds(duration: Any) -> float:
    """Returns a Duration of a message in seconds."""
    return float(duration.ToNanoseconds()) / 1e9


class Stream:
    """One stream: when it was sent, what it says, and whether it has fallen silent. It decides nothing."""

    def __init__(
        self,
        channel: Channel,
        open_stream: Open,
        on_message: Callable[[Stream, Any], None],
        on_end: Callable[[Stream, LeaseholdError], None],
    ) -> None:
        self.seat = channel.seat
        self.sent = channel.clock.sent()
        self._channel = channel
        self._on_message = on_message
        self._on_end = on_end
        self._is_over = False
        self._loop = asyncio.get_running_loop()
        self._call = open_stream(self.seat)
        self._ended = channel.began(self)
        self._silence = self._loop.call_later(SILENCE, self._fell_silent)
        self._task = self._loop.create_task(self._read())

    async def _read(self) -> None:
        end: LeaseholdError
        try:
            async for message in self._call:
                if self._is_over:
                    return
                self._silence.cancel()
                self._silence = self._loop.call_later(SILENCE, self._fell_silent)
                self._on_message(self, message)
            end = local_error("UNAVAILABLE", "the stream ended")
        except grpc.RpcError as error:
            end = from_rpc(error, self.seat.address)
        except asyncio.CancelledError:
            if self._is_over:
                return  # this client cancelled it
            end = client_closed()
        self._end(end)

    def _fell_silent(self) -> None:
        self._end(local_error("UNAVAILABLE", f"{self.seat.address} said nothing for {SILENCE:.0f} s"))

    def _end(self, error: LeaseholdError) -> None:
        if not self._is_over:
            self._stop()
            self._on_end(self, error)

    def _stop(self) -> None:
        self._is_over = True
        self._silence.cancel()
        self._ended()
        self._call.cancel()

    def cancel(self) -> bool:
        """Ends the stream silently. A channel that ends it, at its close or for a fork, lets it tell its end."""
        if not self._is_over:
            self._stop()
            if self._channel.is_closed:
                self._on_end(self, client_closed())
            elif self._channel.is_letting_go:
                self._on_end(self, forked())
        return True


class Kept:
    """A lease or an attempt: its ``state`` is ``held`` until it is ``released`` or ``lost``.

    Any thread can read ``is_held``, ``remaining`` and ``lost_reason``; everything else belongs to the loop.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        keep_alive: Open,
        name_reason: Callable[[int], str],
        on_event: Callable[[str, Any], None] | None = None,
    ) -> None:
        self.channel = channel
        self.state = "held"
        #: Why it is over.
        self.why = ""
        #: Set when it is over: lost or released.
        self.over = asyncio.Event()
        #: Set on an attempt while its outcome is being written: what a stream says about its end is no loss then.
        self.is_ending = False
        self._deadline = Deadline(channel.clock)
        self._keep_alive = keep_alive
        self._name_reason = name_reason
        self._on_event = on_event
        self._on_over: list[Callable[[], None]] = []
        self._loop = asyncio.get_running_loop()
        #: The newest stream counts; the one before it goes on until the newest has said that it keeps the lease.
        self._call: Stream | None = None
        self._former: Stream | None = None
        self._age: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._look_timer: asyncio.TimerHandle | None = None
        self._failures = 0

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

    # ---- What happens to it.

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
        self._look()
        return True

    def adopt(self, call: Stream) -> None:
        """Makes ``call`` the stream that keeps it."""
        if self.state != "held":  # the grant came too late
            call.cancel()
            return
        self._call = call
        self._cancel(self._age)
        self._age = self._loop.call_later(REOPEN_AFTER, self.reopen, "its stream is 30 minutes old")

    def reopen(self, why: str) -> None:
        """Opens a new stream. The former one goes on until the new one has said that it keeps the lease."""
        # On a closed channel nothing renews it any more; it is held until its deadline all the same.
        if self.state != "held" or self.channel.is_closed:
            return
        self._cancel(self._retry)
        if _fork.is_paused():
            self._retry = self._loop.call_later(FIRST_BACKOFF, self.reopen, why)
            return
        self._tell("reopened", why)
        if self._call is not None:
            if self._former is not None:
                self._former.cancel()
            self._former = self._call
        call = Stream(self.channel, self._keep_alive, self.heard, self.ended)
        self.adopt(call)

        def no_answer() -> None:
            self.channel.leave(call.seat)
            self.reopen(no_first_answer(call.seat.address, FIRST_ANSWER).message)

        # A server may accept the stream and never answer it: the next stream starts long before the silence is over.
        self._retry = self._loop.call_later(FIRST_ANSWER, no_answer)

    def heard(self, call: Stream, message: Any) -> None:
        """Takes a message of one of its streams."""
        if self.state != "held":
            return
        event = message.WhichOneof("event")
        if event == "renewed":
            # The former stream's word counts too: it is as true, counted from when that stream was sent.
            if not self.extend(call.sent, seconds(message.renewed.valid_for)):
                return
            self._tell("renewed", message.renewed)
            if call is self._call:
                self._settled()
        elif event == "at_risk":
            if call is self._call:
                self._cancel(self._retry)  # the server answers, and goes on trying
            self._tell("at_risk", message.at_risk)
        elif event == "lost":
            if not self.is_ending:
                self.finish("lost", self._name_reason(message.lost.reason))
        elif event == "draining":
            if call is self._call:
                self.channel.leave(call.seat)
                self.reopen(f"{call.seat.address} is shutting down")
        elif event == "cancel_requested":
            self._tell("cancel_requested", message.cancel_requested)
        # `moved` needs nothing here: the end of its stream follows and says more.

    def ended(self, call: Stream, error: LeaseholdError) -> None:
        """Takes the end of one of its streams, and opens another if it was the newest."""
        if call is self._former:
            self._former = None
        if call is not self._call or self.state != "held":
            return
        self._call = None
        # MOVED on the newest stream means that an older request arrived after it: opening another one answers that.
        if error.reason != "MOVED":
            self.channel.leave(call.seat)
        pause = max(error.retry_after or 0.0, full_jitter(self._failures))
        self._failures += 1
        self._cancel(self._retry)
        self._retry = self._loop.call_later(pause, self.reopen, error.message)

    def finish(self, state: str, why: str) -> None:
        """Ends it, once: ``state`` is ``released`` or ``lost``."""
        if self.state != "held":
            return
        self._deadline.end()
        self.why = why
        self.state = state
        for timer in (self._age, self._retry, self._look_timer):
            self._cancel(timer)
        for call in (self._call, self._former):
            if call is not None:
                call.cancel()
        self.over.set()
        for tell in self._on_over:
            tell()
        self._tell(state, why)

    def _settled(self) -> None:
        self._failures = 0
        self._cancel(self._retry)
        if self._former is not None:
            self._former.cancel()
            self._former = None

    def _look(self) -> None:
        self._cancel(self._look_timer)
        left = self._deadline.remaining()
        if left == 0.0:
            self.finish("lost", "DEADLINE")
        elif self.state == "held":
            self._look_timer = self._loop.call_later(min(left, LOOK), self._look)

    def _tell(self, kind: str, detail: Any) -> None:
        if self._on_event is not None:
            self._on_event(kind, detail)

    @staticmethod
    def _cancel(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
