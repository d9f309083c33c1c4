import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from leasehold.v1 import lease_pb2 as _lease_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LockState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOCK_STATE_UNSPECIFIED: _ClassVar[LockState]
    LOCK_STATE_FREE: _ClassVar[LockState]
    LOCK_STATE_HELD: _ClassVar[LockState]
    LOCK_STATE_MIN_HOLD: _ClassVar[LockState]
LOCK_STATE_UNSPECIFIED: LockState
LOCK_STATE_FREE: LockState
LOCK_STATE_HELD: LockState
LOCK_STATE_MIN_HOLD: LockState

class Lock(_message.Message):
    __slots__ = ("resource", "state", "holders", "holder_count", "waiters", "waiter_count", "permits_held", "permits_limit", "min_hold_remaining")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    HOLDERS_FIELD_NUMBER: _ClassVar[int]
    HOLDER_COUNT_FIELD_NUMBER: _ClassVar[int]
    WAITERS_FIELD_NUMBER: _ClassVar[int]
    WAITER_COUNT_FIELD_NUMBER: _ClassVar[int]
    PERMITS_HELD_FIELD_NUMBER: _ClassVar[int]
    PERMITS_LIMIT_FIELD_NUMBER: _ClassVar[int]
    MIN_HOLD_REMAINING_FIELD_NUMBER: _ClassVar[int]
    resource: str
    state: LockState
    holders: _containers.RepeatedCompositeFieldContainer[LockHolder]
    holder_count: int
    waiters: _containers.RepeatedCompositeFieldContainer[LockWaiter]
    waiter_count: int
    permits_held: int
    permits_limit: int
    min_hold_remaining: _duration_pb2.Duration
    def __init__(self, resource: _Optional[str] = ..., state: _Optional[_Union[LockState, str]] = ..., holders: _Optional[_Iterable[_Union[LockHolder, _Mapping]]] = ..., holder_count: _Optional[int] = ..., waiters: _Optional[_Iterable[_Union[LockWaiter, _Mapping]]] = ..., waiter_count: _Optional[int] = ..., permits_held: _Optional[int] = ..., permits_limit: _Optional[int] = ..., min_hold_remaining: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class LockHolder(_message.Message):
    __slots__ = ("lease_id_hash", "owner", "exclusive", "shared", "permits", "fencing_token", "acquire_time", "remaining", "metadata", "revoked")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    LEASE_ID_HASH_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    PERMITS_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ACQUIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    lease_id_hash: str
    owner: str
    exclusive: _lease_pb2.Exclusive
    shared: _lease_pb2.Shared
    permits: _lease_pb2.Permits
    fencing_token: int
    acquire_time: _timestamp_pb2.Timestamp
    remaining: _duration_pb2.Duration
    metadata: _containers.ScalarMap[str, str]
    revoked: bool
    def __init__(self, lease_id_hash: _Optional[str] = ..., owner: _Optional[str] = ..., exclusive: _Optional[_Union[_lease_pb2.Exclusive, _Mapping]] = ..., shared: _Optional[_Union[_lease_pb2.Shared, _Mapping]] = ..., permits: _Optional[_Union[_lease_pb2.Permits, _Mapping]] = ..., fencing_token: _Optional[int] = ..., acquire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., remaining: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., revoked: bool = ...) -> None: ...

class LockWaiter(_message.Message):
    __slots__ = ("lease_id_hash", "owner", "exclusive", "shared", "permits", "queue_time", "absent")
    LEASE_ID_HASH_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    PERMITS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_TIME_FIELD_NUMBER: _ClassVar[int]
    ABSENT_FIELD_NUMBER: _ClassVar[int]
    lease_id_hash: str
    owner: str
    exclusive: _lease_pb2.Exclusive
    shared: _lease_pb2.Shared
    permits: _lease_pb2.Permits
    queue_time: _timestamp_pb2.Timestamp
    absent: bool
    def __init__(self, lease_id_hash: _Optional[str] = ..., owner: _Optional[str] = ..., exclusive: _Optional[_Union[_lease_pb2.Exclusive, _Mapping]] = ..., shared: _Optional[_Union[_lease_pb2.Shared, _Mapping]] = ..., permits: _Optional[_Union[_lease_pb2.Permits, _Mapping]] = ..., queue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., absent: bool = ...) -> None: ...
