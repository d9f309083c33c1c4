package leasehold;

import java.util.function.LongSupplier;

/**
 * The deadline rule: until when a holder can act, also if it hears nothing. Every answer says how long the lease is
 * valid, counted from the arrival of the call at the server. Counted from just before the call was sent, it is valid at
 * least that long. So a message that is delayed on its way stretches nothing, and nothing compares the clocks of two
 * machines. Once the deadline has passed it stays so.
 */
final class Deadline {
  private static final long SMALLEST_MARGIN = 200_000_000L;
  private static final long MILLISECOND = 1_000_000L;

  private final LongSupplier monotonicNanos;
  /** The monotonic clock of a suspended machine may stand still; this one does not. */
  private final LongSupplier wallMillis;

  private boolean isSet;
  private boolean isOver;
  private long untilNanos;
  private long wallUntilMillis;
  private long ttlNanos;

  /** When a call was sent, on both clocks. */
  record Sent(long monotonicNanos, long wallMillis) {}

  Deadline(LongSupplier monotonicNanos, LongSupplier wallMillis) {
    this.monotonicNanos = monotonicNanos;
    this.wallMillis = wallMillis;
  }

  static Deadline ofSystemClocks() {
    return new Deadline(System::nanoTime, System::currentTimeMillis);
  }

  static Sent now() {
    return new Sent(System.nanoTime(), System.currentTimeMillis());
  }

  /** Returns nanoseconds, 0 when it is over: by the clocks, even if no timer has run. */
  synchronized long remaining() {
    if (isOver || !isSet) {
      return 0;
    }
    long wallLeft = (wallUntilMillis - wallMillis.getAsLong()) * MILLISECOND;
    return Math.max(0, Math.min(untilNanos - monotonicNanos.getAsLong(), wallLeft));
  }

  /** Returns how many nanoseconds are left at most when an answer arrives: the TTL, as far as this client knows. */
  synchronized long ttl() {
    return ttlNanos;
  }

  /**
   * Takes the {@code valid_for} of an answer to a call; it never brings the deadline forward.
   *
   * @return whether the lease is held
   */
  synchronized boolean extend(Sent sent, long validForNanos) {
    if (isOver || (isSet && remaining() == 0)) {
      isOver = true;
      return false;
    }
    // The time that is left when an answer arrives is at most the TTL. The clocks of two machines drift apart by less
    // than 0.1 %.
    ttlNanos = Math.max(ttlNanos, validForNanos - (monotonicNanos.getAsLong() - sent.monotonicNanos()));
    long valid = validForNanos - validForNanos / 1_000 - Math.max(SMALLEST_MARGIN, ttlNanos / 20);
    long until = sent.monotonicNanos() + valid;
    if (!isSet || until - untilNanos > 0) {
      long wallUntil = sent.wallMillis() + Math.floorDiv(valid, MILLISECOND);
      wallUntilMillis = isSet ? Math.max(wallUntilMillis, wallUntil) : wallUntil;
      untilNanos = until;
      isSet = true;
    }
    isOver = remaining() == 0;
    return !isOver;
  }

  /** Ends it now, for good. */
  synchronized void end() {
    isOver = true;
  }
}
