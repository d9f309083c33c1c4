"""What a fork() finds: a client that was made before it, with and without a lease, and those that are made after it.

Each test forks in a process of its own, so that what it leaves behind is in nobody's way.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import leasehold

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

_OPENING = """
import multiprocessing, os, signal, sys, threading, time
import leasehold
address, resource = sys.argv[1:]

def in_child(work, may_end_by=()):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(10)  # ends a child that hangs
            work()
            code = 0
        finally:
            sys.stdout.flush()
            if code:
                sys.excepthook(*sys.exc_info())
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert status == 0 or os.WIFSIGNALED(status) and os.WTERMSIG(status) in may_end_by, status

def takes_and_gives_back(client):
    with client.lock(f"{resource}-{os.getpid()}", ttl=5) as lease:
        assert lease.held

def refuses(call):
    try:
        call()
    except leasehold.LeaseholdError as error:
        assert "made in another process" in str(error), error
    else:
        raise AssertionError("it did not refuse")
"""


def _run(program: str, address: str, resource: str, **environment: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", _OPENING + textwrap.dedent(program), address, resource],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
        env={**os.environ, **environment},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_a_child_makes_a_client_of_its_own_where_the_parent_only_made_one(address: str, resource: str) -> None:
    program = """
        before = leasehold.Client(address)
        in_child(lambda: takes_and_gives_back(leasehold.Client(address)))
        in_child(lambda: refuses(lambda: before.lock(resource)))
        takes_and_gives_back(before)
    """
    _run(program, address, resource)


@pytest.mark.parametrize("support", ["0", "1"], ids=["without", "with"])
def test_a_child_makes_a_client_of_its_own_while_its_parent_holds_a_lease(
    address: str, resource: str, support: str
) -> None:
    program = """
        before = leasehold.Client(address)
        lease = before.lock(resource, ttl=3)
        def child():
            takes_and_gives_back(leasehold.Client(address))
            # A grandchild of a process that holds leases of its own.
            client = leasehold.Client(address)
            with client.lock(f"{resource}-child", ttl=3):
                in_child(lambda: takes_and_gives_back(leasehold.Client(address)))
                takes_and_gives_back(client)
        in_child(child)
        # The parent's lease is renewed after the fork as before it.
        assert not lease.lost.wait(5)
        lease.check()
        assert before.try_lock(resource) is None
        assert lease.release()
    """
    _run(program, address, resource, GRPC_ENABLE_FORK_SUPPORT=support)


def test_a_child_can_neither_use_nor_release_what_its_parent_holds(address: str, resource: str) -> None:
    program = """
        before = leasehold.Client(address)
        lease = before.lock(resource, ttl=5)
        group = before.lock_many([f"{resource}-1", f"{resource}-2"], ttl=5)
        worker = before.operations.worker([resource], print)
        def child():
            for held in (lease, group):
                assert not held.held
                assert held.remaining() == 0.0
                assert held.lost_reason == "OTHER_PROCESS"
                assert held.lost.wait(0)
                refuses(held.check)
                refuses(held.release)
                def block():
                    with held:
                        pass
                refuses(block)
            refuses(lambda: before.lock_many([resource]))
            refuses(lambda: before.operations.get(resource, "1"))
            refuses(lambda: before.operations.run(resource, "1", print, type="test"))
            refuses(worker.start)
            before.close()
            with before:
                pass
        in_child(child)
        for held in (lease, group):
            held.check()
            assert held.release()
    """
    _run(program, address, resource)


def test_an_attempt_is_over_in_a_child_of_its_worker(address: str, resource: str) -> None:
    program = """
        def work(attempt):
            def child():
                assert not attempt.held
                assert attempt.signalled.wait(0)
                refuses(attempt.check)
                refuses(lambda: attempt.update(progress=1))
            in_child(child)
            attempt.check()
            attempt.update(progress=1)
            return "done"
        client = leasehold.Client(address)
        assert client.operations.run(resource, "1", work, type=resource, heartbeat=3) == "done"
    """
    _run(program, address, resource)


def test_a_child_that_ends_as_any_program_does_leaves_its_parents_lease_alone(address: str, resource: str) -> None:
    program = """
        client = leasehold.Client(address)
        with client.lock(resource, ttl=3) as lease:
            pid = os.fork()
            if pid == 0:
                sys.exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
            assert not lease.lost.wait(4)
            assert client.try_lock(resource) is None
    """
    _run(program, address, resource)


def test_a_waiter_keeps_its_place_when_its_process_forks(address: str, resource: str) -> None:
    program = """
        client = leasehold.Client(address)
        queued, first, order = threading.Semaphore(0), client.lock(resource, ttl=5), []
        def wait(name):
            with client.lock(resource, ttl=5, wait=30, on_event=lambda kind, _: kind == "queued" and queued.release()):
                order.append(name)
        waiters = []
        for name in (1, 2):
            waiters.append(threading.Thread(target=wait, args=(name,)))
            waiters[-1].start()
            assert queued.acquire(timeout=5)
        in_child(lambda: takes_and_gives_back(leasehold.Client(address)))
        for _ in waiters:
            assert queued.acquire(timeout=5)  # they are queued again
        first.release()
        for waiter in waiters:
            waiter.join(10)
        assert order == [1, 2], order
    """
    _run(program, address, resource)


def test_the_processes_of_a_pool_make_clients_of_their_own(address: str, resource: str) -> None:
    program = """
        client = leasehold.Client(address)
        lease = client.lock(resource, ttl=3)
        def work(number):
            takes_and_gives_back(leasehold.Client(address))
            return number * number
        # A process for each task: the pool forks anew while others work.
        with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
            assert pool.map(work, range(6), chunksize=1) == [0, 1, 4, 9, 16, 25]
        lease.check()
        assert lease.release()
    """
    _run(program, address, resource)


# A thread that gRPC's own support of forks starts in the child crashes it sometimes, wherever the child's own thread
# is, even before its first line of Python. Nothing of this client can prevent that: the child is told, or it ends.
@pytest.mark.parametrize("support", ["0", "1"], ids=["without", "with"])
def test_a_child_is_told_at_once_that_grpc_was_in_use_by_an_asyncio_client(
    address: str, resource: str, support: str
) -> None:
    program = """
        import asyncio
        from leasehold import aio
        async def main():
            async with aio.Client(address) as client:
                lease = await client.lock(resource, ttl=5)
                def child():
                    assert not lease.held
                    refuses(lease.check)
                    try:
                        leasehold.Client(address)
                    except leasehold.LeaseholdError as error:
                        assert "gRPC was in use when this process was forked" in str(error), error
                    else:
                        raise AssertionError("the client would hang")
                in_child(child, by_grpc)
                lease.check()
                assert await lease.release()
        crashes = [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS]
        by_grpc = crashes if os.environ["GRPC_ENABLE_FORK_SUPPORT"] == "1" else []
        asyncio.run(main())
    """
    # gRPC says that it can't cope.
    _run(program, address, resource, GRPC_ENABLE_FORK_SUPPORT=support, GRPC_VERBOSITY="NONE", PYTHONFAULTHANDLER="")


def test_a_child_uses_an_asyncio_client_where_the_parent_only_made_one(address: str, resource: str) -> None:
    program = """
        import asyncio
        from leasehold import aio
        before = aio.Client(address)
        async def take():
            async with aio.Client(address) as client:
                async with client.lock(resource, ttl=5) as lease:
                    assert lease.held
            try:
                await before.lock(resource)
            except leasehold.OtherProcess:
                return
            raise AssertionError("it did not refuse")
        in_child(lambda: asyncio.run(take()))
    """
    _run(program, address, resource)


_APPLICATION = """
import os
import leasehold

