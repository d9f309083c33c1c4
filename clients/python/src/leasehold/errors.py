"""The errors of calls, typed by the reason that the server gives; docs/errors.md of the project lists the reasons.

Decide by the class or by ``reason``, never by the message. Every call that doesn't get what it asks for raises one of
these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from leasehold.v1 import error_details_pb2 as leasehold_details_pb2

#: The statuses that pass where no ErrorInfo comes with them: Leasehold gives a reason with every error, so that these
#: are the word of a proxy, or what gRPC calls the end of a connection. docs/clients.md has the list for all clients.
PASSING_WITHOUT_REASON = ("UNAVAILABLE", "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL")


class LeaseholdError(Exception):
    """The base of all errors of this client.

    ``code`` is the name of the gRPC code, such as ``"UNAVAILABLE"``. ``reason`` is that of google.rpc.ErrorInfo, such
    as ``"LOCK_CONTENDED"``; it is empty where no Leasehold server answered.
    """

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
        #: How many seconds the server asks to wait before the next try; None if it doesn't say.
        self.retry_after = retry_after
        #: The owners of the leases that stand in the way (LOCK_CONTENDED); at most 4.
        self.holders = list(holders)
        #: The names of the fields that are wrong (INVALID_ARGUMENT), such as ``"spec.ttl"``.
        self.fields = list(fields)

    @property
    def is_passing(self) -> bool:
        """Whether the same call may succeed a little later or at another server: nothing is wrong with the request."""
        return self.code == "UNAVAILABLE" or self._is_without_reason

    #: Whether something between the client and the server said so.
    _is_without_reason = False


class LockContended(LeaseholdError):
    """Someone else holds the resource, or waits for it in front of this caller; and the wait, if any, is over."""


class LeaseLost(LeaseholdError):
    """The lease is over: stop what it protects.

    ``why`` is a LostReason such as FORCE_RELEASED; or DEADLINE, when the deadline passed here, whatever servers know;
    or OTHER_PROCESS, when this process was forked from the one that has it.
    """

    why: str = ""


class AttemptHeld(LeaseholdError):
    """Another worker runs the operation."""


class AttemptLost(LeaseholdError):
    """The attempt is over, and another worker may have the operation by now: stop, and write nothing more.

    ``why`` is an AttemptLostReason such as SUPERSEDED; or DEADLINE, when the deadline passed here.
    """

    why: str = ""


class OperationFailed(LeaseholdError):
    """The operation ended with an error (``state`` is FAILED), or the server gave it up (``state`` is DEAD)."""

    state: str = "FAILED"


class OperationCancelled(LeaseholdError):
    """The operation was cancelled.

    Work that stops because someone asked for that raises it, and the client records it; ``Attempt.check`` does so.
    """

    def __init__(self, message: str = "the operation was cancelled", **details: Any) -> None:
        super().__init__(message, **{"code": "CANCELLED", "reason": "OPERATION_CANCELLED", **details})


class InvalidArgument(LeaseholdError, ValueError):
    """What was asked for can't be; ``fields`` names what is wrong.

    They are fields of the contract where the server refuses the request (``"spec.ttl"``, which the message calls
    ``ttl``), and options where this client does.
    """


class NotAllowed(LeaseholdError):
    """The client has no token, a wrong one, or one without the right to this call."""


class OtherProcess(LeaseholdError):
    """A client, a lease or an attempt is used in a process that was forked since: it works where it was made."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message, **{"code": "FAILED_PRECONDITION", "reason": "OTHER_PROCESS", **details})


class Unavailable(LeaseholdError):
    """No server answered in time. The call may have had its effect all the same: repeat it with the same ids, or
    release."""


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


#: Why a lease or an attempt is lost in a process that was forked from the one that has it.
OTHER_PROCESS = "OTHER_PROCESS"


def lease_lost(resource: str, why: str) -> LeaseLost:
    """Makes the error that the holder of a lease gets once it is over."""
    message = f"the lease on {resource} is over ({why}): stop what it protects, and acquire it again"
    if why == OTHER_PROCESS:
        message = f"the lease on {resource} was made in another process, and protects nothing in this one"
    error = LeaseLost(message, code="ABORTED", reason="LEASE_LOST")
    error.why = why
    return error


