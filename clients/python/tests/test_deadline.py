"""The deadline rule, on clocks that the test moves."""

from __future__ import annotations

import pytest

from leasehold._deadline import Clock, Deadline, Sent


class Time:
    def __init__(self) -> None:
        self.monotonic = 100.0
        self.wall = 1_000_000.0
        self.clock = Clock(lambda: self.monotonic, lambda: self.wall)

    def passes(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


def test_a_deadline_counts_from_when_the_call_was_sent() -> None:
    # The example of docs/clients.md: sent at 100.0, granted after a minute in the queue, 80.2 s after arrival.
    time = Time()
    deadline = Deadline(time.clock)
    sent = time.clock.sent()
    time.passes(60.5)
    assert deadline.extend(sent, 80.2)
    # 19.7 s are left of the TTL of 20 s, so the margin is 0.985 s.
    assert deadline.remaining() == pytest.approx(80.2 * 0.999 - 0.985 - 60.5, abs=1e-6)


def test_the_margin_of_a_deadline_is_at_least_200_ms() -> None:
    time = Time()
    deadline = Deadline(time.clock)
    deadline.extend(time.clock.sent(), 2.0)
    assert deadline.remaining() == pytest.approx(1.998 - 0.2, abs=1e-6)


def test_a_deadline_never_comes_forward() -> None:
    time = Time()
    deadline = Deadline(time.clock)
    deadline.extend(time.clock.sent(), 10.0)
    before = deadline.remaining()
    deadline.extend(Sent(time.monotonic - 5.0, time.wall - 5.0), 10.0)
    assert deadline.remaining() == before


def test_nothing_revives_a_lease_whose_deadline_has_passed() -> None:
    time = Time()
    deadline = Deadline(time.clock)
    sent = time.clock.sent()
    deadline.extend(sent, 10.0)
    time.passes(10.0)
    assert deadline.remaining() == 0.0
    assert not deadline.extend(sent, 60.0)
    assert deadline.remaining() == 0.0


def test_a_grant_that_arrives_after_its_deadline_holds_nothing() -> None:
    time = Time()
    deadline = Deadline(time.clock)
    sent = time.clock.sent()
    time.passes(5.0)
    assert not deadline.extend(sent, 5.0)


def test_the_wall_clock_ends_the_lease_of_a_suspended_machine() -> None:
    time = Time()
    deadline = Deadline(time.clock)
    deadline.extend(time.clock.sent(), 10.0)
    time.wall += 60.0  # the monotonic clock stood still
    assert deadline.remaining() == 0.0
