package leasehold;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Test;

/** The deadline rule, on clocks that the test moves. */
class DeadlineTest {
  private long nanos = Long.MAX_VALUE - 5; // System.nanoTime may overflow
  private long wallMillis = 1_000_000;
  private final Deadline deadline = new Deadline(() -> nanos, () -> wallMillis);

  private Deadline.Sent sent() {
    return new Deadline.Sent(nanos, wallMillis);
  }

  private void pass(long millis) {
    nanos += Duration.ofMillis(millis).toNanos();
    wallMillis += millis;
  }

  private static long seconds(double seconds) {
    return Math.round(seconds * 1e9);
  }

  @Test
  void aDeadlineCountsFromWhenTheCallWasSent() {
    Deadline.Sent sent = sent();
    pass(60_500);
    assertTrue(deadline.extend(sent, seconds(80.2)));
    // 19.7 s are left of the TTL of 20 s, so the margin is 0.985 s; and 0.1 % of 80.2 s for the drift. The wall clock
    // counts milliseconds.
    assertEquals(seconds(80.2 - 0.0802 - 0.985 - 60.5), deadline.remaining(), 1_000_000);
  }

  @Test
  void aDeadlineNeverComesForward() {
    deadline.extend(sent(), seconds(10));
    long before = deadline.remaining();
    deadline.extend(new Deadline.Sent(nanos - seconds(5), wallMillis - 5_000), seconds(10));
    assertEquals(before, deadline.remaining());
  }

  @Test
  void nothingRevivesALeaseWhoseDeadlineHasPassed() {
    Deadline.Sent sent = sent();
    deadline.extend(sent, seconds(10));
    pass(10_000);
    assertEquals(0, deadline.remaining());
    assertFalse(deadline.extend(sent, seconds(60)));
    assertEquals(0, deadline.remaining());
  }

  @Test
  void aGrantThatArrivesAfterItsDeadlineHoldsNothing() {
    Deadline.Sent sent = sent();
    pass(5_000);
    assertFalse(deadline.extend(sent, seconds(5)));
  }

  @Test
  void theWallClockEndsTheLeaseOfASuspendedMachine() {
    deadline.extend(sent(), seconds(10));
    wallMillis += 60_000;
    assertEquals(0, deadline.remaining());
  }
}