def attempt_lost(resource: str, operation_id: str, why: str) -> AttemptLost:
    """Makes the error that the worker of an attempt gets once it is over."""
    message = (
        f"the attempt at the operation {operation_id} on {resource} is over ({why}): "
        "stop the work, and write nothing more"
    )
    if why == OTHER_PROCESS:
        message = (
            f"the attempt at the operation {operation_id} on {resource} was made in another process: leave it alone"
        )
    error = AttemptLost(message, code="FAILED_PRECONDITION", reason="STALE_ATTEMPT")
    error.why = why
    return error


def local_error(code: str, message: str) -> LeaseholdError:
    """Makes an error for what this client finds out by itself, without the word of a server."""
    return _BY_CODE.get(code, LeaseholdError)(message, code=code)


def client_closed() -> LeaseholdError:
    """Makes the error of every call on a closed client."""
    return local_error("CANCELLED", "the client is closed: make calls before close(), or make a new client")


def no_first_answer(address: str, within: float, open_calls: int) -> LeaseholdError:
    """Makes the error of a stream that a server left without a first answer for ``within`` seconds; ``open_calls``: how
    many calls its connection had."""
    return local_error(
        "UNAVAILABLE",
        f"{address} did not answer within {within:.0f} s, with {_open(open_calls)}: check that a Leasehold server runs "
        "there, and, where a proxy allows a connection fewer calls, set streams_per_connection to what it allows",
    )


def _open(calls: int) -> str:
    return f"{calls} open {'call' if calls == 1 else 'calls'} on the connection"


def no_answer_in_time(address: str, open_calls: int) -> LeaseholdError:
    """Makes the error of a stream whose time is over; ``address`` is where it was asked last, and ``open_calls`` how
    many calls its connection had."""
    return local_error(
        "UNAVAILABLE",
        f"no server answered in time (the last try was at {address}, with {_open(open_calls)}): "
        "check that a Leasehold server runs there, or give the call more time; where a proxy allows a connection fewer "
        "calls, set streams_per_connection to what it allows",
    )


def from_rpc(error: grpc.RpcError, address: str) -> LeaseholdError:
    """Makes the error of what a server said, with the details of its ``grpc-status-details-bin`` trailer."""
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
            told = [f"{_option_of(violation.field)}: {violation.description}" for violation in bad.field_violations]
            message = "; ".join(told) or message
        elif detail.Unpack(contention):
            found["holders"] = [holder.owner for holder in contention.holders]
    is_without_reason = not reason and code in PASSING_WITHOUT_REASON
    if is_without_reason:
        message = (
            f"no answer from {address}: {message}. Check that a server runs there, and that both sides use TLS "
            "(with an authority that the client trusts) or neither does"
        )
    kind = _BY_REASON.get(reason) or (Unavailable if is_without_reason else _BY_CODE.get(code, LeaseholdError))
    made = kind(message, code=code, reason=reason, **found)
    made._is_without_reason = is_without_reason
    return made


#: What users call the fields of the contract that have other names there; the first that matches counts.
_OPTIONS = (
    (re.compile(r"^(lock|specs\[\d+\])\.(?=ttl|owner|min_hold|max_hold|metadata|permits)"), ""),
    (re.compile(r"^specs\[(\d+)\](\.resource)?$"), r"resources[\1]"),
    (re.compile(r"^specs$"), "resources"),
    (re.compile(r"^permits\.(permits|limit)$"), r"\1"),
    (re.compile(r"^wait_timeout$"), "wait"),
    (re.compile(r"^heartbeat_timeout$"), "heartbeat"),
    (re.compile(r"^max_operations$"), "concurrency"),
)


def _option_of(field: str) -> str:
    """Returns the option that a field of the contract stands for: the server names the field."""
    option = field.removeprefix("spec.")
    for path, name in _OPTIONS:
        option = path.sub(name, option)
    return option


def _details(error: grpc.RpcError) -> Iterable[Any]:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            try:
                return list(status_pb2.Status.FromString(value).details)
            except Exception:  # it isn't a status, so no Leasehold server wrote it: the code has to do
                return []
    return []