address, resource = os.environ["ADDRESS"], os.environ["RESOURCE"]
shared = leasehold.Client(address)
lease = shared.lock(resource, ttl=5)
own = None

def app(environ, start_response):
    global own
    own = own or leasehold.Client(address)
    with own.lock(f"{resource}-work", ttl=5, wait=10) as mine:
        body = f"{os.getpid()} {mine.held} {lease.held}".encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""


@contextmanager
def _gunicorn(folder: Path, port: int, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "application.py").write_text(_APPLICATION)
    arguments = ["--preload", "--workers", "2", "--timeout", "10", "--bind", f"127.0.0.1:{port}", "application:app"]
    running = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *arguments], cwd=folder, env={**os.environ, **environment}
    )
    try:
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(20)


@pytest.mark.skipif(importlib.util.find_spec("gunicorn") is None, reason="gunicorn isn't installed")
def test_the_workers_of_gunicorn_with_preload_answer(address: str, resource: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with _gunicorn(tmp_path, port, ADDRESS=address, RESOURCE=resource) as running:
        answers: list[str] = []
        until = time.monotonic() + 20
        while len(answers) < 6 and time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as response:
                    answers.append(response.read().decode())
            except ConnectionError:
                time.sleep(0.1)
            except urllib.error.URLError as error:
                assert isinstance(error.reason, ConnectionError), error
                time.sleep(0.1)  # it doesn't listen yet
        assert len(answers) == 6
        for answer in answers:
            pid, held, inherited = answer.split()
            assert (int(pid) != running.pid, held, inherited) == (True, "True", "False")
        # The master's own lease is alive.
        with leasehold.Client(address) as client:
            assert client.try_lock(resource) is None
