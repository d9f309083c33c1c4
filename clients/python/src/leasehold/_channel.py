"""The connections to a deployment.

Each instance has connections of three kinds, so that nothing that waits takes the place of what keeps a lease or gives
one back. All instances are alike: calls stay with one while it answers, and go on to the next when it doesn't.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import grpc
import grpc.aio

from leasehold import _fork, _numbers
from leasehold._deadline import Clock, Sent
from leasehold.errors import InvalidArgument, LeaseholdError, client_closed, from_rpc, local_error
from leasehold.v1 import lock_service_pb2_grpc, operation_store_service_pb2_grpc

_OPTIONS = [
    # This client repeats calls itself: the library knows neither the deadline of a lease nor RetryInfo.
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    # The library's default is two minutes, longer than any lease lives.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]
_TOKEN = re.compile(r"[\x21-\x7e]+")
FIRST_BACKOFF = 0.1
MOST_BACKOFF = 2.0
#: How many seconds the first try can take: an instance that hangs must not use up all the time. Each try that isn't
#: answered doubles it, for slow links.
TRY_FOR = 3.0
#: How many seconds a call that waits for nothing goes on at least, if all instances fail at once.
_LEAST = 1.0
#: How many seconds this client tries a call that it can repeat.
ANSWER_WITHIN = 10.0
#: How many seconds a caller that doesn't say waits for a lock.
WAIT_FOR_LOCK = 30.0


@dataclass(frozen=True)
class Tls:
    """How to reach the servers by TLS. The values are the contents of PEM files, not paths.

    ``Tls()`` trusts the authorities that the system trusts. Give ``private_key`` and ``certificate_chain`` together,
    where the servers ask for a client certificate.
    """

    root_certificates: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    certificate_chain: bytes | None = None


#: What a connection is for: unary calls that are answered at once, streams that keep leases and attempts, and what may
#: wait for long.
Kind = Literal["calls", "keeping", "waiting"]
#: How many calls a connection has open at most: many proxies allow 100.
STREAMS_PER_CONNECTION = 100
#: How many seconds one of several connections stays open without a call.
_IDLE = 60.0


class Stubs:
    """The calls of one connection."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.locks: Any = lock_service_pb2_grpc.LockServiceStub(channel)  # type: ignore[no-untyped-call]
        self.operations: Any = operation_store_service_pb2_grpc.OperationStoreServiceStub(channel)  # type: ignore[no-untyped-call]
        #: How many calls are open.
        self.open = 0
        self.idle: asyncio.TimerHandle | None = None


class Pool:
    """The connections of one kind to one instance: as many as the open calls need, the first at the first call."""

    def __init__(self, connect: Callable[[], Stubs], most: int) -> None:
        self._connect = connect
        self._most = most
        self._all: list[Stubs] = []

    def take(self) -> Stubs:
        """Returns a connection with room for a call; ``give`` takes it back when the call is over."""
        stubs = next((each for each in self._all if each.open < self._most), None)
        if stubs is None:
            stubs = self._connect()
            self._all.append(stubs)
        stubs.open += 1
        if stubs.idle is not None:
            stubs.idle.cancel()
            stubs.idle = None
        return stubs

    def give(self, stubs: Stubs) -> None:
        """Takes back a connection from a call that is over."""
        stubs.open -= 1
        if stubs.open == 0 and stubs in self._all and len(self._all) > 1:
            stubs.idle = asyncio.get_running_loop().call_later(_IDLE, self._retire, stubs)

    def _retire(self, stubs: Stubs) -> None:
        if stubs.open == 0 and stubs in self._all and len(self._all) > 1:
            self._all.remove(stubs)
            self._retiring = asyncio.ensure_future(stubs.channel.close())

    async def close(self) -> None:
        """Ends the connections; another call makes new ones."""
        made, self._all = self._all, []
        for stubs in made:
            if stubs.idle is not None:
                stubs.idle.cancel()
        await asyncio.gather(*(stubs.channel.close() for stubs in made))


