"""A token from a file or a Kubernetes secret: it may end in a newline, and nothing ever shows it."""

from __future__ import annotations

import asyncio
import logging
from concurrent import futures
from typing import Any

import grpc
import pytest

import leasehold
from leasehold import aio

SECRET = "s3cret-token"


def test_white_space_around_a_token_is_left_out() -> None:
    heard: list[Any] = []

    class Listens(grpc.ServerInterceptor):  # type: ignore[misc]
        def intercept_service(self, _: Any, call: Any) -> None:
            heard.append(dict(call.invocation_metadata).get("authorization"))

    server = grpc.server(futures.ThreadPoolExecutor(1), interceptors=[Listens()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with leasehold.Client(f"127.0.0.1:{port}", token=f" {SECRET}\r\n") as client:
            with pytest.raises(leasehold.LeaseholdError):
                client.operations.get("r", "1")
    finally:
        server.stop(None).wait()
    assert heard[0] == f"Bearer {SECRET}"


@pytest.mark.parametrize("wrong", [f"{SECRET}\nsecond", f"{SECRET} x", "", "\n", f"{SECRET}ü", SECRET.encode(), 7])
def test_what_is_no_token_is_refused_when_the_client_is_made(wrong: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def connect() -> None:
        aio.Client("127.0.0.1:1", token=wrong)

    with caplog.at_level(logging.DEBUG):
        for make in (lambda: leasehold.Client("127.0.0.1:1", token=wrong), lambda: asyncio.run(connect())):
            with pytest.raises(leasehold.InvalidArgument, match="^token ") as refused:
                make()
            assert SECRET not in f"{refused.value!r} {refused.value} {refused.value.__dict__}"
            assert refused.value.__context__ is None
    assert SECRET not in caplog.text


def test_no_error_and_no_text_of_a_client_shows_its_token(address: str, resource: str, caplog: Any) -> None:
    with caplog.at_level(logging.DEBUG):
        with leasehold.Client([address, "127.0.0.1:1"], token=f"{SECRET}\n") as client:
            with client.lock(resource, ttl=5) as lease:
                with pytest.raises(leasehold.LockContended) as contended:
                    client.lock(resource, wait=0)
            shown = f"{client!r} {vars(client)} {lease!r} {contended.value!r} {vars(contended.value)}"
    assert SECRET not in shown
    assert SECRET not in caplog.text
