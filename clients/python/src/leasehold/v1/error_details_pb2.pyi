import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from leasehold.v1 import lock_pb2 as _lock_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ContentionReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTENTION_REASON_UNSPECIFIED: _ClassVar[ContentionReason]
    CONTENTION_REASON_HELD: _ClassVar[ContentionReason]
    CONTENTION_REASON_MIN_HOLD: _ClassVar[ContentionReason]
    CONTENTION_REASON_QUEUED_AHEAD: _ClassVar[ContentionReason]
CONTENTION_REASON_UNSPECIFIED: ContentionReason
CONTENTION_REASON_HELD: ContentionReason
CONTENTION_REASON_MIN_HOLD: ContentionReason
CONTENTION_REASON_QUEUED_AHEAD: ContentionReason

class Contention(_message.Message):
    __slots__ = ("resource", "holders", "time_left", "queue_length", "reason")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    HOLDERS_FIELD_NUMBER: _ClassVar[int]
    TIME_LEFT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    resource: str
    holders: _containers.RepeatedCompositeFieldContainer[_lock_pb2.LockHolder]
    time_left: _duration_pb2.Duration
    queue_length: int
    reason: ContentionReason
    def __init__(self, resource: _Optional[str] = ..., holders: _Optional[_Iterable[_Union[_lock_pb2.LockHolder, _Mapping]]] = ..., time_left: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., queue_length: _Optional[int] = ..., reason: _Optional[_Union[ContentionReason, str]] = ...) -> None: ...
