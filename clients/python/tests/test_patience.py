"""How long calls go on: slow links, instances that say nothing, and releases that nobody answers."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

import leasehold
from leasehold import _hold, aio
from leasehold.v1 import lock_service_pb2, lock_service_pb2_grpc


class Slow(lock_service_pb2_grpc.LockServiceServicer):
    """Answers late or never."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Event()
        self.released = asyncio.Event()

    async def GetServerInfo(self, request: Any, context: Any) -> Any:
        self.asked += 1
        await asyncio.sleep(1.0)
        return lock_service_pb2.GetServerInfoResponse()

    async def Hold(self, request: Any, context: Any) -> None:
        self.asked += 1
        if request.spec.resource == "granted":
            event = lock_service_pb2.HoldResponse()
            event.granted.resource, event.granted.lease_id = request.spec.resource, request.spec.lease_id
            event.granted.valid_for.FromSeconds(20)
            await context.write(event)
        await asyncio.Event().wait()

    async def AcquireMany(self, request: Any, context: Any) -> Any:
        self.asked += 1
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not here")

    async def Release(self, request: Any, context: Any) -> Any:
        await self.answers.wait()
        self.released.set()
        return lock_service_pb2.ReleaseResponse(released=True)


async def _serve(slow: Slow) -> tuple[Any, str]:
    server = grpc.aio.server()
    lock_service_pb2_grpc.add_LockServiceServicer_to_server(slow, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, f"127.0.0.1:{port}"


def test_a_call_over_a_slow_link_succeeds_because_each_try_has_twice_the_time() -> None:
    async def main() -> None:
        slow = Slow()
        server, address = await _serve(slow)
        async with aio.Client(address) as client:
            request = lock_service_pb2.GetServerInfoRequest()
            await client.operations.channel.unary(
                lambda stubs: stubs.locks.GetServerInfo, request, within=40.0, try_for=0.4
            )
        assert slow.asked >= 3  # 0.4 s and 0.8 s were too short
        await server.stop(None)

    asyncio.run(asyncio.wait_for(main(), 50))


def test_a_lock_without_a_wait_asks_each_silent_instance_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_hold, "FIRST_ANSWER", 0.6)

    async def main() -> None:
        both = [Slow(), Slow()]
        servers = [await _serve(slow) for slow in both]
        async with aio.Client([address for _, address in servers]) as client:
            with pytest.raises(leasehold.Unavailable, match="did not answer"):
                await client.lock("r", wait=0, timeout=60)
        assert [slow.asked for slow in both] == [1, 1]
        for server, _ in servers:
            await server.stop(None)

    asyncio.run(asyncio.wait_for(main(), 50))


def test_what_waits_for_nothing_goes_on_for_a_second_where_no_instance_serves() -> None:
    async def main() -> None:
        slow = Slow()
        server, address = await _serve(slow)
        loop = asyncio.get_running_loop()
        async with aio.Client(address) as client:
            began = loop.time()
            with pytest.raises(leasehold.Unavailable, match="not here"):
                await client.lock_many(["r"], wait=0, timeout=60)
            assert 1.0 <= loop.time() - began < 30
            assert slow.asked > 1
        await server.stop(None)

    asyncio.run(asyncio.wait_for(main(), 50))


def test_the_end_of_a_block_waits_2_s_for_its_release_which_goes_on() -> None:
    async def main() -> None:
        slow = Slow()
        server, address = await _serve(slow)
        async with aio.Client(address) as client:
            async with client.lock("granted"):
                pass
            assert not slow.released.is_set()  # the block ended without an answer
            slow.answers.set()
            await asyncio.wait_for(slow.released.wait(), 20)
        await server.stop(None)

    asyncio.run(asyncio.wait_for(main(), 50))
