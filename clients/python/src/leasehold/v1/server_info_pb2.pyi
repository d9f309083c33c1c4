import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from leasehold.v1 import lease_pb2 as _lease_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StoreKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STORE_KIND_UNSPECIFIED: _ClassVar[StoreKind]
    STORE_KIND_MEMORY: _ClassVar[StoreKind]
    STORE_KIND_REDIS: _ClassVar[StoreKind]
STORE_KIND_UNSPECIFIED: StoreKind
STORE_KIND_MEMORY: StoreKind
STORE_KIND_REDIS: StoreKind

class ServerInfo(_message.Message):
    __slots__ = ("version", "instance_id", "store", "serving", "reign", "epoch", "quarantine_remaining", "default_durability", "smallest_advisable_ttl", "limits", "roll_call")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    REIGN_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    QUARANTINE_REMAINING_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_DURABILITY_FIELD_NUMBER: _ClassVar[int]
    SMALLEST_ADVISABLE_TTL_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    ROLL_CALL_FIELD_NUMBER: _ClassVar[int]
    version: str
    instance_id: str
    store: StoreKind
    serving: bool
    reign: str
    epoch: int
    quarantine_remaining: _duration_pb2.Duration
    default_durability: _lease_pb2.Durability
    smallest_advisable_ttl: _duration_pb2.Duration
    limits: ServerLimits
    roll_call: RollCall
    def __init__(self, version: _Optional[str] = ..., instance_id: _Optional[str] = ..., store: _Optional[_Union[StoreKind, str]] = ..., serving: bool = ..., reign: _Optional[str] = ..., epoch: _Optional[int] = ..., quarantine_remaining: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., default_durability: _Optional[_Union[_lease_pb2.Durability, _Mapping]] = ..., smallest_advisable_ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., limits: _Optional[_Union[ServerLimits, _Mapping]] = ..., roll_call: _Optional[_Union[RollCall, _Mapping]] = ...) -> None: ...

class RollCall(_message.Message):
    __slots__ = ("enabled", "newcomer_remaining", "full_quarantine_remaining", "missing_instances", "missing_count", "last_quarantine_end")
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    NEWCOMER_REMAINING_FIELD_NUMBER: _ClassVar[int]
    FULL_QUARANTINE_REMAINING_FIELD_NUMBER: _ClassVar[int]
    MISSING_INSTANCES_FIELD_NUMBER: _ClassVar[int]
    MISSING_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_QUARANTINE_END_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    newcomer_remaining: _duration_pb2.Duration
    full_quarantine_remaining: _duration_pb2.Duration
    missing_instances: _containers.RepeatedCompositeFieldContainer[MissingInstance]
    missing_count: int
    last_quarantine_end: QuarantineEnd
    def __init__(self, enabled: bool = ..., newcomer_remaining: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., full_quarantine_remaining: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., missing_instances: _Optional[_Iterable[_Union[MissingInstance, _Mapping]]] = ..., missing_count: _Optional[int] = ..., last_quarantine_end: _Optional[_Union[QuarantineEnd, _Mapping]] = ...) -> None: ...

