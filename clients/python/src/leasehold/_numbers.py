"""Every number that users give goes through here: one that means nothing is refused before anything is sent.

How large a number may be is the server's business: it refuses a field of the contract, and the error names the option.
"""

from __future__ import annotations

import math
from numbers import Integral, Real

from leasehold.errors import InvalidArgument

#: Of google/protobuf/duration.proto: about 10,000 years.
_MOST_SECONDS = 315_576_000_000
#: No server waits longer; who asks for more means for ever.
_LONGEST_WAIT = 365 * 24 * 3_600.0
_MOST_COUNT = 2**31 - 1
_SHOWN = 40


def span(option: str, value: object) -> float | None:
    """Returns a span that a server counts, in seconds; None is the server's default. Raises InvalidArgument."""
    if value is None:
        return None
    number = _real(value)
    if not 0.0 <= number <= _MOST_SECONDS:
        raise _wrong(option, "must be a finite number of seconds from 0", value)
    return number


def wait(option: str, value: object) -> float:
    """Returns a wait that this client counts, in seconds; math.inf is for ever. Raises InvalidArgument."""
    number = _real(value)
    if not number >= 0.0:
        raise _wrong(option, "must be a number of seconds from 0, or math.inf for ever", value)
    return math.inf if number > _LONGEST_WAIT else number


def count(option: str, value: object, least: int) -> int:
    """Returns a whole number. Raises InvalidArgument."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= _MOST_COUNT:
        raise _wrong(option, f"must be a whole number from {least}", value)
    return int(value)


def _real(value: object) -> float:
    """Returns NaN for what is no number."""
    try:
        return float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.inf


def _wrong(option: str, rule: str, value: object) -> InvalidArgument:
    shown = repr(value)
    if not isinstance(value, (str, bool, Real)) and value is not None or len(shown) > _SHOWN:
        shown = f"a value of the type {type(value).__name__}"
    message = f"{option} {rule}, but it is {shown}"
    return InvalidArgument(message, code="INVALID_ARGUMENT", reason="INVALID_ARGUMENT", fields=[option])
