package leasehold;

import java.time.Duration;
import java.util.Map;
import java.util.UUID;
import java.util.function.Consumer;
import leasehold.v1.LeaseSpec;
import leasehold.v1.Permits;
import leasehold.v1.Shared;

/**
 * What is asked for; each method answers with changed options. {@code LockOptions.DEFAULT} is exclusive, without a
 * wait.
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

  public static final LockOptions DEFAULT =
      new LockOptions(
          null, Duration.ZERO, Duration.ofSeconds(10), null, false, 0, 0, null, null, null, Map.of(), event -> {});

  /** How long the lease outlives a dead holder. The server's default if not given. */
  public LockOptions withTtl(Duration ttl) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /** How long to queue for it. Not given: not at all, {@link LeaseholdException.Contended} then. */
  public LockOptions withWait(Duration waitFor) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /** How long servers are asked when there is no wait; 10 s if not given. */
  public LockOptions withTimeout(Duration timeout) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /** Tells people who holds it. */
  public LockOptions withOwner(String owner) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /** Together with other shared leases, but not with an exclusive one. */
  public LockOptions asShared() {
    return new LockOptions(
        ttl, waitFor, timeout, owner, true, 0, 0, leaseId, minHold, maxHold, metadata, observer);
  }

  /** Some permits of a limited number. */
  public LockOptions withPermits(int permits, int limit) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, false, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /** Names an acquisition that is to be repeated. Not given: a new random UUID. */
  public LockOptions withLeaseId(String leaseId) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /**
   * The resource stays taken for at least {@code minHold}; renewals never go past {@code maxHold}. Null: no such bound.
   */
  public LockOptions withHold(Duration minHold, Duration maxHold) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /** Shown to whoever looks at the lock. */
  public LockOptions withMetadata(Map<String, String> metadata) {
    return new LockOptions(
        ttl, waitFor, timeout, owner, shared, permits, limit, leaseId, minHold, maxHold, metadata, observer);
  }

  /** Hears what happens to the lease. */
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