class MissingInstance(_message.Message):
    __slots__ = ("instance_id", "host", "unseen")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    UNSEEN_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    host: str
    unseen: _duration_pb2.Duration
    def __init__(self, instance_id: _Optional[str] = ..., host: _Optional[str] = ..., unseen: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class QuarantineEnd(_message.Message):
    __slots__ = ("how", "why", "took")
    class How(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        HOW_UNSPECIFIED: _ClassVar[QuarantineEnd.How]
        HOW_EARLY: _ClassVar[QuarantineEnd.How]
        HOW_FULL: _ClassVar[QuarantineEnd.How]
    HOW_UNSPECIFIED: QuarantineEnd.How
    HOW_EARLY: QuarantineEnd.How
    HOW_FULL: QuarantineEnd.How
    HOW_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    TOOK_FIELD_NUMBER: _ClassVar[int]
    how: QuarantineEnd.How
    why: str
    took: _duration_pb2.Duration
    def __init__(self, how: _Optional[_Union[QuarantineEnd.How, str]] = ..., why: _Optional[str] = ..., took: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ServerLimits(_message.Message):
    __slots__ = ("min_ttl", "max_ttl", "default_ttl", "max_min_hold", "max_max_hold", "max_wait", "max_resource_bytes", "max_owner_bytes", "max_metadata_entries", "max_metadata_key_bytes", "max_metadata_value_bytes", "max_metadata_bytes", "max_permits_limit", "max_acquire_many", "max_keep_alive_leases", "max_queue_length", "max_request_bytes", "max_page_size", "default_page_size", "max_payload_bytes", "max_claim_operations", "default_heartbeat_timeout", "max_max_attempts", "default_max_attempts", "max_retention", "default_retention", "max_operation_time_to_live")
    MIN_TTL_FIELD_NUMBER: _ClassVar[int]
    MAX_TTL_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_TTL_FIELD_NUMBER: _ClassVar[int]
    MAX_MIN_HOLD_FIELD_NUMBER: _ClassVar[int]
    MAX_MAX_HOLD_FIELD_NUMBER: _ClassVar[int]
    MAX_WAIT_FIELD_NUMBER: _ClassVar[int]
    MAX_RESOURCE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_OWNER_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_METADATA_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    MAX_METADATA_KEY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_METADATA_VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_METADATA_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_PERMITS_LIMIT_FIELD_NUMBER: _ClassVar[int]
    MAX_ACQUIRE_MANY_FIELD_NUMBER: _ClassVar[int]
    MAX_KEEP_ALIVE_LEASES_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_REQUEST_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_PAYLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CLAIM_OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_HEARTBEAT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    MAX_MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    MAX_RETENTION_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_RETENTION_FIELD_NUMBER: _ClassVar[int]
    MAX_OPERATION_TIME_TO_LIVE_FIELD_NUMBER: _ClassVar[int]
    min_ttl: _duration_pb2.Duration
    max_ttl: _duration_pb2.Duration
    default_ttl: _duration_pb2.Duration
    max_min_hold: _duration_pb2.Duration
    max_max_hold: _duration_pb2.Duration
    max_wait: _duration_pb2.Duration
    max_resource_bytes: int
    max_owner_bytes: int
    max_metadata_entries: int
    max_metadata_key_bytes: int
    max_metadata_value_bytes: int
    max_metadata_bytes: int
    max_permits_limit: int
    max_acquire_many: int
    max_keep_alive_leases: int
    max_queue_length: int
    max_request_bytes: int
    max_page_size: int
    default_page_size: int
    max_payload_bytes: int
    max_claim_operations: int
    default_heartbeat_timeout: _duration_pb2.Duration
    max_max_attempts: int
    default_max_attempts: int
    max_retention: _duration_pb2.Duration
    default_retention: _duration_pb2.Duration
    max_operation_time_to_live: _duration_pb2.Duration
    def __init__(self, min_ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., default_ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_min_hold: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_max_hold: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_resource_bytes: _Optional[int] = ..., max_owner_bytes: _Optional[int] = ..., max_metadata_entries: _Optional[int] = ..., max_metadata_key_bytes: _Optional[int] = ..., max_metadata_value_bytes: _Optional[int] = ..., max_metadata_bytes: _Optional[int] = ..., max_permits_limit: _Optional[int] = ..., max_acquire_many: _Optional[int] = ..., max_keep_alive_leases: _Optional[int] = ..., max_queue_length: _Optional[int] = ..., max_request_bytes: _Optional[int] = ..., max_page_size: _Optional[int] = ..., default_page_size: _Optional[int] = ..., max_payload_bytes: _Optional[int] = ..., max_claim_operations: _Optional[int] = ..., default_heartbeat_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_max_attempts: _Optional[int] = ..., default_max_attempts: _Optional[int] = ..., max_retention: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., default_retention: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_operation_time_to_live: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
