"""The server that the tests talk to: `npm run test:clients` starts it and tells its address."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

import leasehold


@pytest.fixture
def address() -> str:
    given = os.environ.get("LEASEHOLD_TEST_ADDRESS")
    if given is None:
        pytest.skip("no server: set LEASEHOLD_TEST_ADDRESS to the address of one, as `npm run test:clients` does")
    return given


@pytest.fixture
def client(address: str) -> Iterator[leasehold.Client]:
    with leasehold.Client(address) as client:
        yield client


@pytest.fixture
def resource() -> str:
    return f"python-{uuid.uuid4()}"
