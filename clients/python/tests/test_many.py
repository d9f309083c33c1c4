"""Many leases and many waiters of one client: batches keep them, holders come first, and a cut costs none."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent import futures
from typing import Any

import grpc
import pytest

import leasehold
from leasehold import _batches, _kept, aio
from leasehold.v1 import lock_service_pb2, lock_service_pb2_grpc


class Wire:
    """A TCP proxy in front of the server, whose connections can be cut."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._pairs: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_down = False

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    @property
    def connections(self) -> int:
        return len(self._pairs)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_down:
            writer.close()
            return
        there_reader, there = await asyncio.open_connection(self._host, self._port)
        self._pairs.add(writer)
        try:
            await asyncio.gather(self._pump(reader, there), self._pump(there_reader, writer))
        finally:
            self._pairs.discard(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    def cut(self) -> None:
        """Ends all connections as a network does that forgets them."""
        for writer in list(self._pairs):
            writer.transport.abort()


async def _until(is_so: Callable[[], bool], within: float, what: str) -> None:
    until = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < until, what
        await asyncio.sleep(0.02)


def test_a_cut_costs_none_of_many_leases_and_all_waiters_keep_their_places(address: str, resource: str) -> None:
    held_count, waiting_count = 300, 200

    async def main() -> None:
        async with Wire(address) as wire, aio.Client(wire.address) as client:
            leases = await asyncio.gather(
                *(client.lock(f"{resource}-{number}", ttl=20, wait=60) for number in range(held_count))
            )
            queued: Counter[int] = Counter()

            async def wait(number: int) -> aio.Lease:
                def hear(kind: str, _: object) -> None:
                    if kind == "queued":
                        queued[number] += 1

                return await client.lock(f"{resource}-{number}", ttl=20, wait=120, on_event=hear)

            waiting = [asyncio.ensure_future(wait(number)) for number in range(waiting_count)]
            await _until(lambda: len(queued) == waiting_count, 60, "not all are queued")
            before = Counter(queued)
            wire.cut()
            await _until(
                lambda: all(queued[number] > before[number] for number in range(waiting_count)),
                60,
                "not all are queued again",
            )
            assert [lease.lost_reason for lease in leases if not lease.held] == []
            # A TTL later, all of them have been renewed on their new streams.
            await asyncio.sleep(20)
            assert [lease.lost_reason for lease in leases if not lease.held] == []
            await asyncio.gather(*(lease.release() for lease in leases))
            later = await asyncio.wait_for(asyncio.gather(*waiting), 60)
            assert all(lease.held for lease in later)

    asyncio.run(asyncio.wait_for(main(), 280))


class Keeps(lock_service_pb2_grpc.LockServiceServicer):
    """A server that writes down what it is asked, and grants and keeps everything."""

    def __init__(self) -> None:
        self.holds: list[Any] = []
        self.kept: list[Any] = []
        self.asked: list[str] = []
        #: Leases that it calls lost on each KeepAlive.
        self.lost: set[str] = set()
        #: Resources that it grants to nobody.
        self.taken: set[str] = set()
        #: It refuses a KeepAlive that carries this lease.
        self.refuses: str = ""
        self.ends_with = grpc.StatusCode.OK
        self.cancelled = 0
        self._tokens: dict[str, int] = {}
        self._streams: dict[str, tuple[Any, asyncio.Queue[Any]]] = {}

    def _said(self, kind: Any, lease: Any, event: str) -> Any:
        message = kind(resource=lease.resource, lease_id=lease.lease_id)
        if event in ("granted", "renewed"):
            told = getattr(message, event)
            told.resource, told.lease_id, told.fencing_token = lease.resource, lease.lease_id, lease.fencing_token
            told.valid_for.FromSeconds(20)
        else:
            getattr(message, event).SetInParent()
        return message

    async def _go_on(self, refs: list[Any], kind: Any, context: Any) -> None:
        mine: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        left = {ref.lease_id: ref for ref in refs}
        for ref in refs:
            former = self._streams.get(ref.lease_id)
            self._streams[ref.lease_id] = (left, mine)
            if former is not None:
                former[1].put_nowait(("moved", ref))
        try:
            while left:
                event, ref = await mine.get()
                if left.pop(ref.lease_id, None) is not None:
                    await context.write(self._said(kind, ref, event))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.ends_with is not grpc.StatusCode.OK:
            await context.abort(self.ends_with, "moved")

    async def Hold(self, request: Any, context: Any) -> None:
        self.holds.append(request)
        self.asked.append("Hold")
        if request.spec.resource in self.taken:
            message = lock_service_pb2.HoldResponse(resource=request.spec.resource, lease_id=request.spec.lease_id)
            message.queued.position = 1
            await context.write(message)
            await asyncio.Event().wait()
        token = self._tokens.setdefault(request.spec.lease_id, len(self._tokens) + 1)
        ref = lock_service_pb2.KeepAliveRequest().leases.add(
            resource=request.spec.resource, lease_id=request.spec.lease_id, fencing_token=token
        )
        await context.write(self._said(lock_service_pb2.HoldResponse, ref, "granted"))
        await self._go_on([ref], lock_service_pb2.HoldResponse, context)

    async def KeepAlive(self, request: Any, context: Any) -> None:
        self.kept.append(request)
        self.asked.append("KeepAlive")
        if any(ref.resource == self.refuses for ref in request.leases):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "one of them is not yours")
        refs = []
        for ref in request.leases:
            event = "lost" if ref.resource in self.lost else "renewed"
            await context.write(self._said(lock_service_pb2.KeepAliveResponse, ref, event))
            if event == "renewed":
                refs.append(ref)
        await self._go_on(refs, lock_service_pb2.KeepAliveResponse, context)

    async def Release(self, request: Any, context: Any) -> Any:
        self.asked.append("Release")
        stream = self._streams.pop(request.lease_id, None)
        if stream is not None and request.lease_id in stream[0]:
            stream[1].put_nowait(("lost", stream[0][request.lease_id]))
        return lock_service_pb2.ReleaseResponse(released=stream is not None)


