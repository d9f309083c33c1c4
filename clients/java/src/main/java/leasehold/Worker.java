package leasehold;

import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import leasehold.v1.ClaimOperationsRequest;

/**
 * Claims operations and runs them, each in a daemon thread of its own. When the work fails, the worker records that and
 * logs it.
 */
public final class Worker implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger("leasehold");
  private static final Duration GRACE = Duration.ofSeconds(10);
  private static final int MOST_AT_ONCE = 32;

  private final Operations operations;
  private final List<String> types;
  private final Operations.Work work;
  private final int concurrency;
  private final Semaphore free;
  private final Set<Attempt> running = ConcurrentHashMap.newKeySet();
  private final Thread claiming = new Thread(this::claimForEver, "leasehold worker");
  private volatile boolean isStopping;
  private volatile ClaimOperationsRequest unanswered;

  Worker(Operations operations, List<String> types, int concurrency, Operations.Work work) {
    this.operations = operations;
    this.types = List.copyOf(types);
    this.work = work;
    this.concurrency = Numbers.count("concurrency", concurrency, 1);
    free = new Semaphore(this.concurrency);
    claiming.setDaemon(true);
  }

  /** Starts to claim. */
  public Worker start() {
    claiming.start();
    return this;
  }

  /**
   * Stops claiming, and tells the operations that run ({@link Attempt#isStopping}). They have {@code grace} to
   * finish; the worker then gives them back for others.
   */
  public void stop(Duration grace) throws InterruptedException {
    long graceNanos = Numbers.wait("grace", grace).toNanos();
    isStopping = true;
    claiming.interrupt();
    claiming.join();
    giveBackUnheard();
    running.forEach(Attempt::stopping);
    if (free.tryAcquire(concurrency, graceNanos, TimeUnit.NANOSECONDS)) {
      free.release(concurrency);
    }
    for (Attempt attempt : running) {
      giveBack(attempt); // work that goes on all the same can write nothing any more
    }
  }

  private static void giveBack(Attempt attempt) throws InterruptedException {
    try {
      attempt.giveBack();
    } catch (LeaseholdException e) {
      LOG.log(System.Logger.Level.WARNING, named(attempt) + " was not given back", e);
    }
  }

  /** Gives back what the last claim got: its answer may have been on its way when the claim was interrupted. */
  private void giveBackUnheard() throws InterruptedException {
    if (unanswered == null) {
      return;
    }
    List<Attempt> unheard;
    try {
      unheard = operations.claim(unanswered, 0);
    } catch (LeaseholdException e) {
      String said = "what the last claim got was not given back; others get it when it goes stale";
      LOG.log(System.Logger.Level.WARNING, said, e);
      return;
    }
    for (Attempt attempt : unheard) {
      giveBack(attempt);
    }
  }

  /** Stops as {@link #stop} does, with a grace of 10 s. */
  @Override
  public void close() throws InterruptedException {
    stop(GRACE);
  }

  private void claimForEver() {
    int failures = 0;
    while (!isStopping) {
      int places = 0;
      try {
        free.acquire();
        places = 1;
        while (places < MOST_AT_ONCE && free.tryAcquire()) {
          places++;
        }
        unanswered = operations.newClaim(types, places);
        List<Attempt> claimed = operations.claim(unanswered, Operations.JOIN_FOR);
        unanswered = null;
        for (Attempt attempt : claimed) {
          places--;
          running.add(attempt);
          Thread thread = new Thread(() -> run(attempt), "leasehold " + attempt.operationId());
          thread.setDaemon(true);
          thread.start();
        }
        failures = 0;
      } catch (InterruptedException e) {
        return;
      } catch (LeaseholdException e) {
        if (operations.isClosed()) {
          return;
        }
        LOG.log(System.Logger.Level.WARNING, "claiming operations failed, and is tried again", e);
        try {
          TimeUnit.NANOSECONDS.sleep(Math.max(e.retryAfter().toNanos(), Connections.fullJitter(failures++)));
        } catch (InterruptedException interrupted) {
          return;
        }
      } finally {
        free.release(places);
      }
    }
  }

  private static String named(Attempt attempt) {
    return attempt.operationId() + " on " + attempt.resource();
  }

  private void run(Attempt attempt) {
    try {
      Operations.perform(attempt, work);
    } catch (Exception e) {
      LOG.log(System.Logger.Level.WARNING, named(attempt) + " failed", e);
    } finally {
      running.remove(attempt);
      free.release();
    }
  }
}
