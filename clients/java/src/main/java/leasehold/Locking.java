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
import leasehold.v1.KeepAliveRequest;
import leasehold.v1.KeepAliveResponse;
import leasehold.v1.LeaseRef;
import leasehold.v1.LeaseSpec;
import leasehold.v1.LockServiceGrpc;

/**
 * How the client takes leases: one by Hold, a single stream for waiting and keeping; several at once by AcquireMany,
 * and then a KeepAlive for each.
 */
final class Locking {
  /** How long a queued call waits for the first word of a server, which says something every 15 s; in nanoseconds. */
  private static final long FIRST_ANSWER_IN_QUEUE = TimeUnit.SECONDS.toNanos(20);

  private static final System.Logger LOG = System.getLogger("leasehold");

  /** How long the client tries to give back what it no longer waits for, in nanoseconds. */
  private static final long GIVE_BACK = TimeUnit.SECONDS.toNanos(1);

  private final Connections connections;
  private final String owner;

  Locking(Connections connections, String owner) {
    this.connections = connections;
    this.owner = owner;
  }

  Lease lock(String resource, LockOptions options) throws InterruptedException {
    LeaseSpec spec = options.spec(resource, owner);
    Consumer<LeaseEvent> observer = guarded(options.observer());
    boolean waits = !options.waitFor().isZero();
    long giveUp = System.nanoTime() + (waits ? options.waitFor() : options.timeout()).toNanos();
    for (int tries = 0; ; tries++) {
      if (connections.isClosed()) {
        throw LeaseholdException.closed();
      }
      HoldRequest.Builder request = HoldRequest.newBuilder().setSpec(spec);
      if (waits) {
        long left = Math.max(TimeUnit.MILLISECONDS.toNanos(1), giveUp - System.nanoTime());
        request.setWaitTimeout(LockOptions.proto(Duration.ofNanos(left)));
      }
      Granting granting = new Granting(request.build(), observer);
      long pause;
      try {
        return granting.await(giveUp);
      } catch (InterruptedException e) {
        giveBack(spec);
        throw e;
      } catch (LeaseholdException error) {
        pause = Math.max(error.retryAfter().toNanos(), Connections.fullJitter(tries));
        boolean canPass = error.passes() || error.reason().equals("MOVED");
        if (!canPass || System.nanoTime() + pause - giveUp > 0) {
          // It may be queued or even granted at a server whose answer never arrived.
          if (!(error instanceof LeaseholdException.Contended)
              && error.code() != Status.Code.INVALID_ARGUMENT
              && error.code() != Status.Code.UNAUTHENTICATED) {
            giveBack(spec);
          }
          throw error;
        }
        connections.leave(granting.seat());
        observer.accept(new LeaseEvent(LeaseEvent.Kind.REOPENED, error.getMessage()));
      }
      try {
        TimeUnit.NANOSECONDS.sleep(pause);
      } catch (InterruptedException e) {
        giveBack(spec);
        throw e;
      }
    }
  }

