package leasehold;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import leasehold.v1.LockServiceGrpc;
import leasehold.v1.ReleaseRequest;

/**
 * A lease that the client keeps alive until it is released, lost, or its deadline passes. The client never acquires it
 * again by itself. All threads can use it.
 */
public final class Lease implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger("leasehold");

  private final Connections connections;
  private final leasehold.v1.Lease granted;
  private final CompletableFuture<String> lost = new CompletableFuture<>();
  final Kept kept;

  Lease(Connections connections, leasehold.v1.Lease granted, Kept kept) {
    this.connections = connections;
    this.granted = granted;
    this.kept = kept;
    kept.whenOver(
        () -> {
          String reason = kept.lostReason();
          if (reason != null) {
            lost.complete(reason);
          }
        });
  }

  /** Returns what is leased. */
  public String resource() {
    return granted.getResource();
  }

  /** Returns the id of the acquisition. It is a secret: anyone who knows it can release the lease. */
  public String leaseId() {
    return granted.getLeaseId();
  }

  /**
   * Returns the token, which is larger than that of every earlier grant: send it with every write, and refuse smaller
   * ones there.
   */
  public long fencingToken() {
    return granted.getFencingToken();
  }

  /** Returns whether the lease is held: by the clocks, even if no server has said anything. */
  public boolean isHeld() {
    return kept.isHeld();
  }

  /** Returns the time until the deadline as it stands; zero when the lease is over. */
  public Duration remaining() {
    return Duration.ofNanos(kept.remaining());
  }

  /**
   * Checks that the lease is held. Call it before each step that the lease protects.
   *
   * @throws LeaseholdException.LeaseLost when the lease is over
   */
  public void checkHeld() {
    if (!isHeld()) {
      String reason = lostReason();
      throw LeaseholdException.leaseLost(resource(), reason == null ? "it was released" : reason);
    }
  }

  /**
   * Returns a stage that completes with {@link #lostReason()} when the lease is lost, and never when it is released.
   * Actions attached to it may run in the client's own thread: they must not block.
   */
  public CompletionStage<String> onLost() {
    return lost.minimalCompletionStage();
  }

  /**
   * Returns why the lease was lost: a LostReason such as FORCE_RELEASED; or DEADLINE, when the deadline passed here,
   * which servers may not know. Null if the lease isn't lost.
   */
  public String lostReason() {
    return kept.lostReason();
  }

  /**
   * Releases the lease. A repeat does no harm.
   *
   * @return whether that ended a live lease
   * @throws LeaseholdException when no server answers within 10 s; the lease then ends with its TTL
   */
  public boolean release() throws InterruptedException {
    kept.release();
    boolean released = false;
    try {
      released = release(connections, resource(), leaseId());
    } finally {
      // The server ends the stream of what it released. Where it released nothing, it has nothing to say.
      if (released) {
        kept.leaveAndWait();
      } else {
        kept.leave();
      }
    }
    return released;
  }

  static boolean release(Connections connections, String resource, String leaseId) throws InterruptedException {
    ReleaseRequest request = ReleaseRequest.newBuilder().setResource(resource).setLeaseId(leaseId).build();
    return connections.unary(LockServiceGrpc.getReleaseMethod(), request).response().getReleased();
  }

  /**
   * Releases the lease at the end of a try block. When that fails, it only logs the failure, and the lease ends with
   * its TTL.
   *
   * @throws LeaseholdException.LeaseLost when the lease was lost before: the work was not protected to its end. It
   *     doesn't hide what the try block throws, but is added to that as suppressed.
   */
  @Override
  public void close() {
    String reason = lostReason();
    if (reason != null) {
      throw LeaseholdException.leaseLost(resource(), reason);
    }
    if (!isHeld()) {
      return; // released
    }
    try {
      release();
    } catch (LeaseholdException e) {
      String said = "the lease on " + resource() + " was not released, and ends with its TTL";
      LOG.log(System.Logger.Level.WARNING, said, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
