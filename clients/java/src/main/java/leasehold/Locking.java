package leasehold;

import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import leasehold.KeepingStream.Kind;
import leasehold.KeepingStream.Message;
import leasehold.v1.AcquireManyRequest;
import leasehold.v1.HoldRequest;
import leasehold.v1.HoldResponse;
import leasehold.v1.LeaseRef;
import leasehold.v1.LeaseSpec;
import leasehold.v1.LockServiceGrpc;

/** How the client takes leases: one by Hold, which waits for it on a stream; several at once by AcquireMany. */
final class Locking {
  /** How long a queued call waits for the first word of a server, which says something every 15 s; in nanoseconds. */
  private static final long FIRST_ANSWER_IN_QUEUE = TimeUnit.SECONDS.toNanos(20);

  private static final System.Logger LOG = System.getLogger("leasehold");

  /** How long a caller that gave up waits for what it gave back, in nanoseconds; the release goes on after that. */
  private static final long GIVE_BACK = TimeUnit.SECONDS.toNanos(1);

  /** How much later than the loop a thread that waits for it gives up, in nanoseconds. */
  private static final long LATE = TimeUnit.MILLISECONDS.toNanos(100);

  private final Connections connections;
  private final String owner;

  Locking(Connections connections, String owner) {
    this.connections = connections;
    this.owner = owner;
  }

  Lease lock(String resource, LockOptions options) throws InterruptedException {
    LeaseSpec spec = options.spec(resource, owner);
    Consumer<LeaseEvent> observer = guarded(options.observer());
    Times times = new Times(options);
    long answerIn = Connections.TRY_FOR;
    int tries = 0;
    for (int asked = 1; ; asked++) {
      if (connections.isClosed()) {
        throw LeaseholdException.closed();
      }
      HoldRequest.Builder request = HoldRequest.newBuilder().setSpec(spec).setRenewFor(Keeper.RENEW_FOR);
      long now = System.nanoTime();
      long queued = 0;
      if (times.waits) {
        long left = times.waitEnd - now;
        request.setWaitTimeout(LockOptions.proto(Duration.ofNanos(Math.max(1_000_000L, left))));
        queued = Math.max(0, left);
      }
      long within = Math.min(queued + answerIn, times.wholeEnd - now);
      Granting granting =
          new Granting(request.build(), observer, times.waits ? FIRST_ANSWER_IN_QUEUE : answerIn, within);
      long pause;
      try {
        return granting.await();
      } catch (InterruptedException e) {
        giveBack(List.of(spec), GIVE_BACK);
        throw e;
      } catch (LeaseholdException error) {
        if (granting.wasHeardOf()) {
          tries = 0;
        } else if (granting.wasSilent()) {
          answerIn *= 2;
        }
        pause = Math.max(error.retryAfter().toNanos(), Connections.fullJitter(tries++));
        boolean canPass = error.passes() || error.reason().equals("MOVED");
        if (!canPass || connections.isOver(times.start, times.giveUp, times.asksOnce(), asked, pause)) {
          // It may be queued or even granted at a server whose answer never arrived.
          if (!(error instanceof LeaseholdException.Contended)
              && error.code() != Status.Code.INVALID_ARGUMENT
              && error.code() != Status.Code.UNAUTHENTICATED) {
            giveBack(List.of(spec), times.wholeEnd - System.nanoTime());
          }
          throw error;
        }
        connections.leave(granting.seat());
        observer.accept(new LeaseEvent(LeaseEvent.Kind.REOPENED, error.getMessage()));
      }
      try {
        TimeUnit.NANOSECONDS.sleep(pause);
        connections.keeper.letHoldersGoFirst(times.giveUp - System.nanoTime());
      } catch (InterruptedException e) {
        giveBack(List.of(spec), GIVE_BACK);
        throw e;
      }
    }
  }

  /** When an acquisition does what, in nanoseconds of the monotonic clock. */
  private static final class Times {
    /** In place of an end that wasn't given; the difference of two times must not overflow. */
    private static final long NO_END = Long.MAX_VALUE / 4;

    final boolean waits;
    final boolean isBounded;
    final long start = System.nanoTime();
    /** When the server says that the wait is over: before the caller stops listening. */
    final long waitEnd;
    /** When no further try begins. */
    final long giveUp;
    /** When all of it is over, giving back included. */
    final long wholeEnd;

    Times(LockOptions options) {
      long wait = options.waitFor().toNanos();
      waits = wait > 0;
      isBounded = options.timeout() != null;
      long whole = isBounded ? options.timeout().toNanos() : NO_END;
      long share = isBounded ? answerShare(whole) : 0;
      waitEnd = start + Math.min(wait, whole - share);
      giveUp = start + (isBounded ? whole : waits ? wait : Connections.ANSWER_WITHIN);
      wholeEnd = start + whole;
    }

