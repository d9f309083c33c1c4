package leasehold;

import java.util.function.LongSupplier;

/**
 * The deadline rule: until when a holder may act, whatever it has heard or not. Every answer says how long the lease
 * is valid from the arrival of the call at the server; so, from just before the call was sent, it is valid at least
 * that long. A message that was delayed on its way then stretches nothing, and no clocks are compared. Once passed it
 * stays so.
 */
final class Deadline {
  private static final long SMALLEST_MARGIN = 200_000_000L;
  private static final long MILLISECOND = 1_000_000L;

  private final LongSupplier monotonicNanos;
  /** A suspended machine's monotonic clock may stand still; this one does not. */
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

  /** Nanoseconds; 0 when it is over: by the clocks, also where no timer has had its turn. */
  synchronized long remaining() {
    if (isOver || !isSet) {
      return 0;
    }
    long wallLeft = (wallUntilMillis - wallMillis.getAsLong()) * MILLISECOND;
    return Math.max(0, Math.min(untilNanos - monotonicNanos.getAsLong(), wallLeft));
  }

  /** Takes what a server said about a call. It never brings the deadline forward. Says whether the lease is held. */
  synchronized boolean extend(Sent sent, long validForNanos) {
    if (isOver || (isSet && remaining() == 0)) {
      isOver = true;
      return false;
    }
    // What is left when an answer arrives is at most the TTL. Clocks of a machine run apart by less than 0.1 %.
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

  synchronized void end() {
    isOver = true;
  }
}
