"""Errors of calls: typed by the reason that the server gives, see docs/errors.md of the project.

Decide by the class or by ``reason``, never by the message. Whatever isn't granted is an error; none of them reads like
a lease.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from leasehold.v1 import error_details_pb2 as leasehold_details_pb2


class LeaseholdError(Exception):
    """An error status. ``code`` is the name of the gRPC code, ``reason`` that of google.rpc.ErrorInfo, '' where there
    is none."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "UNKNOWN",
        reason: str = "",
        retry_after: float | None = None,
        holders: Iterable[str] = (),
        fields: Iterable[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        #: Seconds that the server asks to wait before the next try; None if it doesn't say.
        self.retry_after = retry_after
        #: The owners of the leases that stood in the way (LOCK_CONTENDED).
        self.holders = list(holders)
        #: The fields that are wrong (INVALID_ARGUMENT).
        self.fields = list(fields)

    @property
    def is_passing(self) -> bool:
        """Whether the same call may succeed a little later, or elsewhere: nothing is wrong with the request."""
        return self.code == "UNAVAILABLE"


class LockContended(LeaseholdError):
    """Someone else has it, and the wait, if any, is over."""


class LeaseLost(LeaseholdError):
    """The lease is over: stop what it protects. ``why`` is a LostReason, or DEADLINE: it passed here, whatever servers
    know."""

    why: str = ""


class AttemptHeld(LeaseholdError):
    """Someone else runs the operation."""


class AttemptLost(LeaseholdError):
    """The attempt is over, perhaps another worker's by now: stop, and write nothing more. ``why`` as in LeaseLost."""

    why: str = ""


class OperationFailed(LeaseholdError):
    """The operation ended with an error, or was given up by the server (``state`` is FAILED or DEAD)."""

    state: str = "FAILED"


class OperationCancelled(LeaseholdError):
    """The operation was cancelled. Raise it in a worker that stops because it was asked to; ``Attempt.check`` does."""

    def __init__(self, message: str = "the operation was cancelled", **details: Any) -> None:
        super().__init__(message, **{"code": "CANCELLED", "reason": "OPERATION_CANCELLED", **details})


class InvalidArgument(LeaseholdError):
    """The request is wrong; ``fields`` says where."""


class NotAllowed(LeaseholdError):
    """No token, a wrong one, or one that may not do this."""


class Unavailable(LeaseholdError):
    """No server could do it in time. It may be done all the same: repeat with the same ids, or release."""


_BY_REASON: dict[str, type[LeaseholdError]] = {
    "LOCK_CONTENDED": LockContended,
    "LEASE_LOST": LeaseLost,
    "ATTEMPT_HELD": AttemptHeld,
    "STALE_ATTEMPT": AttemptLost,
}
_BY_CODE: dict[str, type[LeaseholdError]] = {
    "INVALID_ARGUMENT": InvalidArgument,
    "UNAUTHENTICATED": NotAllowed,
    "PERMISSION_DENIED": NotAllowed,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": Unavailable,
}


def lease_lost(why: str) -> LeaseLost:
    error = LeaseLost(f"the lease is over: {why}", code="ABORTED", reason="LEASE_LOST")
    error.why = why
    return error


def attempt_lost(why: str) -> AttemptLost:
    error = AttemptLost(f"the attempt is over: {why}", code="FAILED_PRECONDITION", reason="STALE_ATTEMPT")
    error.why = why
    return error


def local_error(code: str, message: str) -> LeaseholdError:
    """For what ends here, before any server says so."""
    return _BY_CODE.get(code, LeaseholdError)(message, code=code)


def from_rpc(error: grpc.RpcError, address: str) -> LeaseholdError:
    """What the server said, with the details of the ``grpc-status-details-bin`` trailer."""
    code = error.code().name
    message = error.details() or ""
    found: dict[str, Any] = {}
    reason = ""
    for detail in _details(error):
        info = error_details_pb2.ErrorInfo()
        retry = error_details_pb2.RetryInfo()
        bad = error_details_pb2.BadRequest()
        contention = leasehold_details_pb2.Contention()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(retry):
            found["retry_after"] = retry.retry_delay.ToNanoseconds() / 1e9
        elif detail.Unpack(bad):
            found["fields"] = [violation.field for violation in bad.field_violations]
        elif detail.Unpack(contention):
            found["holders"] = [holder.owner for holder in contention.holders]
    if code == "UNAVAILABLE" and not reason:
        message = (
            f"no answer from {address}: {message}. Check that a server runs there, and that both sides use TLS "
            "(with an authority that the client trusts) or neither does"
        )
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code, LeaseholdError)
    return kind(message, code=code, reason=reason, **found)


def _details(error: grpc.RpcError) -> Iterable[Any]:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            try:
                return list(status_pb2.Status.FromString(value).details)
            except Exception:  # whoever wrote it, it is no status: the code has to do
                return []
    return []
