"""Cron starts this on every host and one host does it: min_hold keeps the resource taken until all clocks have struck.

The job may take hours: a thread renews the lease, and max_hold bounds a job that hangs.
"""

import os, sys, threading, time, uuid

import grpc
from leasehold.v1 import lease_pb2, lock_service_pb2 as pb, lock_service_pb2_grpc

locks = lock_service_pb2_grpc.LockServiceStub(grpc.insecure_channel(os.environ.get("LEASEHOLD", "127.0.0.1:50051")))
spec = lease_pb2.LeaseSpec(resource="nightly-report", lease_id=str(uuid.uuid4()), owner=" ".join(sys.argv))
spec.min_hold.FromSeconds(600)
spec.max_hold.FromSeconds(4 * 3600)
done = threading.Event()


def deadline(sent, lease):  # valid_for counts from just before the call; the margin is a twentieth of the TTL
    return sent + lease.valid_for.ToMilliseconds() / 1000 - 1


def keep_renewing():
    global stop_at
    while not done.wait(5):  # a quarter of the TTL
        sent = time.monotonic()
        try:
            request = pb.RenewRequest(resource=spec.resource, lease_id=spec.lease_id, fencing_token=lease.fencing_token)
            renewed = deadline(sent, locks.Renew(request, timeout=5).lease)
            stop_at = max(stop_at, renewed) if time.monotonic() < stop_at else stop_at
        except grpc.RpcError as error:
            print("not renewed:", error.details(), flush=True)  # the next try may succeed; the deadline stays


try:
    sent = time.monotonic()
    lease = locks.Acquire(pb.AcquireRequest(spec=spec), timeout=5).lease  # no wait: the second host has nothing to do
    stop_at = deadline(sent, lease)
except grpc.RpcError as error:
    sys.exit(f"not run here: {error.details()}")
threading.Thread(target=keep_renewing, daemon=True).start()
try:
    for page in range(1, 8):
        if time.monotonic() >= stop_at:
            sys.exit("the lease is over: stop, and write nothing more")
        print(f"page {page}: UPDATE … WHERE fencing_token <= {lease.fencing_token}", flush=True)
        time.sleep(1)
finally:
    done.set()
    locks.Release(pb.ReleaseRequest(resource=spec.resource, lease_id=spec.lease_id), timeout=5)
