import datetime

from google.protobuf import any_pb2 as _any_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.rpc import status_pb2 as _status_pb2
from leasehold.v1 import lease_pb2 as _lease_pb2
from leasehold.v1 import lease_events_pb2 as _lease_events_pb2
from leasehold.v1 import operation_pb2 as _operation_pb2
from leasehold.v1 import watch_events_pb2 as _watch_events_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AttemptLostReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATTEMPT_LOST_REASON_UNSPECIFIED: _ClassVar[AttemptLostReason]
    ATTEMPT_LOST_REASON_EXPIRED: _ClassVar[AttemptLostReason]
    ATTEMPT_LOST_REASON_SUPERSEDED: _ClassVar[AttemptLostReason]
    ATTEMPT_LOST_REASON_YIELDED: _ClassVar[AttemptLostReason]
    ATTEMPT_LOST_REASON_FINISHED: _ClassVar[AttemptLostReason]
    ATTEMPT_LOST_REASON_LEASE_LOST: _ClassVar[AttemptLostReason]
    ATTEMPT_LOST_REASON_UNKNOWN_ATTEMPT: _ClassVar[AttemptLostReason]
ATTEMPT_LOST_REASON_UNSPECIFIED: AttemptLostReason
ATTEMPT_LOST_REASON_EXPIRED: AttemptLostReason
ATTEMPT_LOST_REASON_SUPERSEDED: AttemptLostReason
ATTEMPT_LOST_REASON_YIELDED: AttemptLostReason
ATTEMPT_LOST_REASON_FINISHED: AttemptLostReason
ATTEMPT_LOST_REASON_LEASE_LOST: AttemptLostReason
ATTEMPT_LOST_REASON_UNKNOWN_ATTEMPT: AttemptLostReason

class BeginOperationRequest(_message.Message):
    __slots__ = ("resource", "operation_id", "type", "data", "labels", "claim_id", "owner", "heartbeat_timeout", "time_to_live", "lock", "max_attempts", "request_id", "exclusive", "require_lease", "retention")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CLAIM_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_LIVE_FIELD_NUMBER: _ClassVar[int]
    LOCK_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_LEASE_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    resource: str
    operation_id: str
    type: str
    data: _any_pb2.Any
    labels: _containers.ScalarMap[str, str]
    claim_id: str
    owner: str
    heartbeat_timeout: _duration_pb2.Duration
    time_to_live: _duration_pb2.Duration
    lock: _lease_pb2.LeaseSpec
    max_attempts: int
    request_id: str
    exclusive: bool
    require_lease: _lease_pb2.LeaseRef
    retention: _operation_pb2.Retention
    def __init__(self, resource: _Optional[str] = ..., operation_id: _Optional[str] = ..., type: _Optional[str] = ..., data: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., claim_id: _Optional[str] = ..., owner: _Optional[str] = ..., heartbeat_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., time_to_live: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., lock: _Optional[_Union[_lease_pb2.LeaseSpec, _Mapping]] = ..., max_attempts: _Optional[int] = ..., request_id: _Optional[str] = ..., exclusive: bool = ..., require_lease: _Optional[_Union[_lease_pb2.LeaseRef, _Mapping]] = ..., retention: _Optional[_Union[_operation_pb2.Retention, _Mapping]] = ...) -> None: ...

class BeginOperationResponse(_message.Message):
    __slots__ = ("operation", "attempt", "created")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    attempt: _operation_pb2.Attempt
    created: bool
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ..., attempt: _Optional[_Union[_operation_pb2.Attempt, _Mapping]] = ..., created: bool = ...) -> None: ...

class GetOperationRequest(_message.Message):
    __slots__ = ("resource", "operation_id")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    resource: str
    operation_id: str
    def __init__(self, resource: _Optional[str] = ..., operation_id: _Optional[str] = ...) -> None: ...

class GetOperationResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class ListOperationsRequest(_message.Message):
    __slots__ = ("filter", "page_size", "page_token", "with_payloads")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    WITH_PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    filter: _operation_pb2.OperationFilter
    page_size: int
    page_token: str
    with_payloads: bool
    def __init__(self, filter: _Optional[_Union[_operation_pb2.OperationFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., with_payloads: bool = ...) -> None: ...

class ListOperationsResponse(_message.Message):
    __slots__ = ("operations", "next_page_token")
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    operations: _containers.RepeatedCompositeFieldContainer[_operation_pb2.Operation]
    next_page_token: str
    def __init__(self, operations: _Optional[_Iterable[_Union[_operation_pb2.Operation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ClaimOperationsRequest(_message.Message):
    __slots__ = ("types", "resource_prefix", "claim_id", "owner", "max_operations", "wait_timeout")
    TYPES_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_PREFIX_FIELD_NUMBER: _ClassVar[int]
    CLAIM_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    MAX_OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    types: _containers.RepeatedScalarFieldContainer[str]
    resource_prefix: str
    claim_id: str
    owner: str
    max_operations: int
    wait_timeout: _duration_pb2.Duration
    def __init__(self, types: _Optional[_Iterable[str]] = ..., resource_prefix: _Optional[str] = ..., claim_id: _Optional[str] = ..., owner: _Optional[str] = ..., max_operations: _Optional[int] = ..., wait_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ClaimOperationsResponse(_message.Message):
    __slots__ = ("claimed",)
    CLAIMED_FIELD_NUMBER: _ClassVar[int]
    claimed: _containers.RepeatedCompositeFieldContainer[ClaimedOperation]
    def __init__(self, claimed: _Optional[_Iterable[_Union[ClaimedOperation, _Mapping]]] = ...) -> None: ...

class ClaimedOperation(_message.Message):
    __slots__ = ("operation", "attempt")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    attempt: _operation_pb2.Attempt
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ..., attempt: _Optional[_Union[_operation_pb2.Attempt, _Mapping]] = ...) -> None: ...

class UpdateOperationRequest(_message.Message):
    __slots__ = ("resource", "operation_id", "claim_id", "fencing_token", "version", "data", "progress", "set_labels", "remove_labels", "request_id")
    class SetLabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    CLAIM_ID_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    SET_LABELS_FIELD_NUMBER: _ClassVar[int]
    REMOVE_LABELS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    resource: str
    operation_id: str
    claim_id: str
    fencing_token: int
    version: int
    data: _any_pb2.Any
    progress: _any_pb2.Any
    set_labels: _containers.ScalarMap[str, str]
    remove_labels: _containers.RepeatedScalarFieldContainer[str]
    request_id: str
    def __init__(self, resource: _Optional[str] = ..., operation_id: _Optional[str] = ..., claim_id: _Optional[str] = ..., fencing_token: _Optional[int] = ..., version: _Optional[int] = ..., data: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., progress: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., set_labels: _Optional[_Mapping[str, str]] = ..., remove_labels: _Optional[_Iterable[str]] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateOperationResponse(_message.Message):
    __slots__ = ("operation", "attempt")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    attempt: _operation_pb2.Attempt
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ..., attempt: _Optional[_Union[_operation_pb2.Attempt, _Mapping]] = ...) -> None: ...

class KeepAliveOperationRequest(_message.Message):
    __slots__ = ("resource", "operation_id", "claim_id", "fencing_token", "renew_for")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    CLAIM_ID_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RENEW_FOR_FIELD_NUMBER: _ClassVar[int]
    resource: str
    operation_id: str
    claim_id: str
    fencing_token: int
    renew_for: _duration_pb2.Duration
    def __init__(self, resource: _Optional[str] = ..., operation_id: _Optional[str] = ..., claim_id: _Optional[str] = ..., fencing_token: _Optional[int] = ..., renew_for: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class KeepAliveOperationResponse(_message.Message):
    __slots__ = ("resource", "operation_id", "renewed", "at_risk", "cancel_requested", "lost", "moved", "draining")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    RENEWED_FIELD_NUMBER: _ClassVar[int]
    AT_RISK_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    resource: str
    operation_id: str
    renewed: _operation_pb2.Attempt
    at_risk: _lease_events_pb2.AtRisk
    cancel_requested: CancelRequested
    lost: AttemptLost
    moved: _lease_events_pb2.Moved
    draining: _lease_events_pb2.Draining
    def __init__(self, resource: _Optional[str] = ..., operation_id: _Optional[str] = ..., renewed: _Optional[_Union[_operation_pb2.Attempt, _Mapping]] = ..., at_risk: _Optional[_Union[_lease_events_pb2.AtRisk, _Mapping]] = ..., cancel_requested: _Optional[_Union[CancelRequested, _Mapping]] = ..., lost: _Optional[_Union[AttemptLost, _Mapping]] = ..., moved: _Optional[_Union[_lease_events_pb2.Moved, _Mapping]] = ..., draining: _Optional[_Union[_lease_events_pb2.Draining, _Mapping]] = ...) -> None: ...

class CancelRequested(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class AttemptLost(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: AttemptLostReason
    def __init__(self, reason: _Optional[_Union[AttemptLostReason, str]] = ...) -> None: ...

class CompleteOperationRequest(_message.Message):
    __slots__ = ("resource", "operation_id", "claim_id", "fencing_token", "result", "error", "cancelled", "release_lease", "request_id")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    CLAIM_ID_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    RELEASE_LEASE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    resource: str
    operation_id: str
    claim_id: str
    fencing_token: int
    result: _any_pb2.Any
    error: _status_pb2.Status
    cancelled: Cancelled
    release_lease: bool
    request_id: str
    def __init__(self, resource: _Optional[str] = ..., operation_id: _Optional[str] = ..., claim_id: _Optional[str] = ..., fencing_token: _Optional[int] = ..., result: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., cancelled: _Optional[_Union[Cancelled, _Mapping]] = ..., release_lease: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class Cancelled(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...

class CompleteOperationResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class YieldOperationRequest(_message.Message):
    __slots__ = ("resource", "operation_id", "claim_id", "fencing_token", "delay", "request_id")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    CLAIM_ID_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    resource: str
    operation_id: str
    claim_id: str
    fencing_token: int
    delay: _duration_pb2.Duration
    request_id: str
    def __init__(self, resource: _Optional[str] = ..., operation_id: _Optional[str] = ..., claim_id: _Optional[str] = ..., fencing_token: _Optional[int] = ..., delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class YieldOperationResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class CancelOperationRequest(_message.Message):
    __slots__ = ("resource", "operation_id", "reason", "request_id")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    resource: str
    operation_id: str
    reason: str
    request_id: str
    def __init__(self, resource: _Optional[str] = ..., operation_id: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class CancelOperationResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class RetryOperationRequest(_message.Message):
    __slots__ = ("resource", "operation_id", "version", "request_id")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    resource: str
    operation_id: str
    version: int
    request_id: str
    def __init__(self, resource: _Optional[str] = ..., operation_id: _Optional[str] = ..., version: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class RetryOperationResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class DeleteOperationRequest(_message.Message):
    __slots__ = ("resource", "operation_id", "version", "request_id")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    resource: str
    operation_id: str
    version: int
    request_id: str
    def __init__(self, resource: _Optional[str] = ..., operation_id: _Optional[str] = ..., version: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteOperationResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: bool
    def __init__(self, deleted: bool = ...) -> None: ...

class WaitOperationRequest(_message.Message):
    __slots__ = ("resource", "operation_id", "wait_timeout")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    resource: str
    operation_id: str
    wait_timeout: _duration_pb2.Duration
    def __init__(self, resource: _Optional[str] = ..., operation_id: _Optional[str] = ..., wait_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WaitOperationResponse(_message.Message):
    __slots__ = ("operation", "done")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    done: bool
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ..., done: bool = ...) -> None: ...

class WatchOperationsRequest(_message.Message):
    __slots__ = ("filter", "with_payloads")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    WITH_PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    filter: _operation_pb2.OperationFilter
    with_payloads: bool
    def __init__(self, filter: _Optional[_Union[_operation_pb2.OperationFilter, _Mapping]] = ..., with_payloads: bool = ...) -> None: ...

class WatchOperationsResponse(_message.Message):
    __slots__ = ("operation", "removed", "snapshot_complete", "heartbeat")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    removed: OperationRemoved
    snapshot_complete: _watch_events_pb2.SnapshotComplete
    heartbeat: _watch_events_pb2.Heartbeat
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ..., removed: _Optional[_Union[OperationRemoved, _Mapping]] = ..., snapshot_complete: _Optional[_Union[_watch_events_pb2.SnapshotComplete, _Mapping]] = ..., heartbeat: _Optional[_Union[_watch_events_pb2.Heartbeat, _Mapping]] = ...) -> None: ...

class OperationRemoved(_message.Message):
    __slots__ = ("resource", "operation_id")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    resource: str
    operation_id: str
    def __init__(self, resource: _Optional[str] = ..., operation_id: _Optional[str] = ...) -> None: ...