  List<Lease> lockMany(List<String> resources, LockOptions options) throws InterruptedException {
    AcquireManyRequest.Builder request = AcquireManyRequest.newBuilder();
    for (String resource : resources) {
      request.addSpecs(options.withLeaseId(null).spec(resource, owner));
    }
    boolean waits = !options.waitFor().isZero();
    // The longest wait of a unary call.
    Duration most = Duration.ofMinutes(30);
    Duration wait = options.waitFor().compareTo(most) < 0 ? options.waitFor() : most;
    if (waits) {
      request.setWaitTimeout(LockOptions.proto(wait));
    }
    long within = waits ? wait.toNanos() + Kept.FIRST_ANSWER : options.timeout().toNanos();
    try {
      var answered =
          connections.unary(
              LockServiceGrpc.getAcquireManyMethod(), request.build(), within, waits ? within : Connections.TRY_FOR);
      List<Lease> leases = new ArrayList<>();
      for (leasehold.v1.Lease granted : answered.response().getLeasesList()) {
        leases.add(kept(granted, answered.sent(), guarded(options.observer()), null));
      }
      return leases;
    } catch (LeaseholdException | InterruptedException e) {
      // A refused try also leaves something: what an earlier try was granted, if the answer to that one was lost.
      for (LeaseSpec spec : request.getSpecsList()) {
        giveBack(spec);
      }
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

  /** Makes the lease that a server granted; {@code first} is the stream that granted it, if one did. */
  private Lease kept(
      leasehold.v1.Lease granted, Deadline.Sent sent, Consumer<LeaseEvent> observer, KeepingStream first) {
    Kept kept = new Kept(connections, keepAlive(granted), observer, reason -> {});
    if (kept.extend(sent, KeepingStream.nanos(granted.getValidFor()))) {
      observer.accept(new LeaseEvent(LeaseEvent.Kind.GRANTED, ""));
    }
    Lease lease = new Lease(connections, granted, kept);
    connections.loop.execute(() -> kept.keep(first));
    return lease;
  }

  /**
   * Releases what its caller gave up. A failure is of no use to a caller that gets no lease: what was granted ends with
   * its TTL.
   */
  private void giveBack(LeaseSpec spec) {
    boolean wasInterrupted = Thread.interrupted();
    try {
      Lease.release(connections, spec.getResource(), spec.getLeaseId(), GIVE_BACK, GIVE_BACK);
    } catch (LeaseholdException e) {
      // The lease ends with its TTL.
    } catch (InterruptedException e) {
      wasInterrupted = true;
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
    private Kept kept;

    Granting(HoldRequest request, Consumer<LeaseEvent> observer) {
      this.observer = observer;
      var call =
          new KeepingStream.Call<HoldRequest, HoldResponse>(
              LockServiceGrpc.getHoldMethod(), request, Locking::translate);
      // An instance that accepts the call and says nothing gets no more time.
      long answerIn =
          request.getWaitCase() == HoldRequest.WaitCase.WAIT_NOT_SET ? Kept.FIRST_ANSWER : FIRST_ANSWER_IN_QUEUE;
      connections.loop.execute(
          () -> {
            KeepingStream stream = call.open(connections, this);
            opened.complete(stream);
            var answer =
                connections.loop.schedule(
                    () -> fail(LeaseholdException.noFirstAnswer(stream.seat.address(), answerIn)),
                    answerIn,
                    TimeUnit.NANOSECONDS);
            granted.whenComplete((lease, error) -> answer.cancel(false));
            heardOnce = () -> answer.cancel(false);
          });
    }

    private Runnable heardOnce = () -> {};

    Connections.Seat seat() {
      return opened.join().seat;
    }

    Lease await(long giveUp) throws InterruptedException {
      try {
        // This bounds the wait for a silent server; a server that queues the call ends it a little earlier.
        return granted.get(giveUp - System.nanoTime() + Kept.FIRST_ANSWER, TimeUnit.NANOSECONDS);
      } catch (ExecutionException e) {
        if (e.getCause() instanceof LeaseholdException ours) {
          throw ours;
        }
        throw new IllegalStateException(e.getCause());
      } catch (TimeoutException e) {
        // The loop may not have opened the stream yet, and this must not wait for it.
        String address = (opened.isDone() ? seat() : connections.seat()).address();
        throw LeaseholdException.unavailable(
            "no server answered in time (the last try was at " + address
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
      if (kept != null) {
        kept.heard(from, message);
        return;
      }
      heardOnce.run();
      if (message.kind() == Kind.QUEUED) {
        observer.accept(new LeaseEvent(LeaseEvent.Kind.QUEUED, message.detail()));
      } else if (message.kind() == Kind.GRANTED && !granted.isDone()) {
        Lease lease = kept(message.lease(), from.sent, observer, from);
        kept = lease.kept;
        if (!granted.complete(lease)) {
          kept.release(); // the caller has just given up, and gives the lease back
        }
      }
    }

    @Override
    public void ended(KeepingStream from, LeaseholdException error) {
      if (kept != null) {
        kept.ended(from, error);
      } else {
        fail(error);
      }
    }

    private void fail(LeaseholdException error) {
      granted.completeExceptionally(error);
    }
  }

  private static KeepingStream.Call<KeepAliveRequest, KeepAliveResponse> keepAlive(leasehold.v1.Lease lease) {
    LeaseRef ref =
        LeaseRef.newBuilder()
            .setResource(lease.getResource())
            .setLeaseId(lease.getLeaseId())
            .setFencingToken(lease.getFencingToken())
            .build();
    return new KeepingStream.Call<>(
        LockServiceGrpc.getKeepAliveMethod(),
        KeepAliveRequest.newBuilder().addLeases(ref).build(),
        response ->
            switch (response.getEventCase()) {
              case RENEWED -> Message.renewed(response.getRenewed().getValidFor());
              case AT_RISK -> atRisk(response.getAtRisk());
              case LOST -> lost(response.getLost());
              case DRAINING -> Message.of(Kind.DRAINING);
              default -> Message.of(Kind.OTHER);
            });
  }

  private static Message translate(HoldResponse response) {
    return switch (response.getEventCase()) {
      case QUEUED -> Message.of(Kind.QUEUED, String.valueOf(response.getQueued().getPosition()));
      case GRANTED ->
          new Message(
              Kind.GRANTED,
              KeepingStream.nanos(response.getGranted().getValidFor()),
              "",
              response.getGranted());
      case RENEWED -> Message.renewed(response.getRenewed().getValidFor());
      case AT_RISK -> atRisk(response.getAtRisk());
      case LOST -> lost(response.getLost());
      case DRAINING -> Message.of(Kind.DRAINING);
      default -> Message.of(Kind.OTHER);
    };
  }

  static Message atRisk(leasehold.v1.AtRisk atRisk) {
    return Message.of(Kind.AT_RISK, atRisk.getReason().name().replace("AT_RISK_REASON_", ""));
  }

  private static Message lost(leasehold.v1.Lost lost) {
    return Message.of(Kind.LOST, lost.getReason().name().replace("LOST_REASON_", ""));
  }
}
