import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from leasehold.v1 import lock_pb2 as _lock_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ContendedLock(_message.Message):
    __slots__ = ("lock", "total_wait", "wait_error", "wait_count", "longest_wait", "hold_count", "total_hold")
    LOCK_FIELD_NUMBER: _ClassVar[int]
    TOTAL_WAIT_FIELD_NUMBER: _ClassVar[int]
    WAIT_ERROR_FIELD_NUMBER: _ClassVar[int]
    WAIT_COUNT_FIELD_NUMBER: _ClassVar[int]
    LONGEST_WAIT_FIELD_NUMBER: _ClassVar[int]
    HOLD_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_HOLD_FIELD_NUMBER: _ClassVar[int]
    lock: _lock_pb2.Lock
    total_wait: _duration_pb2.Duration
    wait_error: _duration_pb2.Duration
    wait_count: int
    longest_wait: _duration_pb2.Duration
    hold_count: int
    total_hold: _duration_pb2.Duration
    def __init__(self, lock: _Optional[_Union[_lock_pb2.Lock, _Mapping]] = ..., total_wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., wait_error: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., wait_count: _Optional[int] = ..., longest_wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., hold_count: _Optional[int] = ..., total_hold: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SuspectedDeadlock(_message.Message):
    __slots__ = ("members",)
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    members: _containers.RepeatedCompositeFieldContainer[DeadlockMember]
    def __init__(self, members: _Optional[_Iterable[_Union[DeadlockMember, _Mapping]]] = ...) -> None: ...

class DeadlockMember(_message.Message):
    __slots__ = ("owner", "held_resource", "fencing_token", "lease_id_hash", "awaited_resource", "wait_since", "waited")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    HELD_RESOURCE_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_HASH_FIELD_NUMBER: _ClassVar[int]
    AWAITED_RESOURCE_FIELD_NUMBER: _ClassVar[int]
    WAIT_SINCE_FIELD_NUMBER: _ClassVar[int]
    WAITED_FIELD_NUMBER: _ClassVar[int]
    owner: str
    held_resource: str
    fencing_token: int
    lease_id_hash: str
    awaited_resource: str
    wait_since: _timestamp_pb2.Timestamp
    waited: _duration_pb2.Duration
    def __init__(self, owner: _Optional[str] = ..., held_resource: _Optional[str] = ..., fencing_token: _Optional[int] = ..., lease_id_hash: _Optional[str] = ..., awaited_resource: _Optional[str] = ..., wait_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., waited: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ContentionCoverage(_message.Message):
    __slots__ = ("server_count", "oldest_report")
    SERVER_COUNT_FIELD_NUMBER: _ClassVar[int]
    OLDEST_REPORT_FIELD_NUMBER: _ClassVar[int]
    server_count: int
    oldest_report: _duration_pb2.Duration
    def __init__(self, server_count: _Optional[int] = ..., oldest_report: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
