"""Readers hold the lock together, a writer alone; nobody overtakes in the queue, so readers can't starve a writer.

python readers_and_writer.py read | write
"""

import os, sys, time, uuid

import grpc
from leasehold.v1 import lease_pb2, lock_service_pb2 as pb, lock_service_pb2_grpc

locks = lock_service_pb2_grpc.LockServiceStub(grpc.insecure_channel(os.environ.get("LEASEHOLD", "127.0.0.1:50051")))
writes = sys.argv[1:] == ["write"]
spec = lease_pb2.LeaseSpec(resource="price-list", lease_id=str(uuid.uuid4()), owner=" ".join(sys.argv))
spec.exclusive.SetInParent() if writes else spec.shared.SetInParent()
request = pb.AcquireRequest(spec=spec)
request.wait_timeout.FromSeconds(60)
try:
    sent = time.monotonic()
    lease = locks.Acquire(request).lease  # valid_for counts from just before the call, however long it waited
    stop_at = sent + lease.valid_for.ToMilliseconds() / 1000 * 0.999 - 1  # the deadline rule, with its margin
    print("writes" if writes else "reads", "with token", lease.fencing_token, flush=True)
    while time.monotonic() < min(stop_at, sent + 3):
        time.sleep(0.1)  # the work: shorter than the lease, so it needs no renewal
finally:
    print(locks.Release(pb.ReleaseRequest(resource=spec.resource, lease_id=spec.lease_id)))
