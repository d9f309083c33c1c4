import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LeaseSpec(_message.Message):
    __slots__ = ("resource", "lease_id", "owner", "ttl", "exclusive", "shared", "permits", "metadata", "min_hold", "max_hold", "durability")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    PERMITS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    MIN_HOLD_FIELD_NUMBER: _ClassVar[int]
    MAX_HOLD_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    resource: str
    lease_id: str
    owner: str
    ttl: _duration_pb2.Duration
    exclusive: Exclusive
    shared: Shared
    permits: Permits
    metadata: _containers.ScalarMap[str, str]
    min_hold: _duration_pb2.Duration
    max_hold: _duration_pb2.Duration
    durability: Durability
    def __init__(self, resource: _Optional[str] = ..., lease_id: _Optional[str] = ..., owner: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., exclusive: _Optional[_Union[Exclusive, _Mapping]] = ..., shared: _Optional[_Union[Shared, _Mapping]] = ..., permits: _Optional[_Union[Permits, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., min_hold: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_hold: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., durability: _Optional[_Union[Durability, _Mapping]] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("resource", "lease_id", "fencing_token", "valid_for", "expire_time", "achieved_durability", "permits_limit")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    FENCING_TOKEN_FIELD_NUMBER: _ClassVar[int]
    VALID_FOR_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ACHIEVED_DURABILITY_FIELD_NUMBER: _ClassVar[int]
    PERMITS_LIMIT_FIELD_NUMBER: _ClassVar[int]
    resource: str
    lease_id: str
    fencing_token: int
    valid_for: _duration_pb2.Duration
    expire_time: _timestamp_pb2.Timestamp
    achieved_durability: Durability
    permits_limit: int
    def __init__(self, resource: _Optional[str] = ..., lease_id: _Optional[str] = ..., fencing_token: _Optional[int] = ..., valid_for: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., achieved_durability: _Optional[_Union[Durability, _Mapping]] = ..., permits_limit: _Optional[int] = ...) -> None: ...

class LeaseRef(_message.Message):
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

class Exclusive(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Shared(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Permits(_message.Message):
    __slots__ = ("permits", "limit")
    PERMITS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    permits: int
    limit: int
    def __init__(self, permits: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class Durability(_message.Message):
    __slots__ = ("asynchronous", "replicated")
    ASYNCHRONOUS_FIELD_NUMBER: _ClassVar[int]
    REPLICATED_FIELD_NUMBER: _ClassVar[int]
    asynchronous: Asynchronous
    replicated: Replicated
    def __init__(self, asynchronous: _Optional[_Union[Asynchronous, _Mapping]] = ..., replicated: _Optional[_Union[Replicated, _Mapping]] = ...) -> None: ...

class Asynchronous(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Replicated(_message.Message):
    __slots__ = ("min_acks",)
    MIN_ACKS_FIELD_NUMBER: _ClassVar[int]
    min_acks: int
    def __init__(self, min_acks: _Optional[int] = ...) -> None: ...
