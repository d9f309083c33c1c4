"""What a user sees of the package: its texts without secrets, its types, and its metadata."""

from __future__ import annotations

import asyncio
from importlib import metadata
from typing import assert_type

import leasehold
from leasehold import aio

SECRET = "s3cret"


def test_the_text_of_a_lease_says_what_it_is_and_not_its_id(client: leasehold.Client, resource: str) -> None:
    with client.lock(resource) as lease:
        assert f"<leasehold.Lease on {resource!r}, fencing token {lease.fencing_token}: held for " in repr(lease)
        assert lease.lease_id not in repr(lease)
    assert repr(lease).endswith(": released>")
    with client.lock_many([f"{resource}-1"]) as group:
        assert repr(group).startswith(f"<leasehold.LeaseGroup [<leasehold.Lease on '{resource}-1'")


def test_the_text_of_a_client_names_its_instances_and_not_its_token(address: str) -> None:
    with leasehold.Client([address, "127.0.0.1:1"], token=SECRET) as client:
        assert repr(client) == f"<leasehold.Client of {address}, 127.0.0.1:1>"
    assert repr(client).endswith(", closed>")


def test_the_text_of_an_attempt_says_what_it_works_on(client: leasehold.Client, resource: str) -> None:
    told = client.operations.run(resource, "7", lambda attempt: repr(attempt))
    assert told.startswith(f"<leasehold.Attempt 1 at '7' on {resource!r}: held for ")


def test_the_texts_of_options_show_no_secret() -> None:
    assert SECRET not in repr(leasehold.Spec("r", lease_id=SECRET))
    assert SECRET not in repr(leasehold.Tls(private_key=SECRET.encode()))


def test_run_has_the_type_of_its_work_and_get_that_of_a_record(client: leasehold.Client, resource: str) -> None:
    def count(_: leasehold.Attempt) -> int:
        return 12

    # mypy checks these; a wrong type fails it.
    assert assert_type(client.operations.run(resource, "1", count), int) == 12
    record = assert_type(client.operations.get(resource, "1"), leasehold.Operation)
    assert (assert_type(record["state"], str), assert_type(record["attempt"], int)) == ("SUCCEEDED", 1)
    assert record["record"].type == "run"


def test_run_of_asyncio_has_the_type_of_its_work(address: str, resource: str) -> None:
    async def word(_: aio.Attempt) -> str:
        return "done"

    async def main() -> None:
        async with aio.Client(address) as client:
            assert assert_type(await client.operations.run(resource, "1", word), str) == "done"

    asyncio.run(asyncio.wait_for(main(), 15))


def test_the_metadata_say_the_license_and_the_types() -> None:
    told = metadata.metadata("leasehold")
    assert told["License-Expression"] == "Apache-2.0"
    assert told.get_all("License-File") == ["LICENSE"]
    assert "Typing :: Typed" in (told.get_all("Classifier") or [])
