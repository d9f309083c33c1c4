"""The asyncio client: a loss cancels the block, and a cancelled call leaves nothing behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import leasehold
from leasehold import aio
from leasehold.v1 import operation_store_service_pb2 as pb


def test_the_loss_of_a_lease_cancels_its_block(address: str, resource: str) -> None:
    async def main() -> None:
        async with aio.Client(address) as client:
            with pytest.raises(leasehold.LeaseLost):
                async with client.lock(resource) as lease:
                    again = await client.lock(resource, lease_id=lease.lease_id)
                    await again.release()
                    await asyncio.sleep(30)
            # Only the block was cancelled: the task goes on.
            async with client.lock(resource) as next_lease:
                assert next_lease.held

    asyncio.run(asyncio.wait_for(main(), 15))


def test_an_error_of_the_block_passes_through_and_the_lease_is_released(address: str, resource: str) -> None:
    async def main() -> None:
        async with aio.Client(address) as client:
            with pytest.raises(ZeroDivisionError):
                async with client.lock(resource):
                    _ = 1 / 0
            assert await client.try_lock(resource) is not None

    asyncio.run(asyncio.wait_for(main(), 15))


def test_a_cancelled_lock_leaves_the_queue(address: str, resource: str) -> None:
    async def main() -> None:
        async with aio.Client(address) as client:
            first = await client.lock(resource)
            queued = asyncio.Event()

            async def wait() -> None:
                await client.lock(
                    resource, wait=60, on_event=lambda kind, _: queued.set() if kind == "queued" else None
                )

            waiting = asyncio.create_task(wait())
            await queued.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await first.release()
            # Had it stayed in the queue, it would have been granted now.
            assert await client.try_lock(resource) is not None

    asyncio.run(asyncio.wait_for(main(), 15))


def test_run_returns_the_result_of_an_operation_that_a_worker_does(address: str, resource: str) -> None:
    async def main() -> None:
        async with aio.Client(address) as client:

            async def work(attempt: aio.Attempt) -> object:
                await attempt.update(progress=1)
                return {"from": attempt.data}

            await client.operations.begin(resource, "1", type=resource, data="ada")
            async with client.operations.worker([resource], work):
                done = await client.operations.run(resource, "1", work, type=resource, data="ada")
            assert done == {"from": "ada"}

    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_worker_that_stops_while_it_claims_gives_back_what_it_got(
    address: str, resource: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with aio.Client(address) as client:

            async def work(attempt: aio.Attempt) -> None:
                raise AssertionError("the worker never heard the answer of its claim")

            channel = client.operations.channel
            ask = channel.unary

            async def answers_late(method: Any, request: Any, **options: Any) -> Any:
                answered = await ask(method, request, **options)
                if isinstance(request, pb.ClaimOperationsRequest) and request.wait_timeout.seconds > 0:
                    await asyncio.sleep(30)
                return answered

            monkeypatch.setattr(channel, "unary", answers_late)
            await client.operations.begin(resource, "1", type=resource)
            worker = client.operations.worker([resource], work)
            worker.start()
            while (await client.operations.get(resource, "1"))["state"] != "RUNNING":
                await asyncio.sleep(0.01)
            await worker.stop()
            assert (await client.operations.get(resource, "1"))["state"] == "PENDING"

    asyncio.run(asyncio.wait_for(main(), 15))
