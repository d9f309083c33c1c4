"""Does a job that survives its worker: it is recorded once, claimed, and done step by step from where it was.

Kill it in the middle and start it again. Needs a running server and the generated stubs: see README.md beside this file.
"""

import datetime
import os
import socket
import sys
import time
import uuid

import grpc
from leasehold.v1 import operation_store_service_pb2 as pb, operation_store_service_pb2_grpc

JOB = sys.argv[1] if len(sys.argv) > 1 else "monthly-report"
STEPS = 20
HEARTBEAT = 5.0  # longer than a step: each update is a sign of life. Or keep KeepAliveOperation open beside the work
MARGIN = max(0.2, HEARTBEAT / 20)

channel = grpc.insecure_channel(os.environ.get("LEASEHOLD", "127.0.0.1:50051"))
stub = operation_store_service_pb2_grpc.OperationStoreServiceStub(channel)


def deadline(sent, attempt):
    """The deadline rule: valid_for counts from the moment just before the call was sent."""
    return sent + attempt.valid_for.ToMilliseconds() / 1000 - MARGIN


def claim():
    """Returns the job and this worker's attempt at it. A claim_id is new for each claim, and a secret."""
    while not stub.BeginOperation(wanted, timeout=5).operation.HasField("finish_time"):
        request = pb.ClaimOperationsRequest(types=[JOB], claim_id=str(uuid.uuid4()), owner=socket.gethostname())
        request.wait_timeout.FromSeconds(10)
        sent = time.monotonic()
        reply = stub.ClaimOperations(request, timeout=20)
        if reply.claimed:
            found = reply.claimed[0]
            return found.operation, found.attempt, deadline(sent, found.attempt)
    print("the job is done, by an earlier run of this worker or by another one")
    sys.exit()


# The id comes from what triggers the job, so the job is done once even if it is triggered twice.
wanted = pb.BeginOperationRequest(resource=f"reports/{JOB}", operation_id=f"{datetime.date.today():%Y-%m}", type=JOB)
wanted.heartbeat_timeout.FromSeconds(int(HEARTBEAT))
operation, attempt, stop_at = claim()
ours = dict(
    resource=operation.resource,
    operation_id=operation.operation_id,
    claim_id=attempt.claim_id,
    fencing_token=attempt.fencing_token,
)
recorded = int(operation.progress.value or b"0")
print(f"attempt {attempt.number}, fencing token {attempt.fencing_token}, after step {recorded}")
for step in range(recorded + 1, STEPS + 1):
    time.sleep(0.5)
    if time.monotonic() >= stop_at:
        sys.exit("the attempt is over: stop, and write nothing more")
    print(f"step {step}: UPDATE … WHERE fencing_token <= {attempt.fencing_token}")
    request = pb.UpdateOperationRequest(request_id=str(uuid.uuid4()), **ours)
    request.progress.type_url, request.progress.value = "example.com/Step", str(step).encode()
    sent = time.monotonic()
    stop_at = deadline(sent, stub.UpdateOperation(request, timeout=5).attempt)  # raises at STALE_ATTEMPT

request = pb.CompleteOperationRequest(request_id=str(uuid.uuid4()), **ours)
request.result.type_url, request.result.value = "example.com/Report", f"{STEPS} steps".encode()
stub.CompleteOperation(request, timeout=5)
print("completed")
