"""The connections to a deployment.

Each instance has one for unary calls and one for streams, so that a release never waits behind a thousand streams. All
instances are alike: calls stay with one while it answers, and go on to the next when it doesn't.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import grpc.aio

from leasehold import _fork
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
#: How many seconds one try can take: an instance that hangs must not use up all the time.
TRY_FOR = 3.0
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
    private_key: bytes | None = None
    certificate_chain: bytes | None = None


class Seat:
    """The connections to one instance, made for the first call."""

    def __init__(self, address: str, connect: Callable[[str], Stubs]) -> None:
        self.address = address
        self._connect = connect
        self._calls: Stubs | None = None
        self._streams: Stubs | None = None

    @property
    def calls(self) -> Stubs:
        if self._calls is None:
            self._calls = self._connect(self.address)
        return self._calls

    @property
    def streams(self) -> Stubs:
        if self._streams is None:
            self._streams = self._connect(self.address)
        return self._streams

    async def close(self) -> None:
        """Ends the connections; another call makes new ones."""
        made = [stubs.channel for stubs in (self._calls, self._streams) if stubs is not None]
        self._calls = self._streams = None
        await asyncio.gather(*(channel.close() for channel in made))


class Stubs:
    """The calls of one connection."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.locks: Any = lock_service_pb2_grpc.LockServiceStub(channel)  # type: ignore[no-untyped-call]
        self.operations: Any = operation_store_service_pb2_grpc.OperationStoreServiceStub(channel)  # type: ignore[no-untyped-call]


class _Call(Protocol):
    def cancel(self) -> bool: ...


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
        self, addresses: Sequence[str], *, tls: Tls | None = None, token: str | None = None, clock: Clock | None = None
    ) -> None:
        if isinstance(addresses, str):
            addresses = [addresses]
        if not addresses:
            raise ValueError('addresses is empty: give the "host:port" of at least one instance')
        for address in addresses:
            host, _, port = address.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65_536:
                raise ValueError(f'"{address}" is not an address: give "host:port", for example "127.0.0.1:50051"')
        _fork.check_usable()
        self.clock = clock or Clock()
        self.metadata = [("authorization", f"Bearer {_bearer_token(token)}")] if token is not None else []
        self.is_closed = False
        self.is_letting_go = False
        self._calls: set[_Call] = set()
        self._tls = tls
        self._pid = os.getpid()
        self._seats = [Seat(address, self._connect) for address in addresses]
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
        self, method: Callable[[Stubs], Any], request: Any, *, within: float, try_for: float = TRY_FOR
    ) -> Answered:
        """Repeats the call with the same ids until a server answers it: a repeat has no second effect.

        ``within`` bounds all tries together and ``try_for`` each of them, in seconds. Raises what the last try ended
        with, at once if a repeat can't help.
        """
        give_up = self.clock.monotonic() + within
        tries = 0
        while True:
            seat = self.seat
            left = give_up - self.clock.monotonic()
            try:
                sent = self.clock.sent()
                return Answered(await self._once(seat, method, request, min(left, try_for)), sent)
            except LeaseholdError as error:
                if not error.is_passing:
                    raise
                self.leave(seat)
                pause = max(error.retry_after or 0.0, full_jitter(tries))
                if self.clock.monotonic() + pause >= give_up:
                    raise
            tries += 1
            await asyncio.sleep(pause)

    async def _once(self, seat: Seat, method: Callable[[Stubs], Any], request: Any, timeout: float) -> Any:
        call = method(seat.calls)(request, timeout=max(timeout, 0.001), metadata=self.metadata)
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

    async def close(self) -> None:
        """Ends all calls and connections. Nothing renews the leases that are held: they end with their deadlines."""
        if self.is_closed or self.is_inherited:
            return
        self.is_closed = True
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


def full_jitter(tries: int) -> float:
    """Returns seconds from the whole span below a bound that doubles, so that callers that failed together don't come
    back together."""
    return random.random() * min(MOST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(tries, 30))
