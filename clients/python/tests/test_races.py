"""What meets: a grant and the end of its caller, a fork and what begins just then, an answer and the next try."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from leasehold import _fork, _hold, _kept, aio
from leasehold._operations import Attempt, Begin, begin_or_join
from leasehold.v1 import lock_service_pb2, lock_service_pb2_grpc, operation_store_service_pb2_grpc
from leasehold.v1 import operation_store_service_pb2 as pb


class Grants(lock_service_pb2_grpc.LockServiceServicer):
    """Grants and keeps everything, and gives nothing back."""

    def __init__(self) -> None:
        self.holds = 0
        self.kept: list[list[str]] = []

    async def Hold(self, request: Any, context: Any) -> None:
        self.holds += 1
        event = lock_service_pb2.HoldResponse(resource=request.spec.resource, lease_id=request.spec.lease_id)
        event.granted.resource, event.granted.lease_id = request.spec.resource, request.spec.lease_id
        event.granted.valid_for.FromSeconds(20)
        await context.write(event)
        await asyncio.Event().wait()

    async def AcquireMany(self, request: Any, context: Any) -> Any:
        response = lock_service_pb2.AcquireManyResponse()
        for spec in request.specs:
            lease = response.leases.add(resource=spec.resource, lease_id=spec.lease_id, fencing_token=1)
            lease.valid_for.FromSeconds(20)
        return response

    async def KeepAlive(self, request: Any, context: Any) -> None:
        self.kept.append([ref.resource for ref in request.leases])
        for ref in request.leases:
            event = lock_service_pb2.KeepAliveResponse(resource=ref.resource, lease_id=ref.lease_id)
            event.renewed.valid_for.FromSeconds(20)
            await context.write(event)
        await asyncio.Event().wait()

    async def Release(self, request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")


class Runs(operation_store_service_pb2_grpc.OperationStoreServiceServicer):
    """Begins every operation, and answers its first KeepAliveOperation late."""

    def __init__(self) -> None:
        self.kept = 0
        self.answers_after = 0.5

    async def BeginOperation(self, request: Any, context: Any) -> Any:
        response = pb.BeginOperationResponse()
        response.operation.resource, response.operation.operation_id = request.resource, request.operation_id
        response.attempt.claim_id = request.claim_id
        response.attempt.valid_for.FromSeconds(20)
        return response

    async def KeepAliveOperation(self, request: Any, context: Any) -> None:
        self.kept += 1
        await asyncio.sleep(self.answers_after)
        event = pb.KeepAliveOperationResponse()
        event.renewed.valid_for.FromSeconds(20)
        await context.write(event)
        await asyncio.Event().wait()


def _with(work: Callable[[str, Grants, Runs], Awaitable[None]]) -> None:
    async def main() -> None:
        server, grants, runs = grpc.aio.server(), Grants(), Runs()
        lock_service_pb2_grpc.add_LockServiceServicer_to_server(grants, server)  # type: ignore[no-untyped-call]
        operation_store_service_pb2_grpc.add_OperationStoreServiceServicer_to_server(runs, server)  # type: ignore[no-untyped-call]
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            await work(f"127.0.0.1:{port}", grants, runs)
        finally:
            await server.stop(None)

    asyncio.run(asyncio.wait_for(main(), 60))


async def _until(is_so: Callable[[], bool], what: str, within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not is_so():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("is_at_once", [True, False], ids=["by its observer", "just after it"])
def test_a_lease_that_is_granted_when_its_caller_is_cancelled_is_kept_by_nobody(
    monkeypatch: pytest.MonkeyPatch, is_at_once: bool
) -> None:
    monkeypatch.setattr(_hold, "_GIVE_BACK", 0.2)

    async def work(address: str, _: Grants, __: Runs) -> None:
        async with aio.Client(address) as client:
            heard: list[str] = []

            def hear(kind: str, _: object) -> None:
                heard.append(kind)
                if kind == "granted" and is_at_once:
                    taking.cancel()
                elif kind == "granted":
                    asyncio.get_running_loop().call_soon(taking.cancel)

            async def take() -> aio.Lease:
                return await client.lock("r", on_event=hear)

            taking = asyncio.ensure_future(take())
            with pytest.raises(asyncio.CancelledError):
                await taking
            holders: Any = client.operations.channel.holders
            assert not holders._all
            assert heard == ["granted", "released"]

    _with(work)


def test_leases_whose_stream_meets_the_beginning_of_a_fork_are_kept_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(address: str, grants: Grants, _: Runs) -> None:
        async with aio.Client(address) as client:
            group = await client.lock_many([f"r-{number}" for number in range(3)])
            over = asyncio.Event()
            answers = iter([False])  # the fork begins just after the batches have looked
            monkeypatch.setattr(_fork, "is_paused", lambda: next(answers, not over.is_set()))
            await asyncio.sleep(0.5)
            assert not grants.kept
            over.set()
            await _until(lambda: bool(grants.kept), "kept")
            assert sorted(grants.kept[0]) == ["r-0", "r-1", "r-2"]
            assert group.held

    _with(work)


def test_a_lock_that_is_asked_for_while_a_fork_ends_the_connections_is_granted_after_it() -> None:
    async def work(address: str, _: Grants, __: Runs) -> None:
        async with aio.Client(address) as client:
            first = await client.lock("r-1")
            letting_go = asyncio.ensure_future(client.operations.channel.let_go())
            await asyncio.sleep(0)  # its calls are cancelled, its connections are about to be closed
            second = await client.lock("r-2")
            await letting_go
            assert second.held and first.held

    _with(work)


def test_an_attempt_whose_stream_is_answered_late_is_opened_anew_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kept, "RENEW_FOR", 4.0)
    monkeypatch.setattr(_kept, "TRY_FOR", 0.3)
    monkeypatch.setattr(_kept, "full_jitter", lambda tries, part: 1.0)

    async def work(address: str, _: Grants, runs: Runs) -> None:
        async with aio.Client(address) as client:
            attempt = await begin_or_join(client.operations.channel, Begin("r", "o"), wait=0)
            assert isinstance(attempt, Attempt)
            await _until(lambda: runs.kept >= 3, "opened anew")
            assert attempt.kept.is_held

    _with(work)
