package leasehold;

/**
 * Something that happened to a lease. An observer hears these events in order, in the client's own thread: it must not
 * block.
 *
 * @param kind what happened
 * @param detail with QUEUED the position in the queue, from 1 (0 while it isn't known); else why, or empty
 */
public record LeaseEvent(Kind kind, String detail) {
  /** The kinds of events. */
  public enum Kind {
    QUEUED,
    GRANTED,
    RENEWED,
    AT_RISK,
    /** The lease's stream ended or moves; the lease is still held. */
    REOPENED,
    LOST,
    RELEASED
  }
}
