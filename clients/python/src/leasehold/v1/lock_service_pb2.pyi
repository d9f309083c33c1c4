import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from leasehold.v1 import lease_pb2 as _lease_pb2
from leasehold.v1 import lease_events_pb2 as _lease_events_pb2
from leasehold.v1 import lock_pb2 as _lock_pb2
from leasehold.v1 import lock_contention_pb2 as _lock_contention_pb2
from leasehold.v1 import server_info_pb2 as _server_info_pb2
from leasehold.v1 import watch_events_pb2 as _watch_events_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AcquireRequest(_message.Message):
    __slots__ = ("spec", "wait_timeout", "wait_forever")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    WAIT_FOREVER_FIELD_NUMBER: _ClassVar[int]
    spec: _lease_pb2.LeaseSpec
    wait_timeout: _duration_pb2.Duration
    wait_forever: bool
    def __init__(self, spec: _Optional[_Union[_lease_pb2.LeaseSpec, _Mapping]] = ..., wait_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., wait_forever: bool = ...) -> None: ...

class AcquireResponse(_message.Message):
    __slots__ = ("lease",)
    LEASE_FIELD_NUMBER: _ClassVar[int]
    lease: _lease_pb2.Lease
    def __init__(self, lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ...) -> None: ...

class AcquireManyRequest(_message.Message):
    __slots__ = ("specs", "wait_timeout", "wait_forever")
    SPECS_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    WAIT_FOREVER_FIELD_NUMBER: _ClassVar[int]
    specs: _containers.RepeatedCompositeFieldContainer[_lease_pb2.LeaseSpec]
    wait_timeout: _duration_pb2.Duration
    wait_forever: bool
    def __init__(self, specs: _Optional[_Iterable[_Union[_lease_pb2.LeaseSpec, _Mapping]]] = ..., wait_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., wait_forever: bool = ...) -> None: ...

class AcquireManyResponse(_message.Message):
    __slots__ = ("leases",)
    LEASES_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[_lease_pb2.Lease]
    def __init__(self, leases: _Optional[_Iterable[_Union[_lease_pb2.Lease, _Mapping]]] = ...) -> None: ...

