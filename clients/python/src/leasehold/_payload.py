"""Payloads of operations. The server never unpacks them; clients write plain data as google.protobuf.Value, so that a
worker in another language reads it, and protobuf messages as what they are.
"""

from __future__ import annotations

from typing import Any, cast

from google.protobuf import any_pb2, json_format, message, struct_pb2


def to_any(payload: object) -> any_pb2.Any:
    """``payload``: None, what JSON can say, a protobuf message, or an Any as it is."""
    packed = any_pb2.Any()
    if payload is None:
        return packed
    if isinstance(payload, any_pb2.Any):
        return payload
    # Deterministic: by the bytes of its data the server tells whether a Begin is a repeat, and a map has no order.
    if isinstance(payload, message.Message):
        packed.Pack(payload, deterministic=True)
        return packed
    value = struct_pb2.Value()
    # Its stub only knows objects; a Value is any JSON.
    json_format.ParseDict(cast(Any, payload), value)
    packed.Pack(value, deterministic=True)
    return packed


def from_any(packed: any_pb2.Any) -> object:
    """Plain data if it is a Value, None if it is empty; else the Any, for the caller to unpack."""
    if not packed.type_url:
        return None
    value = struct_pb2.Value()
    if not packed.Unpack(value):
        return packed
    return _whole(json_format.MessageToDict(value))


def _whole(data: object) -> object:
    """A Value has only doubles; what was an int comes back as one."""
    if isinstance(data, float) and data.is_integer():
        return int(data)
    if isinstance(data, list):
        return [_whole(item) for item in data]
    if isinstance(data, dict):
        return {key: _whole(item) for key, item in data.items()}
    return data