def _with(keeps: Keeps, work: Callable[[str], Awaitable[None]], *, most_streams: int = 1_000) -> None:
    async def main() -> None:
        server = grpc.aio.server(options=[("grpc.max_concurrent_streams", most_streams)])
        lock_service_pb2_grpc.add_LockServiceServicer_to_server(keeps, server)  # type: ignore[no-untyped-call]
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            await work(f"127.0.0.1:{port}")
        finally:
            await server.stop(None)

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease joins a batch 0.5 s after its grant, and batches are opened anew after 1 s at most."""
    for module in (_kept, _batches):
        monkeypatch.setattr(module, "RENEW_FOR", 2.0)
    monkeypatch.setattr(leasehold._hold, "RENEW_FOR", 2.0)


@pytest.mark.parametrize("ends_with", [grpc.StatusCode.OK, grpc.StatusCode.ABORTED], ids=["OK", "ABORTED"])
def test_leases_share_streams_of_64_that_are_opened_anew(soon: None, ends_with: grpc.StatusCode) -> None:
    keeps = Keeps()
    keeps.ends_with = ends_with

    async def work(address: str) -> None:
        async with aio.Client(address) as client:
            leases = await asyncio.gather(*(client.lock(f"r-{number}") for number in range(100)))
            assert all(request.renew_for.seconds == 2 for request in keeps.holds)

            def times() -> Counter[str]:
                return Counter(ref.resource for request in keeps.kept for ref in request.leases)

            await _until(lambda: len(times()) == 100 and min(times().values()) >= 4, 30, "not opened anew")
            assert all(1 <= len(request.leases) <= 64 and request.renew_for.seconds == 2 for request in keeps.kept)
            assert max(len(request.leases) for request in keeps.kept) > 32
            # Far fewer than a stream for each lease and time.
            assert len(keeps.kept) < sum(times().values()) / 4
            assert all(lease.held for lease in leases)
            assert keeps.cancelled == 0  # each former stream ended by itself

    _with(keeps, work)


def test_holders_come_before_waiters_after_a_break_where_a_connection_allows_5_streams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # However slow the machine is.
    monkeypatch.setattr(_kept, "_HOLDERS_FIRST", 15.0)
    monkeypatch.setattr(_kept, "_HOLDERS_MOST", 15.0)
    monkeypatch.setattr(_kept, "FIRST_BACKOFF", 2.0)
    keeps = Keeps()
    keeps.taken = {f"w-{number}" for number in range(7)}

    async def work(address: str) -> None:
        async with Wire(address) as wire, aio.Client(wire.address, streams_per_connection=5) as client:
            heard: list[tuple[str, str]] = []

            def hears(name: str) -> Callable[[str, object], None]:
                return lambda kind, _: heard.append((name, kind))

            leases = [await client.lock(f"r-{number}", on_event=hears(f"r-{number}")) for number in range(7)]
            waiting = [
                asyncio.ensure_future(client.lock(name, on_event=hears(name)).__aenter__()) for name in keeps.taken
            ]
            await _until(lambda: sum(kind == "queued" for _, kind in heard) == 7, 10, "not all are queued")
            heard.clear()
            keeps.asked.clear()
            wire.cut()
            await _until(lambda: sum(kind == "queued" for _, kind in heard) == 7, 15, "not all are queued again")
            assert {name for name, kind in heard if kind == "renewed"} == {lease.resource for lease in leases}
            assert keeps.asked == sorted(keeps.asked, key=["KeepAlive", "Hold"].index)
            for each in waiting:
                each.cancel()
            await asyncio.wait(waiting)

    _with(keeps, work, most_streams=5)


def test_waiters_go_on_waiting_while_holders_are_being_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kept, "_HOLDERS_FIRST", 4.0)
    monkeypatch.setattr(_kept, "_HOLDERS_MOST", 60.0)

    async def main() -> None:
        holders = _kept.Holders()
        broken: list[Any] = [object() for _ in range(4)]
        for each in broken:
            holders.lack(each)
        answered = asyncio.ensure_future(holders.answered(60))
        for each in broken:
            await asyncio.sleep(1.2)
            assert not answered.done()
            holders.found(each)
        await answered

    asyncio.run(asyncio.wait_for(main(), 50))


def test_what_waits_for_nothing_waits_for_no_holder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kept, "_HOLDERS_FIRST", 600.0)
    monkeypatch.setattr(_kept, "_HOLDERS_MOST", 600.0)
    keeps = Keeps()

    async def work(address: str) -> None:
        async with aio.Client(["127.0.0.1:1", address]) as client:
            channel = client.operations.channel
            channel._at = 0
            _kept.holders_of(channel).lack(object())  # type: ignore[arg-type]
            lease = await asyncio.wait_for(client.try_lock("r", timeout=60), 30)
            assert lease is not None

    _with(keeps, work)


def test_a_lease_that_is_taken_twice_with_the_same_id_is_kept_by_one_stream() -> None:
    keeps = Keeps()

    async def work(address: str) -> None:
        async with aio.Client(address) as client:
            both = [await client.lock("r", lease_id="the same") for _ in range(2)]
            await _until(lambda: bool(keeps.kept), 20, "the second call took the lease from the first one's stream")
            await asyncio.sleep(2)
            assert len(keeps.kept) <= 2  # and neither takes it from the other
            assert all(lease.held for lease in both)
            await both[0].release()
            await asyncio.wait_for(both[1].over.wait(), 20)

    _with(keeps, work)


def test_the_loss_of_one_lease_is_no_matter_of_the_others_in_its_batch(soon: None) -> None:
    keeps = Keeps()

    async def work(address: str) -> None:
        async with aio.Client(address) as client:
            leases = await asyncio.gather(*(client.lock(f"r-{number}") for number in range(10)))
            await _until(lambda: sum(len(request.leases) for request in keeps.kept) >= 10, 10, "no batch")
            keeps.lost.add("r-3")
            await asyncio.wait_for(leases[3].over.wait(), 10)
            released = await leases[4].release()
            before = len(keeps.kept)
            await _until(lambda: len(keeps.kept) > before + 1, 10, "not opened anew")
            assert released
            assert [lease.resource for lease in leases if not lease.held] == ["r-3", "r-4"]
            assert not {"r-3", "r-4"} & {ref.resource for ref in keeps.kept[-1].leases}

    _with(keeps, work)


def test_a_lease_that_the_server_refuses_to_keep_takes_no_other_with_it(soon: None) -> None:
    keeps = Keeps()
    keeps.refuses = "r-3"

    async def work(address: str) -> None:
        async with aio.Client(address) as client:
            leases = await asyncio.gather(*(client.lock(f"r-{number}") for number in range(10)))
            alone = {f"r-{number}" for number in range(10) if number != 3}
            await _until(
                lambda: alone <= {request.leases[0].resource for request in keeps.kept if len(request.leases) == 1},
                10,
                "the others are not kept",
            )
            # Later they share a stream again, and the one that is refused is on none of them.
            await _until(
                lambda: alone in [{ref.resource for ref in request.leases} for request in keeps.kept],
                20,
                "the others share no stream",
            )
            assert all(lease.held for lease in leases)

    _with(keeps, work)


def test_a_released_lease_s_stream_is_ended_by_the_server() -> None:
    keeps = Keeps()

    async def work(address: str) -> None:
        async with aio.Client(address) as client:
            for number in range(5):
                async with client.lock(f"r-{number}"):
                    pass
        assert keeps.asked == ["Hold", "Release"] * 5

    _with(keeps, work)
    assert keeps.cancelled == 0


def test_calls_beyond_the_limit_of_a_connection_go_on_another_one(address: str, resource: str) -> None:
    async def main() -> None:
        async with Wire(address) as wire, aio.Client(wire.address, streams_per_connection=5) as client:
            first = await client.lock(resource)
            queued: set[int] = set()

            async def wait(number: int) -> None:
                def hear(kind: str, _: object) -> None:
                    if kind == "queued":
                        queued.add(number)

                async with client.lock(resource, wait=60, on_event=hear):
                    pass

            waiting = [asyncio.ensure_future(wait(number)) for number in range(19)]
            await _until(lambda: len(queued) == 19, 30, "not all are queued")
            assert wire.connections == 4  # 20 streams of Hold
            # Nothing that waits takes the place of what gives a lease back.
            await first.release()
            assert wire.connections == 5
            await asyncio.wait_for(asyncio.gather(*waiting), 30)

    asyncio.run(asyncio.wait_for(main(), 90))


def test_a_stream_without_an_answer_names_the_option_for_connections() -> None:
    class Silent(lock_service_pb2_grpc.LockServiceServicer):
        def Hold(self, request: Any, context: Any) -> Any:
            over.wait(20)
            return iter(())

    over = threading.Event()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    lock_service_pb2_grpc.add_LockServiceServicer_to_server(Silent(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with leasehold.Client(f"127.0.0.1:{port}", streams_per_connection=7) as client:
            with pytest.raises(leasehold.Unavailable, match="1 open call .*streams_per_connection"):
                client.lock("r", wait=0.1)
    finally:
        over.set()
        server.stop(None)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "7", True])
def test_a_number_of_streams_that_means_nothing_is_refused(wrong: Any) -> None:
    with pytest.raises(leasehold.InvalidArgument, match="^streams_per_connection must be"):
        leasehold.Client("127.0.0.1:1", streams_per_connection=wrong)
