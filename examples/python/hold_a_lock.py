"""Holds a lock the right way: acquire, renew, fencing token, stop at the deadline, release.

Needs a running server and the generated stubs: see README.md beside this file.
"""

import os
import random
import socket
import sys
import time
import uuid

import grpc
from leasehold.v1 import lease_pb2, lock_service_pb2 as pb, lock_service_pb2_grpc

RESOURCE = sys.argv[1] if len(sys.argv) > 1 else "nightly-billing"
TTL = 20.0
MARGIN = max(0.2, TTL / 20)

stub = lock_service_pb2_grpc.LockServiceStub(grpc.insecure_channel(os.environ.get("LEASEHOLD", "127.0.0.1:50051")))
lease_id = str(uuid.uuid4())  # the same for all tries of this acquisition, and a secret
spec = lease_pb2.LeaseSpec(resource=RESOURCE, lease_id=lease_id, owner=f"example@{socket.gethostname()}")
spec.ttl.FromSeconds(int(TTL))


def deadline(sent, lease):
    """The deadline rule: valid_for counts from the moment just before the call was sent."""
    return sent + lease.valid_for.ToMilliseconds() / 1000 - MARGIN


def acquire():
    while True:
        sent = time.monotonic()
        try:
            lease = stub.Acquire(pb.AcquireRequest(spec=spec), timeout=5).lease
            return lease.fencing_token, deadline(sent, lease), sent
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.ABORTED, grpc.StatusCode.UNAVAILABLE):
                raise
            print("not yet:", error.details())
        time.sleep(0.5 + random.random() / 2)  # jitter: callers that failed together should not come back together


try:
    token, stop_at, renewed = acquire()
    print(f"holding {RESOURCE} with fencing token {token}")
    for step in range(1, 7):
        if time.monotonic() >= stop_at:
            sys.exit("the lease is over: stop, and write nothing more")
        print(f"step {step}: UPDATE … WHERE fencing_token <= {token}")
        time.sleep(1)
        sent = time.monotonic()
        if sent < stop_at and sent >= renewed + TTL / 4:
            request = pb.RenewRequest(resource=RESOURCE, lease_id=lease_id, fencing_token=token)
            try:
                lease = stub.Renew(request, timeout=stop_at - sent).lease
                if time.monotonic() < stop_at:  # nothing that arrives after the deadline revives the lease
                    stop_at, renewed = max(stop_at, deadline(sent, lease)), sent
                print(f"renewed, {stop_at - time.monotonic():.1f} s left")
            except grpc.RpcError as error:
                print("not renewed:", error.details())  # the next try may succeed; the deadline stays
                if error.code() == grpc.StatusCode.ABORTED:  # LEASE_LOST
                    stop_at = 0
finally:
    reply = stub.Release(pb.ReleaseRequest(resource=RESOURCE, lease_id=lease_id), timeout=5)
    print("released" if reply.released else "the lease was over before it was released")