class Seat:
    """The connections to one instance."""

    def __init__(self, address: str, connect: Callable[[str], Stubs], most: int) -> None:
        self.address = address
        self._pools: dict[Kind, Pool] = {
            kind: Pool(lambda: connect(address), most) for kind in ("calls", "keeping", "waiting")
        }

    def pool(self, kind: Kind) -> Pool:
        """Returns the connections of this kind."""
        return self._pools[kind]

    async def close(self) -> None:
        """Ends the connections; another call makes new ones."""
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))


class _Call(Protocol):
    def cancel(self) -> bool: ...


class Holders(Protocol):
    """What keeps the leases and attempts of a channel."""

    async def answered(self, within: float) -> None:
        """Returns when those whose stream broke have been answered on another one, when none of them was for 2 s, or
        after ``within`` seconds, 10 at most."""

    async def let_end(self) -> None:
        """Returns when the servers have ended the streams of what is over, or after half a second."""


def forked() -> LeaseholdError:
    """Makes the error of a call that a fork of this process breaks: it passes."""
    return local_error("UNAVAILABLE", "this process forked, which ends its connections")


@dataclass(frozen=True)
class Answered:
    """An answer, and when its call was sent."""

    response: Any
    #: The moment before the answered try was sent: ``valid_for`` counts from here.
    sent: Sent


