package leasehold;

import java.time.Duration;
import java.util.Map;
import java.util.UUID;
import java.util.function.Consumer;
import leasehold.v1.LeaseSpec;
import leasehold.v1.Permits;
import leasehold.v1.Shared;

/**
 * The options of a lease. Begin with {@link #DEFAULT}, which is exclusive and waits up to 30 s; each method returns
 * changed options. Null stands for the default; a number that means nothing is refused at once
 * ({@link LeaseholdException.InvalidArgument}).
 */
public record LockOptions(
    Duration ttl,
    Duration waitFor,
    Duration timeout,
    String owner,
    boolean shared,
    int permits,
    int limit,
    String leaseId,
    Duration minHold,
    Duration maxHold,
    Map<String, String> metadata,
    Consumer<LeaseEvent> observer) {

  /** A wait without an end. */
  public static final Duration FOREVER = Duration.ofDays(365);

  /** Exclusive, with a wait of up to 30 s. */
  public static final LockOptions DEFAULT =
      new LockOptions(
          null, null, null, null, false, 0, 0, null, null, null, Map.of(), event -> {});

  /**
   * Takes each option. Users call {@link #DEFAULT} and its methods.
   *
   * @throws LeaseholdException.InvalidArgument for a number that means nothing
   */
  public LockOptions {
    ttl = Numbers.aboveZero("withTtl", ttl);
    waitFor = waitFor == null ? Duration.ofSeconds(30) : Numbers.wait("withWait", waitFor);
    timeout = timeout == null ? null : Numbers.wait("withTimeout", timeout);
    minHold = Numbers.span("withHold(minHold)", minHold);
    maxHold = Numbers.aboveZero("withHold(maxHold)", maxHold);
    if (permits != 0 || limit != 0) {
      Numbers.count("withPermits(permits)", permits, 1);
      Numbers.count("withPermits(limit)", limit, 1);
    }
    metadata = metadata == null ? Map.of() : metadata;
    observer = observer == null ? event -> {} : observer;
  }

  /** Sets how long the lease outlives a dead holder; the server's default if not given. */
  public LockOptions withTtl(Duration ttl) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /**
   * Sets how long to queue for the lease: {@link Duration#ZERO} for not at all, {@link #FOREVER} for ever; 30 s if not
   * given.
   */
  public LockOptions withWait(Duration waitFor) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /**
   * Sets how long all of it may take, the wait included. If not given: as long as the wait; without a wait, until the
   * client has asked each server once, 10 s at most.
   */
  public LockOptions withTimeout(Duration timeout) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /** Sets the name that tells people who holds the lease; the client's owner if not given. */
  public LockOptions withOwner(String owner) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /** Asks for a lease that others can share, instead of an exclusive one. */
  public LockOptions asShared() {
    return new LockOptions(
        ttl, waitFor, timeout, owner, true, 0, 0, leaseId, minHold, maxHold, metadata, observer);
  }

  /** Takes some of the {@code limit} permits of the resource, at least 1, instead of an exclusive lease. */
  public LockOptions withPermits(int permits, int limit) {
    Numbers.count("withPermits(permits)", permits, 1);
    return new LockOptions(
        ttl, waitFor, timeout, owner, false, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /** Repeats an earlier acquisition; a new random UUID if not given. */
  public LockOptions withLeaseId(String leaseId) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /**
   * Keeps the resource taken for at least {@code minHold}, even if the lease is released sooner, and ends the lease
   * after {@code maxHold}, however often it is renewed. Null sets no such bound.
   */
  public LockOptions withHold(Duration minHold, Duration maxHold) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /** Sets metadata for people who look at the lock. */
  public LockOptions withMetadata(Map<String, String> metadata) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /** Sets an observer of the lease, which runs in the client's own thread: it must not block. */
  public LockOptions withObserver(Consumer<LeaseEvent> observer) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  LeaseSpec spec(String resource, String defaultOwner) {
    LeaseSpec.Builder spec =
        LeaseSpec.newBuilder()
            .setResource(resource)
            .setLeaseId(leaseId == null ? UUID.randomUUID().toString() : leaseId)
            .setOwner(owner == null ? defaultOwner : owner)
            .putAllMetadata(metadata);
    if (ttl != null) {
      spec.setTtl(proto(ttl));
    }
    if (minHold != null) {
      spec.setMinHold(proto(minHold));
    }
    if (maxHold != null) {
      spec.setMaxHold(proto(maxHold));
    }
    if (shared) {
      spec.setShared(Shared.getDefaultInstance());
    } else if (permits != 0 || limit != 0) {
      spec.setPermits(Permits.newBuilder().setPermits(permits).setLimit(limit));
    }
    return spec.build();
  }

  static com.google.protobuf.Duration proto(Duration duration) {
    return com.google.protobuf.Duration.newBuilder()
        .setSeconds(duration.getSeconds())
        .setNanos(duration.getNano())
        .build();
  }
}
