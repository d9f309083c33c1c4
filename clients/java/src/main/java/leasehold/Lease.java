package leasehold;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import leasehold.v1.LockServiceGrpc;
import leasehold.v1.ReleaseRequest;

/**
 * A lease that is kept alive until it is released, lost, or its deadline passes. It is never acquired again by itself.
 * All methods may be called by any thread.
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

  public String resource() {
    return granted.getResource();
  }

  /** Names the acquisition. Whoever knows it can release the lease. */
  public String leaseId() {
    return granted.getLeaseId();
  }

  /** Larger than that of every earlier grant: send it with every write, and refuse smaller ones there. */
  public long fencingToken() {
    return granted.getFencingToken();
  }

  /** Whether it is held, by the clocks, also where nothing has been heard. */
  public boolean isHeld() {
    return kept.isHeld();
  }

  /** Until the deadline as it stands; zero when it is over. */
  public Duration remaining() {
    return Duration.ofNanos(kept.remaining());
  }

  /**
   * Throws {@link LeaseholdException.LeaseLost} unless it is held. Call it before each step that the lease protects.
   */
  public void checkHeld() {
    if (!isHeld()) {
      String reason = lostReason();
      throw LeaseholdException.leaseLost(reason == null ? "it was released" : reason);
    }
  }

  /**
   * Completes when the lease is lost (never when it is released), with the reason. What is attached to it may run in
   * the client's own thread: it must not block.
   */
  public CompletionStage<String> onLost() {
    return lost.minimalCompletionStage();
  }

  /**
   * A LostReason such as FORCE_RELEASED, or DEADLINE: it passed here, whatever servers know. Null while it isn't lost.
   */
  public String lostReason() {
    return kept.lostReason();
  }

  /** Gives it back. Whether a live lease was ended. A repeat does no harm. */
  public boolean release() throws InterruptedException {
    kept.release();
    return release(connections, resource(), leaseId());
  }

  static boolean release(Connections connections, String resource, String leaseId) throws InterruptedException {
    ReleaseRequest request = ReleaseRequest.newBuilder().setResource(resource).setLeaseId(leaseId).build();
    return connections.unary(LockServiceGrpc.getReleaseMethod(), request).response().getReleased();
  }

  /**
   * Releases it; a failure to do so is logged, and the lease ends with its TTL. Throws LeaseLost if it was lost
   * before: the work was not protected to its end. (What a try block throws itself is not hidden: this is added to it
   * as suppressed.)
   */
  @Override
  public void close() {
    String reason = lostReason();
    if (reason != null) {
      throw LeaseholdException.leaseLost(reason);
    }
    if (!isHeld()) {
      return; // released
    }
    try {
      release();
    } catch (LeaseholdException e) {
      LOG.log(System.Logger.Level.WARNING, "a lease could not be released, and ends with its TTL", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