class HoldRequest(_message.Message):
    __slots__ = ("spec", "wait_timeout", "wait_forever", "renew_for")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    WAIT_FOREVER_FIELD_NUMBER: _ClassVar[int]
    RENEW_FOR_FIELD_NUMBER: _ClassVar[int]
    spec: _lease_pb2.LeaseSpec
    wait_timeout: _duration_pb2.Duration
    wait_forever: bool
    renew_for: _duration_pb2.Duration
    def __init__(self, spec: _Optional[_Union[_lease_pb2.LeaseSpec, _Mapping]] = ..., wait_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., wait_forever: bool = ..., renew_for: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class HoldResponse(_message.Message):
    __slots__ = ("resource", "lease_id", "queued", "granted", "renewed", "at_risk", "lost", "moved", "draining")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    RENEWED_FIELD_NUMBER: _ClassVar[int]
    AT_RISK_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    resource: str
    lease_id: str
    queued: _lease_events_pb2.Queued
    granted: _lease_pb2.Lease
    renewed: _lease_pb2.Lease
    at_risk: _lease_events_pb2.AtRisk
    lost: _lease_events_pb2.Lost
    moved: _lease_events_pb2.Moved
    draining: _lease_events_pb2.Draining
    def __init__(self, resource: _Optional[str] = ..., lease_id: _Optional[str] = ..., queued: _Optional[_Union[_lease_events_pb2.Queued, _Mapping]] = ..., granted: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., renewed: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., at_risk: _Optional[_Union[_lease_events_pb2.AtRisk, _Mapping]] = ..., lost: _Optional[_Union[_lease_events_pb2.Lost, _Mapping]] = ..., moved: _Optional[_Union[_lease_events_pb2.Moved, _Mapping]] = ..., draining: _Optional[_Union[_lease_events_pb2.Draining, _Mapping]] = ...) -> None: ...

class KeepAliveRequest(_message.Message):
    __slots__ = ("leases", "renew_for")
    LEASES_FIELD_NUMBER: _ClassVar[int]
    RENEW_FOR_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[_lease_pb2.LeaseRef]
    renew_for: _duration_pb2.Duration
    def __init__(self, leases: _Optional[_Iterable[_Union[_lease_pb2.LeaseRef, _Mapping]]] = ..., renew_for: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class KeepAliveResponse(_message.Message):
    __slots__ = ("resource", "lease_id", "renewed", "at_risk", "lost", "moved", "draining")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    RENEWED_FIELD_NUMBER: _ClassVar[int]
    AT_RISK_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    resource: str
    lease_id: str
    renewed: _lease_pb2.Lease
    at_risk: _lease_events_pb2.AtRisk
    lost: _lease_events_pb2.Lost
    moved: _lease_events_pb2.Moved
    draining: _lease_events_pb2.Draining
    def __init__(self, resource: _Optional[str] = ..., lease_id: _Optional[str] = ..., renewed: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ..., at_risk: _Optional[_Union[_lease_events_pb2.AtRisk, _Mapping]] = ..., lost: _Optional[_Union[_lease_events_pb2.Lost, _Mapping]] = ..., moved: _Optional[_Union[_lease_events_pb2.Moved, _Mapping]] = ..., draining: _Optional[_Union[_lease_events_pb2.Draining, _Mapping]] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("resource", "lease_id", "fencing_token", "ttl")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    resource: str
    lease_id: str
    fencing_token: int
    ttl: _duration_pb2.Duration
    def __init__(self, resource: _Optional[str] = ..., lease_id: _Optional[str] = ..., fencing_token: _Optional[int] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RenewResponse(_message.Message):
    __slots__ = ("lease",)
    LEASE_FIELD_NUMBER: _ClassVar[int]
    lease: _lease_pb2.Lease
    def __init__(self, lease: _Optional[_Union[_lease_pb2.Lease, _Mapping]] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("resource", "lease_id")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    resource: str
    lease_id: str
    def __init__(self, resource: _Optional[str] = ..., lease_id: _Optional[str] = ...) -> None: ...

class ReleaseResponse(_message.Message):
    __slots__ = ("released",)
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    released: bool
    def __init__(self, released: bool = ...) -> None: ...

class GetLockRequest(_message.Message):
    __slots__ = ("resource",)
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    resource: str
    def __init__(self, resource: _Optional[str] = ...) -> None: ...

class GetLockResponse(_message.Message):
    __slots__ = ("lock",)
    LOCK_FIELD_NUMBER: _ClassVar[int]
    lock: _lock_pb2.Lock
    def __init__(self, lock: _Optional[_Union[_lock_pb2.Lock, _Mapping]] = ...) -> None: ...

class ListLocksRequest(_message.Message):
    __slots__ = ("resource_prefix", "owner", "states", "page_size", "page_token")
    RESOURCE_PREFIX_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    resource_prefix: str
    owner: str
    states: _containers.RepeatedScalarFieldContainer[_lock_pb2.LockState]
    page_size: int
    page_token: str
    def __init__(self, resource_prefix: _Optional[str] = ..., owner: _Optional[str] = ..., states: _Optional[_Iterable[_Union[_lock_pb2.LockState, str]]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLocksResponse(_message.Message):
    __slots__ = ("locks", "next_page_token")
    LOCKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    locks: _containers.RepeatedCompositeFieldContainer[_lock_pb2.Lock]
    next_page_token: str
    def __init__(self, locks: _Optional[_Iterable[_Union[_lock_pb2.Lock, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchLocksRequest(_message.Message):
    __slots__ = ("resources", "resource_prefix")
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_PREFIX_FIELD_NUMBER: _ClassVar[int]
    resources: _containers.RepeatedScalarFieldContainer[str]
    resource_prefix: str
    def __init__(self, resources: _Optional[_Iterable[str]] = ..., resource_prefix: _Optional[str] = ...) -> None: ...

class WatchLocksResponse(_message.Message):
    __slots__ = ("lock", "snapshot_complete", "heartbeat")
    LOCK_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    lock: _lock_pb2.Lock
    snapshot_complete: _watch_events_pb2.SnapshotComplete
    heartbeat: _watch_events_pb2.Heartbeat
    def __init__(self, lock: _Optional[_Union[_lock_pb2.Lock, _Mapping]] = ..., snapshot_complete: _Optional[_Union[_watch_events_pb2.SnapshotComplete, _Mapping]] = ..., heartbeat: _Optional[_Union[_watch_events_pb2.Heartbeat, _Mapping]] = ...) -> None: ...

class CheckFencingTokenRequest(_message.Message):
    __slots__ = ("resource", "fencing_token")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    resource: str
    fencing_token: int
    def __init__(self, resource: _Optional[str] = ..., fencing_token: _Optional[int] = ...) -> None: ...

class CheckFencingTokenResponse(_message.Message):
    __slots__ = ("valid",)
    VALID_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    def __init__(self, valid: bool = ...) -> None: ...

class ForceReleaseRequest(_message.Message):
    __slots__ = ("resource", "fencing_token", "immediate", "reason")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    IMMEDIATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    resource: str
    fencing_token: int
    immediate: bool
    reason: str
    def __init__(self, resource: _Optional[str] = ..., fencing_token: _Optional[int] = ..., immediate: bool = ..., reason: _Optional[str] = ...) -> None: ...

class ForceReleaseResponse(_message.Message):
    __slots__ = ("released_count", "free_in")
    RELEASED_COUNT_FIELD_NUMBER: _ClassVar[int]
    FREE_IN_FIELD_NUMBER: _ClassVar[int]
    released_count: int
    free_in: _duration_pb2.Duration
    def __init__(self, released_count: _Optional[int] = ..., free_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ListContendedLocksRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class ListContendedLocksResponse(_message.Message):
    __slots__ = ("locks", "window", "coverage")
    LOCKS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    locks: _containers.RepeatedCompositeFieldContainer[_lock_contention_pb2.ContendedLock]
    window: _duration_pb2.Duration
    coverage: _lock_contention_pb2.ContentionCoverage
    def __init__(self, locks: _Optional[_Iterable[_Union[_lock_contention_pb2.ContendedLock, _Mapping]]] = ..., window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., coverage: _Optional[_Union[_lock_contention_pb2.ContentionCoverage, _Mapping]] = ...) -> None: ...

class ListSuspectedDeadlocksRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListSuspectedDeadlocksResponse(_message.Message):
    __slots__ = ("deadlocks", "partial", "coverage")
    DEADLOCKS_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    deadlocks: _containers.RepeatedCompositeFieldContainer[_lock_contention_pb2.SuspectedDeadlock]
    partial: bool
    coverage: _lock_contention_pb2.ContentionCoverage
    def __init__(self, deadlocks: _Optional[_Iterable[_Union[_lock_contention_pb2.SuspectedDeadlock, _Mapping]]] = ..., partial: bool = ..., coverage: _Optional[_Union[_lock_contention_pb2.ContentionCoverage, _Mapping]] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("info",)
    INFO_FIELD_NUMBER: _ClassVar[int]
    info: _server_info_pb2.ServerInfo
    def __init__(self, info: _Optional[_Union[_server_info_pb2.ServerInfo, _Mapping]] = ...) -> None: ...
