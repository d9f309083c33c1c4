"""The client of Leasehold: distributed locks and long-running operations.

``Client`` is for threads, ``leasehold.aio.Client`` for asyncio.
"""

from leasehold._channel import Tls
from leasehold._hold import Spec
from leasehold.aio import Operation
from leasehold.client import Attempt, Client, Lease, LeaseGroup, Operations, Worker
from leasehold.errors import (
    AttemptHeld,
    AttemptLost,
    InvalidArgument,
    LeaseholdError,
    LeaseLost,
    LockContended,
    NotAllowed,
    OperationCancelled,
    OperationFailed,
    OtherProcess,
    Unavailable,
)

__all__ = [
    "Attempt",
    "AttemptHeld",
    "AttemptLost",
    "Client",
    "InvalidArgument",
    "Lease",
    "LeaseGroup",
    "LeaseLost",
    "LeaseholdError",
    "LockContended",
    "NotAllowed",
    "Operation",
    "OperationCancelled",
    "OperationFailed",
    "Operations",
    "OtherProcess",
    "Spec",
    "Tls",
    "Unavailable",
    "Worker",
]
