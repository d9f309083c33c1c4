"""The payloads of operations, which the server never unpacks.

Clients write plain data as google.protobuf.Value, so that a worker in another language can read it, and protobuf
messages as they are.
"""

from __future__ import annotations

from typing import Any, cast

from google.protobuf import any_pb2, json_format, message, struct_pb2


def to_any(payload: object) -> any_pb2.Any:
    """Packs None, JSON data, a protobuf message, or an Any, which stays as it is.

    Raises json_format.ParseError for anything else.
    """
    packed = any_pb2.Any()
    if payload is None:
        return packed
    if isinstance(payload, any_pb2.Any):
        return payload
    # The bytes must be deterministic: by them the server tells whether a Begin is a repeat, and a map has no order.
    if isinstance(payload, message.Message):
        packed.Pack(payload, deterministic=True)
        return packed
    value = struct_pb2.Value()
    try:
        # The stub of ParseDict only knows objects, but a Value is any JSON.
        json_format.ParseDict(cast(Any, payload), value)
    except json_format.ParseError as error:
        raise json_format.ParseError(
            f"data, progress and results must be JSON data or a protobuf message, not {type(payload).__name__}: {error}"
        ) from error
    packed.Pack(value, deterministic=True)
    return packed


def from_any(packed: any_pb2.Any) -> object:
    """Returns plain data for a Value, None for an empty Any, else the Any itself, for the caller to unpack."""
    if not packed.type_url:
        return None
    value = struct_pb2.Value()
    if not packed.Unpack(value):
        return packed
    return _whole(json_format.MessageToDict(value))


def _whole(data: object) -> object:
    """Turns whole numbers back into ints: a Value has only doubles."""
    if isinstance(data, float) and data.is_integer():
        return int(data)
    if isinstance(data, list):
        return [_whole(item) for item in data]
    if isinstance(data, dict):
        return {key: _whole(item) for key, item in data.items()}
    return data
