"""The deadline rule: until when a holder can act, whatever it has heard or not.

Every answer says how long the lease is valid, counted from the arrival of the call at the server. Counted from just
before the call was sent, it is valid at least that long. So a message that is delayed on its way stretches nothing, and
nothing compares the clocks of two machines.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

#: Seconds.
SMALLEST_MARGIN = 0.2
#: The clocks of two machines drift apart by less than this part of the time that they measure.
DRIFT = 0.001


@dataclass(frozen=True)
class Sent:
    """When a call was sent, on both clocks, in seconds."""

    monotonic: float
    wall: float


@dataclass(frozen=True)
class Clock:
    """The two clocks of this machine, in seconds."""

    monotonic: Callable[[], float] = time.monotonic
    #: The monotonic clock of a suspended machine may stand still; this one does not.
    wall: Callable[[], float] = time.time

    def sent(self) -> Sent:
        return Sent(self.monotonic(), self.wall())


class Deadline:
    """Until when one lease or attempt is held. All times are in seconds.

    Once it has passed it stays so: nothing that arrives later revives it. Any thread can read it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deadlines: tuple[float, float] | None = None
        self._ttl = 0.0
        self._is_over = False

    @property
    def ttl(self) -> float:
        """The most seconds that were left when an answer arrived: about the TTL."""
        return self._ttl

    def remaining(self) -> float:
        """Returns the seconds that are left, 0.0 when it is over: by the clocks, even if no timer has run."""
        deadlines = self._deadlines
        if self._is_over or deadlines is None:
            return 0.0
        left = min(deadlines[0] - self._clock.monotonic(), deadlines[1] - self._clock.wall())
        return max(0.0, left)

    def extend(self, sent: Sent, valid_for: float) -> bool:
        """Takes the ``valid_for`` of an answer to a call; it never brings the deadline forward.

        Returns whether the lease is held.
        """
        if self._is_over or (self._deadlines is not None and self.remaining() == 0.0):
            self._is_over = True
            return False
        # The time that is left when an answer arrives is at most the TTL.
        self._ttl = max(self._ttl, valid_for - (self._clock.monotonic() - sent.monotonic))
        valid = valid_for * (1 - DRIFT) - max(SMALLEST_MARGIN, self._ttl / 20)
        before = self._deadlines or (float("-inf"), float("-inf"))
        if sent.monotonic + valid > before[0]:
            self._deadlines = (sent.monotonic + valid, max(before[1], sent.wall + valid))
        if self.remaining() == 0.0:
            self._is_over = True
        return not self._is_over

    def end(self) -> None:
        """Ends it now, for good."""
        self._is_over = True