    boolean asksOnce() {
      return !waits && !isBounded;
    }
  }

  /** Returns the part of a bound on a whole call that its wait at the server leaves for the answer. */
  private static long answerShare(long whole) {
    return Math.min(TimeUnit.SECONDS.toNanos(1), whole / 4);
  }

  List<Lease> lockMany(List<String> resources, LockOptions options) throws InterruptedException {
    AcquireManyRequest.Builder request = AcquireManyRequest.newBuilder();
    for (String resource : resources) {
      request.addSpecs(options.withLeaseId(null).spec(resource, owner));
    }
    // The longest wait of a unary call.
    long wait = Math.min(options.waitFor().toNanos(), TimeUnit.MINUTES.toNanos(30));
    boolean waits = wait > 0;
    boolean isBounded = options.timeout() != null;
    long within = waits ? wait + Connections.TRY_FOR : Connections.ANSWER_WITHIN;
    if (isBounded) {
      within = options.timeout().toNanos();
      wait = Math.min(wait, within - answerShare(within));
    }
    if (waits) {
      request.setWaitTimeout(LockOptions.proto(Duration.ofNanos(wait)));
    }
    long wholeEnd = System.nanoTime() + (isBounded ? within : Times.NO_END);
    try {
      var kind = waits ? Connections.Kind.WAITING : Connections.Kind.CALL;
      var answered =
          connections.unary(
              LockServiceGrpc.getAcquireManyMethod(),
              request.build(),
              new Connections.Bounds(kind, within, wait, !waits && !isBounded));
      List<Lease> leases = new ArrayList<>();
      for (leasehold.v1.Lease granted : answered.response().getLeasesList()) {
        Lease lease = kept(granted, answered.sent(), guarded(options.observer()));
        leases.add(lease);
        connections.loop.execute(() -> connections.keeper.keep(lease.kept));
      }
      return leases;
    } catch (InterruptedException e) {
      giveBack(request.getSpecsList(), GIVE_BACK);
      throw e;
    } catch (LeaseholdException e) {
      // A refused try also leaves something: what an earlier try was granted, if the answer to that one was lost.
      giveBack(request.getSpecsList(), wholeEnd - System.nanoTime());
      throw e;
    }
  }

  /** Returns an observer that logs what {@code observer} throws: a failing one must not cost the lease. */
  private static Consumer<LeaseEvent> guarded(Consumer<LeaseEvent> observer) {
    return event -> {
      try {
        observer.accept(event);
      } catch (RuntimeException e) {
        String said = "the observer of a lease failed at " + event.kind() + "; the lease is not affected";
        LOG.log(System.Logger.Level.WARNING, said, e);
      }
    };
  }

  /** Makes the lease that a server granted. Nothing keeps it yet. */
  private Lease kept(leasehold.v1.Lease granted, Deadline.Sent sent, Consumer<LeaseEvent> observer) {
    LeaseRef ref =
        LeaseRef.newBuilder()
            .setResource(granted.getResource())
            .setLeaseId(granted.getLeaseId())
            .setFencingToken(granted.getFencingToken())
            .build();
    Kept kept = Kept.lease(connections, ref, observer);
    if (kept.extend(sent, KeepingStream.nanos(granted.getValidFor()))) {
      observer.accept(new LeaseEvent(LeaseEvent.Kind.GRANTED, ""));
    }
    return new Lease(connections, granted, kept);
  }

