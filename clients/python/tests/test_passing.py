"""Statuses without a reason are the word of a proxy: calls, streams and workers go on after each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest

import leasehold
from leasehold.errors import PASSING_WITHOUT_REASON
from leasehold.v1 import lock_service_pb2, lock_service_pb2_grpc


class Proxy(lock_service_pb2_grpc.LockServiceServicer):
    """Ends the first two calls with a status without a reason, and then serves."""

    def __init__(self, code: grpc.StatusCode, fails: int = 2) -> None:
        self.code = code
        self.fails = fails
        self.asked = 0
        self.ended = threading.Event()

    def _pass(self, context: Any) -> None:
        self.asked += 1
        if self.asked <= self.fails:
            context.abort(self.code, "a proxy says so")

    def Hold(self, request: Any, context: Any) -> Iterator[Any]:
        self._pass(context)
        event = lock_service_pb2.HoldResponse()
        event.granted.resource = request.spec.resource
        event.granted.lease_id = request.spec.lease_id
        event.granted.fencing_token = 7
        event.granted.valid_for.FromSeconds(20)
        yield event
        self.ended.wait(10)

    def AcquireMany(self, request: Any, context: Any) -> Any:
        self._pass(context)
        response = lock_service_pb2.AcquireManyResponse()
        response.leases.add(resource=request.specs[0].resource, fencing_token=7).valid_for.FromSeconds(20)
        return response


@pytest.fixture
def serve() -> Iterator[Any]:
    servers: list[tuple[Any, Proxy]] = []

    def start(proxy: Proxy) -> str:
        server = grpc.server(futures.ThreadPoolExecutor(8))
        lock_service_pb2_grpc.add_LockServiceServicer_to_server(proxy, server)  # type: ignore[no-untyped-call]
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append((server, proxy))
        return f"127.0.0.1:{port}"

    yield start
    for server, proxy in servers:
        proxy.ended.set()
        server.stop(None)


@pytest.mark.parametrize("code", PASSING_WITHOUT_REASON)
def test_a_lock_is_taken_after_a_proxy_ended_its_calls(code: str, serve: Any) -> None:
    proxy = Proxy(grpc.StatusCode[code])
    with leasehold.Client(serve(proxy)) as client:
        assert client.lock("r", timeout=5).fencing_token == 7
        assert proxy.asked == 3


@pytest.mark.parametrize("code", PASSING_WITHOUT_REASON)
def test_locks_are_taken_by_a_unary_call_after_a_proxy_ended_its_calls(code: str, serve: Any) -> None:
    proxy = Proxy(grpc.StatusCode[code])
    with leasehold.Client(serve(proxy)) as client:
        assert client.lock_many(["r"], timeout=5).leases[0].fencing_token == 7


@pytest.mark.parametrize("code", PASSING_WITHOUT_REASON)
def test_what_goes_on_until_the_time_is_over_is_unavailable(code: str, serve: Any) -> None:
    with leasehold.Client(serve(Proxy(grpc.StatusCode[code], fails=1_000))) as client:
        with pytest.raises(leasehold.Unavailable, match="a proxy says so") as ended:
            client.lock("r", wait=0.5)
    assert (ended.value.is_passing, ended.value.reason) == (True, "")


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "UNIMPLEMENTED", "INVALID_ARGUMENT"])
def test_another_status_without_a_reason_does_not_pass(code: str, serve: Any) -> None:
    proxy = Proxy(grpc.StatusCode[code])
    with leasehold.Client(serve(proxy)) as client:
        with pytest.raises(leasehold.LeaseholdError) as ended:
            client.lock("r", timeout=5)
    assert (ended.value.code, proxy.asked) == (code, 1)
