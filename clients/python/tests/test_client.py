"""What the conformance script can't see from outside: exceptions of the user's own, and the end of the process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import pytest

import leasehold


def test_the_users_error_is_not_hidden_by_a_failing_release(address: str, resource: str) -> None:
    client = leasehold.Client(address)
    with pytest.raises(ZeroDivisionError):
        with client.lock(resource):
            client.close()  # so that the release fails
            _ = 1 / 0


def test_the_users_error_is_not_hidden_by_a_loss(client: leasehold.Client, resource: str) -> None:
    with pytest.raises(ZeroDivisionError):
        with client.lock(resource) as lease:
            _lose(client, lease)
            _ = 1 / 0


def test_leaving_a_lost_lease_says_so(client: leasehold.Client, resource: str) -> None:
    with pytest.raises(leasehold.LeaseLost) as lost:
        with client.lock(resource) as lease:
            _lose(client, lease)
    # Which of them depends on whether the stream had moved to the other acquisition before.
    assert lost.value.why in ("RELEASED", "UNKNOWN_LEASE")


def _lose(client: leasehold.Client, lease: leasehold.Lease) -> None:
    """Somebody who knows the id releases it."""
    again = client.lock(lease.resource, lease_id=lease.lease_id)
    assert again.release()
    assert lease.lost.wait(5)


def test_released_at_the_end_of_the_block(client: leasehold.Client, resource: str) -> None:
    with client.lock(resource) as lease:
        assert client.try_lock(resource) is None
    assert not lease.held
    assert not lease.lost.is_set()
    with client.lock(resource) as next_lease:
        assert next_lease.fencing_token > lease.fencing_token


def test_an_observer_hears_what_happens(client: leasehold.Client, resource: str) -> None:
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


def test_a_failing_work_is_told_as_it_was(client: leasehold.Client, resource: str) -> None:
    def work(_: leasehold.Attempt) -> object:
        raise KeyError("paper")

    with pytest.raises(KeyError):
        client.operations.run(resource, "1", work, type="test")
    with pytest.raises(leasehold.OperationFailed, match="KeyError: 'paper'"):
        client.operations.run(resource, "1", work, type="test")


def test_a_result_that_cannot_be_stored_is_a_failure(client: leasehold.Client, resource: str) -> None:
    with pytest.raises(Exception, match="object"):
        client.operations.run(resource, "1", lambda _: object(), type="test")
    assert client.operations.get(resource, "1")["state"] == "FAILED"


def test_an_observer_that_fails_costs_no_lease(client: leasehold.Client, resource: str) -> None:
    renewals = threading.Semaphore(0)

    def observe(kind: str, _: object) -> None:
        renewals.release()
        raise RuntimeError(kind)

    with client.lock(resource, ttl=2, on_event=observe) as lease:
        for _ in range(4):
            assert renewals.acquire(timeout=5)
        assert lease.held


@pytest.mark.parametrize("wrong", ["nowhere", "127.0.0.1:", ":50051", "127.0.0.1:99999"])
def test_what_is_no_address_is_said_at_once(wrong: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        leasehold.Client(wrong)


def test_a_process_that_closes_nothing_ends(address: str, resource: str) -> None:
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