  /**
   * Releases what its caller gave up. A failure is of no use to a caller that gets no lease: what was granted ends with
   * its TTL.
   *
   * @param withinNanos how long the caller waits for it at most; the releases go on after that
   */
  private void giveBack(List<LeaseSpec> specs, long withinNanos) {
    CompletableFuture<Void> done = new CompletableFuture<>();
    Runnable release =
        () -> {
          try {
            for (LeaseSpec spec : specs) {
              Lease.release(connections, spec.getResource(), spec.getLeaseId());
            }
          } catch (LeaseholdException | InterruptedException e) {
            // The leases end with their TTLs.
          } finally {
            done.complete(null);
          }
        };
    Thread thread = new Thread(release, "leasehold gives back");
    thread.setDaemon(true);
    thread.start();
    boolean wasInterrupted = Thread.interrupted();
    try {
      done.get(Math.max(0, Math.min(withinNanos, GIVE_BACK)), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      wasInterrupted = true;
    } catch (ExecutionException | TimeoutException e) {
      // It goes on.
    }
    if (wasInterrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** One Hold stream, until it grants or ends. After the grant it is the first stream that keeps the lease. */
  private final class Granting implements KeepingStream.Listener {
    private final CompletableFuture<Lease> granted = new CompletableFuture<>();
    private final CompletableFuture<KeepingStream> opened = new CompletableFuture<>();
    private final Consumer<LeaseEvent> observer;
    private final long within;
    private volatile boolean wasHeardOf;
    private volatile boolean wasSilent;
    private Keeper.Batch keeping;

    /**
     * Opens the stream; spans are in nanoseconds.
     *
     * @param answerIn how long an instance that accepts the call may say nothing
     * @param within how long the stream may take to grant
     */
    Granting(HoldRequest request, Consumer<LeaseEvent> observer, long answerIn, long within) {
      this.observer = observer;
      this.within = within;
      var call =
          new KeepingStream.Call<HoldRequest, HoldResponse>(
              LockServiceGrpc.getHoldMethod(), request, Locking::translate);
      long first = Math.max(0, Math.min(answerIn, within));
      connections.loop.execute(
          () -> {
            KeepingStream stream = call.open(connections, Connections.Kind.WAITING, this);
            opened.complete(stream);
            var answer =
                connections.loop.schedule(
                    () -> {
                      if (!wasHeardOf) {
                        wasSilent = true;
                        fail(stream.noFirstAnswer(first));
                      }
                    },
                    first,
                    TimeUnit.NANOSECONDS);
            granted.whenComplete((lease, error) -> answer.cancel(false));
          });
    }

    Connections.Seat seat() {
      return opened.isDone() ? opened.join().seat : connections.seat();
    }

    boolean wasHeardOf() {
      return wasHeardOf;
    }

    boolean wasSilent() {
      return wasSilent;
    }

    Lease await() throws InterruptedException {
      try {
        // This bounds the wait for a silent server; a server that queues the call ends it a little earlier.
        return granted.get(within + LATE, TimeUnit.NANOSECONDS);
      } catch (ExecutionException e) {
        if (e.getCause() instanceof LeaseholdException ours) {
          throw ours;
        }
        throw new IllegalStateException(e.getCause());
      } catch (TimeoutException e) {
        // The loop may not have opened the stream yet, and this must not wait for it.
        throw LeaseholdException.unavailable(
            "no server answered in time (the last try was at " + seat().address()
                + "): check that a Leasehold server runs there, or give the call more time");
      } finally {
        if (!granted.isDone() || granted.isCompletedExceptionally()) {
          granted.cancel(false);
          connections.loop.execute(() -> opened.thenAccept(KeepingStream::cancel));
        }
      }
    }

    @Override
    public void heard(KeepingStream from, Message message) {
      if (keeping != null) {
        keeping.heard(from, message);
        return;
      }
      wasHeardOf = true;
      if (message.kind() == Kind.QUEUED) {
        observer.accept(new LeaseEvent(LeaseEvent.Kind.QUEUED, message.detail()));
      } else if (message.kind() == Kind.GRANTED && !granted.isDone()) {
        Lease lease = kept(message.lease(), from.sent, observer);
        keeping = connections.keeper.keepBy(from, lease.kept);
        if (!granted.complete(lease)) {
          lease.kept.release(); // the caller has just given up, and gives the lease back
          lease.kept.leave();
        }
      }
    }

    @Override
    public void ended(KeepingStream from, LeaseholdException error) {
      if (keeping != null) {
        keeping.ended(from, error);
      } else {
        fail(error);
      }
    }

    private void fail(LeaseholdException error) {
      granted.completeExceptionally(error);
    }
  }

  private static Message translate(HoldResponse response) {
    return switch (response.getEventCase()) {
      case QUEUED -> Message.of(Kind.QUEUED, String.valueOf(response.getQueued().getPosition()));
      case GRANTED ->
          new Message(
              Kind.GRANTED,
              "",
              KeepingStream.nanos(response.getGranted().getValidFor()),
              "",
              response.getGranted());
      case RENEWED -> Message.renewed(response.getRenewed().getValidFor());
      case AT_RISK -> atRisk(response.getAtRisk());
      case LOST -> lost(response.getLost());
      case MOVED -> Message.of(Kind.MOVED);
      case DRAINING -> Message.of(Kind.DRAINING);
      default -> Message.of(Kind.OTHER);
    };
  }

  static Message atRisk(leasehold.v1.AtRisk atRisk) {
    return Message.of(Kind.AT_RISK, atRisk.getReason().name().replace("AT_RISK_REASON_", ""));
  }

  static Message lost(leasehold.v1.Lost lost) {
    return Message.of(Kind.LOST, lost.getReason().name().replace("LOST_REASON_", ""));
  }
}
