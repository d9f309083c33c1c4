import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AtRiskReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AT_RISK_REASON_UNSPECIFIED: _ClassVar[AtRiskReason]
    AT_RISK_REASON_STORE_UNAVAILABLE: _ClassVar[AtRiskReason]
    AT_RISK_REASON_PRIMARY_UNCONFIRMED: _ClassVar[AtRiskReason]
    AT_RISK_REASON_DURABILITY_UNMET: _ClassVar[AtRiskReason]
    AT_RISK_REASON_MAX_HOLD: _ClassVar[AtRiskReason]
    AT_RISK_REASON_RENEW_FOR: _ClassVar[AtRiskReason]

class LostReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOST_REASON_UNSPECIFIED: _ClassVar[LostReason]
    LOST_REASON_EXPIRED: _ClassVar[LostReason]
    LOST_REASON_RELEASED: _ClassVar[LostReason]
    LOST_REASON_FORCE_RELEASED: _ClassVar[LostReason]
    LOST_REASON_MAX_HOLD: _ClassVar[LostReason]
    LOST_REASON_UNKNOWN_LEASE: _ClassVar[LostReason]
AT_RISK_REASON_UNSPECIFIED: AtRiskReason
AT_RISK_REASON_STORE_UNAVAILABLE: AtRiskReason
AT_RISK_REASON_PRIMARY_UNCONFIRMED: AtRiskReason
AT_RISK_REASON_DURABILITY_UNMET: AtRiskReason
AT_RISK_REASON_MAX_HOLD: AtRiskReason
AT_RISK_REASON_RENEW_FOR: AtRiskReason
LOST_REASON_UNSPECIFIED: LostReason
LOST_REASON_EXPIRED: LostReason
LOST_REASON_RELEASED: LostReason
LOST_REASON_FORCE_RELEASED: LostReason
LOST_REASON_MAX_HOLD: LostReason
LOST_REASON_UNKNOWN_LEASE: LostReason

class Queued(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: int
    def __init__(self, position: _Optional[int] = ...) -> None: ...

class AtRisk(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: AtRiskReason
    def __init__(self, reason: _Optional[_Union[AtRiskReason, str]] = ...) -> None: ...

class Lost(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: LostReason
    def __init__(self, reason: _Optional[_Union[LostReason, str]] = ...) -> None: ...

class Moved(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Draining(_message.Message):
    __slots__ = ("move_within",)
    MOVE_WITHIN_FIELD_NUMBER: _ClassVar[int]
    move_within: _duration_pb2.Duration
    def __init__(self, move_within: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
