"""What the conformance script can't see from outside: the user's own exceptions, and the end of the process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading

import pytest

import leasehold


def test_a_failing_release_does_not_hide_the_error_of_the_block(address: str, resource: str) -> None:
    client = leasehold.Client(address)
    with pytest.raises(ZeroDivisionError):
        with client.lock(resource):
            client.close()  # so that the release fails
            _ = 1 / 0


def test_a_loss_does_not_hide_the_error_of_the_block(client: leasehold.Client, resource: str) -> None:
    with pytest.raises(ZeroDivisionError):
        with client.lock(resource) as lease:
            _lose(client, lease)
            _ = 1 / 0


def test_leaving_the_block_of_a_lost_lease_raises_lease_lost(client: leasehold.Client, resource: str) -> None:
    with pytest.raises(leasehold.LeaseLost) as lost:
        with client.lock(resource) as lease:
            _lose(client, lease)
    # It depends on whether the stream had moved to the other acquisition before.
    assert lost.value.why in ("RELEASED", "UNKNOWN_LEASE")


def _lose(client: leasehold.Client, lease: leasehold.Lease) -> None:
    """Releases the lease as anyone can who knows its id."""
    again = client.lock(lease.resource, lease_id=lease.lease_id)
    assert again.release()
    assert lease.lost.wait(5)


def test_the_end_of_the_block_releases_the_lease(client: leasehold.Client, resource: str) -> None:
    with client.lock(resource) as lease:
        assert client.try_lock(resource) is None
    assert not lease.held
    assert not lease.lost.is_set()
    with client.lock(resource) as next_lease:
        assert next_lease.fencing_token > lease.fencing_token


def test_a_lock_without_a_wait_queues_and_its_owner_is_the_process(client: leasehold.Client, resource: str) -> None:
    queued = threading.Event()
    first = client.lock(resource)
    with pytest.raises(leasehold.LockContended) as contended:
        client.lock(resource, wait=0)
    assert contended.value.holders == [f"{os.getpid()}@{socket.gethostname()}"]

    def hear(kind: str, _: object) -> None:
        if kind == "queued":
            queued.set()

    def release() -> None:
        assert queued.wait(5)
        first.release()

    releasing = threading.Thread(target=release)
    releasing.start()
    with client.lock(resource, on_event=hear) as lease:
        assert lease.fencing_token > first.fencing_token
    releasing.join()


def test_on_event_hears_what_happens_to_the_lease(client: leasehold.Client, resource: str) -> None:
    heard: list[str] = []
    renewed = threading.Event()

    def observe(kind: str, _: object) -> None:
        heard.append(kind)
        if kind == "renewed":
            renewed.set()

    with client.lock(resource, ttl=2, on_event=observe):
        assert renewed.wait(5)
    assert heard[0] == "granted"
    assert heard[-1] == "released"


def test_run_raises_the_error_of_the_work_and_a_repeat_is_told_of_it(client: leasehold.Client, resource: str) -> None:
    def work(_: leasehold.Attempt) -> object:
        raise KeyError("paper")

    with pytest.raises(KeyError):
        client.operations.run(resource, "1", work, type="test")
    with pytest.raises(leasehold.OperationFailed, match="KeyError: 'paper'"):
        client.operations.run(resource, "1", work, type="test")


def test_a_result_that_cannot_be_stored_fails_the_operation(client: leasehold.Client, resource: str) -> None:
    with pytest.raises(Exception, match="object"):
        client.operations.run(resource, "1", lambda _: object(), type="test")
    assert client.operations.get(resource, "1")["state"] == "FAILED"


def test_a_lease_survives_an_on_event_that_raises(client: leasehold.Client, resource: str) -> None:
    renewals = threading.Semaphore(0)

    def observe(kind: str, _: object) -> None:
        renewals.release()
        raise RuntimeError(kind)

    with client.lock(resource, ttl=2, on_event=observe) as lease:
        for _ in range(4):
            assert renewals.acquire(timeout=5)
        assert lease.held


@pytest.mark.parametrize("wrong", ["nowhere", "127.0.0.1:", ":50051", "127.0.0.1:99999"])
def test_the_client_refuses_a_wrong_address_at_once(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        leasehold.Client(wrong)


def test_a_process_that_does_not_close_its_client_ends(address: str, resource: str) -> None:
    program = f"""
        import leasehold
        client = leasehold.Client({address!r})
        lease = client.lock({resource!r})
        print(lease.held)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=20, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "True\n", "")
