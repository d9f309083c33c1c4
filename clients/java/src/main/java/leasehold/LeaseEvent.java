package leasehold;

/**
 * What happened to a lease, for an observer, in order, in the client's own thread: it must not block.
 *
 * @param detail the position in the queue with QUEUED, else why
 */
public record LeaseEvent(Kind kind, String detail) {
  /** What happened. */
  public enum Kind {
    QUEUED,
    GRANTED,
    RENEWED,
    AT_RISK,
    /** Its stream ended or moves; the lease is held on. */
    REOPENED,
    LOST,
    RELEASED
  }
}
