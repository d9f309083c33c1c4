"""Numbers that mean nothing are refused by the name of their option, before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

import leasehold

# No server listens there: what is refused was never sent.
NOWHERE = "127.0.0.1:1"
NOT_NUMBERS: list[Any] = [math.nan, -1, -0.001, "20", "", True, Decimal(5), [], 10**400]
Take = Callable[[leasehold.Client, Any], object]

SPANS: dict[str, Take] = {
    "ttl": lambda client, value: client.lock("r", ttl=value),
    "min_hold": lambda client, value: client.lock("r", min_hold=value),
    "max_hold": lambda client, value: client.lock("r", max_hold=value),
    "heartbeat": lambda client, value: client.operations.begin("r", "1", type="t", heartbeat=value),
    "time_to_live": lambda client, value: client.operations.run("r", "1", print, type="t", time_to_live=value),
}
WAITS: dict[str, Take] = {
    "wait": lambda client, value: client.lock("r", wait=value),
    "timeout": lambda client, value: client.lock_many(["r"], timeout=value),
    "grace": lambda client, value: client.operations.worker(["t"], print).stop(grace=value),
}
COUNTS: dict[str, Take] = {
    "permits": lambda client, value: client.lock("r", permits=value, limit=5),
    "limit": lambda client, value: client.lock("r", permits=1, limit=value),
    "max_attempts": lambda client, value: client.operations.begin("r", "1", type="t", max_attempts=value),
    "concurrency": lambda client, value: client.operations.worker(["t"], print, concurrency=value),
}


def _is_refused(option: str, take: Take, value: object) -> None:
    with leasehold.Client(NOWHERE) as client:
        with pytest.raises(leasehold.InvalidArgument, match=f"^{option} must be ") as refused:
            take(client, value)
    assert refused.value.fields == [option]
    assert refused.value.reason == "INVALID_ARGUMENT"


@pytest.mark.parametrize("option", SPANS)
@pytest.mark.parametrize("value", [*NOT_NUMBERS, math.inf], ids=lambda value: repr(value)[:8])
def test_a_span_that_means_nothing_is_refused_by_its_option(option: str, value: object) -> None:
    _is_refused(option, SPANS[option], value)


@pytest.mark.parametrize("option", WAITS)
@pytest.mark.parametrize("value", NOT_NUMBERS[:-1], ids=lambda value: repr(value)[:8])
def test_a_wait_that_means_nothing_is_refused_by_its_option(option: str, value: object) -> None:
    _is_refused(option, WAITS[option], value)


@pytest.mark.parametrize("option", COUNTS)
@pytest.mark.parametrize("value", [*NOT_NUMBERS, 1.5, 2.0], ids=lambda value: repr(value)[:8])
def test_a_count_that_means_nothing_is_refused_by_its_option(option: str, value: object) -> None:
    _is_refused(option, COUNTS[option], value)


def test_the_wait_of_run_is_checked_too() -> None:
    _is_refused("wait", lambda client, value: client.operations.run("r", "1", print, type="t", wait=value), math.nan)


def test_any_real_number_is_a_span(client: leasehold.Client, resource: str) -> None:
    with client.lock(resource, ttl=Fraction(5, 2), wait=10**400) as lease:
        assert 1.5 < lease.remaining() < 2.5


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"ttl": 0}, "ttl"),
        ({"ttl": 36_000}, "ttl"),
        ({"permits": 3, "limit": 2}, "permits"),
        ({"min_hold": 3e9}, "min_hold"),
        ({"metadata": {"": "x"}}, "metadata"),
    ],
)
def test_what_the_server_refuses_is_told_by_its_option(
    client: leasehold.Client, resource: str, options: dict[str, Any], option: str
) -> None:
    with pytest.raises(leasehold.InvalidArgument, match=rf"^{option}\b") as refused:
        client.lock(resource, **options)
    assert "spec." not in str(refused.value)
    assert refused.value.fields[0].startswith("spec.")


def test_what_the_server_refuses_of_an_operation_is_told_by_its_option(client: leasehold.Client, resource: str) -> None:
    with pytest.raises(leasehold.InvalidArgument, match="^heartbeat: "):
        client.operations.begin(resource, "1", type="t", heartbeat=1e6)
