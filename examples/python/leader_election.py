"""Many processes run this and one leads; when it dies or is cut off, the next one leads.

Start it twice, and kill the leader.
"""

import os, socket, threading, time, uuid

import grpc
from leasehold.v1 import lease_pb2, lock_service_pb2 as pb, lock_service_pb2_grpc

locks = lock_service_pb2_grpc.LockServiceStub(grpc.insecure_channel(os.environ.get("LEASEHOLD", "127.0.0.1:50051")))
me = f"{socket.gethostname()}-{uuid.uuid4().hex[:4]}"
spec = lease_pb2.LeaseSpec(resource="billing/leader", lease_id=str(uuid.uuid4()), owner=me)
stop_at = 0.0


def lead(term):
    while time.monotonic() < stop_at:  # the deadline rule: a leader that is cut off stops by itself
        print(f"{me} leads, term {term}", flush=True)  # send the term with every write: it is the fencing token
        time.sleep(1)
    print(f"{me} no longer leads", flush=True)
    locks.Release(pb.ReleaseRequest(resource=spec.resource, lease_id=spec.lease_id), timeout=5)  # this ends the stream


sent = time.monotonic()
for event in locks.Hold(pb.HoldRequest(spec=spec, wait_forever=True)):  # until the process or the stream ends
    kind = event.WhichOneof("event")
    if kind in ("granted", "renewed"):
        lease = getattr(event, kind)
        # Less TTL / 20, and 0.1 % for clocks that drift: after 5 hours on one stream it steps down and starts anew.
        stop_at = sent + lease.valid_for.ToMilliseconds() / 1000 * 0.999 - 1
    if kind == "granted":
        threading.Thread(target=lead, args=(lease.fencing_token,)).start()
    elif kind == "queued":
        print(f"{me} follows, position {event.queued.position}", flush=True)
