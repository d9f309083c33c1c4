"""The runner of the conformance script in Python: it turns verbs into calls of the client, and nothing else.

clients/conformance/README.md says what the verbs mean.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import leasehold

Args = dict[str, Any]

clients: dict[str, leasehold.Client] = {}
leases: dict[str, Any] = {}
works: dict[str, Work] = {}
workers: dict[str, leasehold.Worker] = {}
output = threading.Lock()


class Work:
    """What the function of a run or worker does: what the scenario plans for it."""

    def __init__(self, plan: Args) -> None:
        self.plan = plan
        self.may_go = threading.Event()
        self.ran = False
        self.attempt: leasehold.Attempt | None = None

    def __call__(self, attempt: leasehold.Attempt) -> Any:
        self.ran = True
        self.attempt = attempt
        while self.plan.get("hold") and not self.may_go.wait(0.02):
            if not self.plan.get("stubborn"):
                attempt.check()
        if "error" in self.plan:
            raise RuntimeError(self.plan["error"])
        return self.plan.get("result")


def connect(args: Args) -> Args:
    tls = None
    if "ca" in args:
        with open(args["ca"], "rb") as ca:
            tls = leasehold.Tls(ca.read())
    options = {word: args[word] for word in ("token", "streams_per_connection") if word in args}
    clients[args["as"]] = leasehold.Client(args["addresses"], tls=tls, **options)
    return {}


def lock(args: Args) -> Args:
    words = ("ttl", "wait", "timeout", "owner", "shared", "permits", "limit", "lease_id")
    options = {"wait": 0, **{word: args[word] for word in words if word in args}}
    lease = clients[args["client"]].lock(args["resource"], **options)
    leases[args.get("as", "")] = lease
    return {"fencing_token": lease.fencing_token, "lease_id": lease.lease_id, "remaining": lease.remaining()}


def lock_many(args: Args) -> Args:
    words = ("ttl", "wait")
    options = {"wait": 0, **{word: args[word] for word in words if word in args}}
    group = clients[args["client"]].lock_many(args["resources"], **options)
    leases[args.get("as", "")] = group
    return {"fencing_tokens": [lease.fencing_token for lease in group.leases]}


def lease(args: Args) -> Args:
    held = leases[args["lease"]]
    return {"held": held.held, "remaining": held.remaining(), "lost": held.lost_reason}


def loss(args: Args) -> Args:
    asked = time.monotonic()
    held = leases[args["lease"]]
    held.lost.wait()
    return {"lost": held.lost_reason, "after": time.monotonic() - asked}


def check(args: Args) -> Args:
    leases[args["lease"]].check()
    return {}


def release(args: Args) -> Args:
    return {"released": leases[args["lease"]].release()}


def run(args: Args) -> Args:
    work = works[args.get("as", "")] = Work(args["work"])
    options: Args = {word: args[word] for word in ("data", "heartbeat", "wait") if word in args}
    if "lock_ttl" in args:
        options["lock"] = leasehold.Spec("", ttl=args["lock_ttl"])
    operations = clients[args["client"]].operations
    result = operations.run(args["resource"], args["operation_id"], work, type=args["type"], **options)
    return {"result": result, "ran": work.ran, "attempt": work.attempt.number if work.attempt else 0}


def running(args: Args) -> leasehold.Attempt:
    work = works[args["run"]]
    until = time.monotonic() + 5.0
    while work.attempt is None and time.monotonic() < until:
        time.sleep(0.01)
    assert work.attempt is not None, "the work did not begin within 5 s"
    return work.attempt


def attempt(args: Args) -> Args:
    one = running(args)
    return {
        "number": one.number,
        "fencing_token": one.fencing_token,
        "cancel_requested": one.cancel_requested,
        "held": one.held,
        "data": one.data,
    }


def progress(args: Args) -> Args:
    running(args).update(progress=args["value"])
    return {}


def go_on(args: Args) -> Args:
    works[args["run"]].may_go.set()
    return {}


def worker(args: Args) -> Args:
    work = works[args["as"]] = Work(args["work"])
    operations = clients[args["client"]].operations
    workers[args["as"]] = operations.worker(args["types"], work, concurrency=args["concurrency"])
    workers[args["as"]].start()
    return {}


def stop_worker(args: Args) -> Args:
    workers[args["worker"]].stop(grace=args["grace"])
    return {}


def begin_operation(args: Args) -> Args:
    operations = clients[args["client"]].operations
    operations.begin(args["resource"], args["operation_id"], type=args["type"], data=args.get("data"))
    return {}


def get_operation(args: Args) -> Args:
    record = clients[args["client"]].operations.get(args["resource"], args["operation_id"])
    return {word: record[word] for word in ("state", "result", "progress", "attempt")}


def cancel_operation(args: Args) -> Args:
    operations = clients[args["client"]].operations
    operations.cancel(args["resource"], args["operation_id"], reason=args["reason"])
    return {}


def close(args: Args) -> Args:
    clients[args["client"]].close()
    return {}


VERBS: dict[str, Callable[[Args], Args]] = {
    verb.__name__: verb
    for verb in (
        connect, lock, lock_many, lease, loss, check, release, run, attempt, progress, go_on, worker, stop_worker,
        begin_operation, get_operation, cancel_operation, close,
    )
}  # fmt: skip


def told(error: BaseException) -> Args:
    if not isinstance(error, leasehold.LeaseholdError):
        return {"code": "UNKNOWN", "message": f"{type(error).__name__}: {error}"}
    words = ("code", "reason", "message", "holders", "fields")
    return {"type": type(error).__name__, **{word: getattr(error, word) for word in words}}


def answer(command: Args) -> None:
    said: Args
    try:
        if command["verb"] == "verbs":
            said = {"ok": {"verbs": list(VERBS)}}
        else:
            said = {"ok": VERBS[command["verb"]](command["args"])}
    except Exception as error:
        said = {"error": told(error)}
    with output:
        print(json.dumps({"id": command["id"], **said}), flush=True)


for line in sys.stdin:
    threading.Thread(target=answer, args=(json.loads(line),), daemon=True).start()
for client in clients.values():
    client.close()