class Channel:
    """Makes calls to whichever instance answers. It lives in one event loop."""

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        tls: Tls | None = None,
        token: str | None = None,
        streams_per_connection: int = STREAMS_PER_CONNECTION,
        clock: Clock | None = None,
    ) -> None:
        if isinstance(addresses, str):
            addresses = [addresses]
        if not addresses:
            raise ValueError('addresses is empty: give the "host:port" of at least one instance')
        for address in addresses:
            host, _, port = address.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65_536:
                raise ValueError(f'"{address}" is not an address: give "host:port", for example "127.0.0.1:50051"')
        most = _numbers.count("streams_per_connection", streams_per_connection, 1)
        _fork.check_usable()
        self.clock = clock or Clock()
        self.metadata = [("authorization", f"Bearer {_bearer_token(token)}")] if token is not None else []
        self.is_closed = False
        self.is_letting_go = False
        self._calls: set[_Call] = set()
        self._tls = tls
        self._pid = os.getpid()
        self._seats = [Seat(address, self._connect, most) for address in addresses]
        self.holders: Holders | None = None
        #: The streams that keep several leases, once there are any.
        self.batches: object = None
        self._at = random.randrange(len(self._seats))

    def _connect(self, address: str) -> Stubs:
        self.check_process()
        if _fork.is_paused():
            raise forked()
        tls = self._tls
        if tls is None:
            return Stubs(grpc.aio.insecure_channel(address, options=_OPTIONS))
        credentials = grpc.ssl_channel_credentials(tls.root_certificates, tls.private_key, tls.certificate_chain)
        return Stubs(grpc.aio.secure_channel(address, credentials, options=_OPTIONS))

    @property
    def is_inherited(self) -> bool:
        """Whether this process was forked from the one that made this."""
        return os.getpid() != self._pid

    def check_process(self) -> None:
        """Raises OtherProcess in a process that was forked from the one that made this."""
        if self.is_inherited:
            raise _fork.other_process("the client of this call", self._pid)

    def __repr__(self) -> str:
        return ", ".join(seat.address for seat in self._seats) + (", closed" if self.is_closed else "")

    @property
    def instances(self) -> int:
        """How many instances it knows."""
        return len(self._seats)

    @property
    def seat(self) -> Seat:
        """The instance that calls go to now. Raises LeaseholdError, CANCELLED, once the channel is closed."""
        self.check_process()
        if self.is_closed:
            raise client_closed()
        return self._seats[self._at]

    def leave(self, seat: Seat) -> None:
        """Sends calls to the next instance, if they still go to this one."""
        if seat is self._seats[self._at]:
            self._at = (self._at + 1) % len(self._seats)

    def began(self, call: _Call) -> Callable[[], None]:
        """Cancels the call when the channel is closed. The call's end calls the returned function, which forgets it."""
        self._calls.add(call)
        return lambda: self._calls.discard(call)

    async def unary(
        self,
        method: Callable[[Stubs], Any],
        request: Any,
        *,
        within: float,
        try_for: float = TRY_FOR,
        kind: Kind = "calls",
        asks_once: bool = False,
    ) -> Answered:
        """Repeats the call with the same ids until a server answers it: a repeat has no second effect.

        ``within`` bounds all tries together and ``try_for`` the first of them, in seconds; one that isn't answered
        doubles it. ``asks_once``: it asks each instance once, and fails a second later at the earliest. Raises what the
        last try ended with, at once if a repeat can't help.
        """
        began = self.clock.monotonic()
        give_up = began + within
        tries = 0
        while True:
            seat = self.seat
            left = give_up - self.clock.monotonic()
            try:
                sent = self.clock.sent()
                return Answered(await self._once(seat, kind, method, request, min(left, try_for)), sent)
            except LeaseholdError as error:
                if not error.is_passing:
                    raise
                self.leave(seat)
                if error.code == "DEADLINE_EXCEEDED":
                    try_for *= 2
                tries += 1
                pause = max(error.retry_after or 0.0, full_jitter(tries - 1))
                again = self.clock.monotonic() + pause
                if again >= give_up or asks_once and self.has_asked_all(tries, again - pause - began):
                    raise
            await asyncio.sleep(pause)
            if kind == "waiting" and self.holders is not None:
                await self.holders.answered(give_up - self.clock.monotonic())

    def has_asked_all(self, tries: int, took: float) -> bool:
        """Whether a call that waits for nothing is over after these tries and seconds."""
        return tries >= self.instances and took >= _LEAST

    async def _once(self, seat: Seat, kind: Kind, method: Callable[[Stubs], Any], request: Any, timeout: float) -> Any:
        pool = seat.pool(kind)
        stubs = pool.take()
        call = method(stubs)(request, timeout=max(timeout, 0.001), metadata=self.metadata)
        ended = self.began(call)
        try:
            return await call
        except grpc.RpcError as error:
            raise from_rpc(error, seat.address) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            if self.is_closed:
                raise client_closed() from None
            if self.is_letting_go:
                raise forked() from None
            raise
        finally:
            ended()
            pool.give(stubs)

    async def close(self) -> None:
        """Ends all calls and connections. Nothing renews the leases that are held: they end with their deadlines."""
        if self.is_closed or self.is_inherited:
            return
        self.is_closed = True
        if self.holders is not None:
            await self.holders.let_end()
        for call in list(self._calls):
            call.cancel()
        await asyncio.gather(*(seat.close() for seat in self._seats))

    async def let_go(self) -> None:
        """Ends all calls and connections for a fork, as if the network had: the calls are repeated after it."""
        self.is_letting_go = True
        try:
            for call in list(self._calls):
                call.cancel()
            await asyncio.gather(*(seat.close() for seat in self._seats))
            # What was cancelled hears of it in the next turns of the loop.
            while self._calls:
                await asyncio.sleep(0)
        finally:
            self.is_letting_go = False


def _bearer_token(token: object) -> str:
    """Returns the token without the white space around it: secrets end in newlines. Raises InvalidArgument.

    The error shows nothing of the token; that of gRPC would show all of it.
    """
    trimmed = token.strip() if isinstance(token, str) else ""
    if not _TOKEN.fullmatch(trimmed):
        message = "token must be a string of visible ASCII characters without white space within; it isn't shown here"
        raise InvalidArgument(message, code="INVALID_ARGUMENT", reason="INVALID_ARGUMENT", fields=["token"])
    return trimmed


def full_jitter(tries: int, part: float | None = None) -> float:
    """Returns seconds from the whole span below a bound that doubles, so that callers that failed together don't come
    back together. ``part`` of that span, from 0 to 1, is a random one if not given."""
    return (random.random() if part is None else part) * min(MOST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(tries, 30))
