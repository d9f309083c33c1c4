package leasehold;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import leasehold.v1.LeaseRef;

/**
 * A lease or an attempt that streams keep alive until it is released, lost, or its deadline passes. When a stream
 * breaks, moves or grows old, the {@link Keeper} opens another one, on any instance that answers. A broken stream is
 * not a loss yet. Any thread can call {@code isHeld}, {@code remaining}, {@code lostReason}, {@code extend}, {@code
 * release}, {@code leave} and {@code lose}; everything else belongs to the loop.
 */
final class Kept {
  static final String DEADLINE = "DEADLINE";

  private static final long SHORTEST_PATIENCE = TimeUnit.MILLISECONDS.toNanos(100);

  /** How long a stream may be silent at most, in nanoseconds: servers say something every 15 s. */
  private static final long SILENCE = TimeUnit.SECONDS.toNanos(20);

  /** The risks of one instance, from which the next one may be free. */
  private static final Set<String> MOVES_ON = Set.of("STORE_UNAVAILABLE", "PRIMARY_UNCONFIRMED");

  /**
   * How often the client looks at the clocks in any case, in nanoseconds: a suspended machine's timers may have stood
   * still.
   */
  private static final long LOOK = TimeUnit.SECONDS.toNanos(1);

  private enum State {
    HELD,
    RELEASED,
    LOST
  }

  /** What the messages of a stream of many call it; empty for what has a stream of its own. */
  final String name;

  /** The lease; null for an attempt. */
  final LeaseRef lease;

  /** The call that keeps an attempt; null for a lease, which shares its streams with others. */
  final KeepingStream.Call<?, ?> own;

  private final Connections connections;
  private final Deadline deadline = Deadline.ofSystemClocks();
  private final Consumer<LeaseEvent> observer;
  private final List<Runnable> whenOver = new ArrayList<>();
  private final Consumer<String> onCancel;

  private State state = State.HELD;
  private String why = "";
  private boolean isEnding;

  /** The newest stream counts; the one before it goes on until the newest has said that it keeps the lease. */
  Keeper.Batch newest;

  private Keeper.Batch former;

  /** Whether it shares no stream until one has kept it: a server refused the leases of one, and not by name. */
  boolean isAlone;

  /** How many streams ended since one kept it. */
  int failures;

  private int unanswered;
  private ScheduledFuture<?> answer;
  private ScheduledFuture<?> silence;
  private ScheduledFuture<?> risk;
  private ScheduledFuture<?> look;

  private Kept(
      Connections connections,
      LeaseRef lease,
      KeepingStream.Call<?, ?> own,
      Consumer<LeaseEvent> observer,
      Consumer<String> onCancel) {
    this.connections = connections;
    this.lease = lease;
    this.own = own;
    this.observer = observer;
    this.onCancel = onCancel;
    name = lease == null ? "" : KeepingStream.Message.nameOf(lease.getResource(), lease.getLeaseId());
  }

  static Kept lease(Connections connections, LeaseRef lease, Consumer<LeaseEvent> observer) {
    return new Kept(connections, lease, null, observer, reason -> {});
  }

  static Kept attempt(Connections connections, KeepingStream.Call<?, ?> keepAlive, Consumer<String> onCancel) {
    return new Kept(connections, null, keepAlive, event -> {}, onCancel);
  }

  synchronized boolean isHeld() {
    return state == State.HELD && deadline.remaining() > 0;
  }

  synchronized long remaining() {
    return state == State.HELD ? deadline.remaining() : 0;
  }

  /** Returns why it was lost, null if it isn't lost: by the clocks, even if no timer has run. */
  synchronized String lostReason() {
    if (state == State.HELD && deadline.remaining() == 0) {
      return DEADLINE;
    }
    return state == State.LOST ? why : null;
  }

  /** Runs {@code run} when it is over; at once and in this thread, if it is over already. */
  void whenOver(Runnable run) {
    synchronized (this) {
      if (state == State.HELD) {
        whenOver.add(run);
        return;
      }
    }
    run.run();
  }

  /** Says that the outcome of an attempt is being written: what a stream says about its end is no loss then. */
  synchronized void ending() {
    isEnding = true;
  }

  /** Takes the {@code valid_for} of an answer, and returns whether it is held. */
  boolean extend(Deadline.Sent sent, long validForNanos) {
    if (!deadline.extend(sent, validForNanos)) {
      lose(DEADLINE);
      return false;
    }
    connections.loop.execute(this::look);
    return true;
  }

  /** Ends it here. Nothing renews it any more; its stream goes on until {@link #leave}. */
  void release() {
    finish(State.RELEASED, "it was released");
  }

  void lose(String reason) {
    if (finish(State.LOST, reason)) {
      leave();
    }
  }

  private boolean finish(State end, String reason) {
    List<Runnable> told;
    synchronized (this) {
      if (state != State.HELD) {
        return false;
      }
      why = reason;
      state = end;
      told = List.copyOf(whenOver);
    }
    deadline.end();
    connections.loop.execute(this::retire);
    told.forEach(Runnable::run);
    tell(new LeaseEvent(end == State.LOST ? LeaseEvent.Kind.LOST : LeaseEvent.Kind.RELEASED, reason));
    return true;
  }

  /**
   * Leaves the stream of what is over; the server has heard of that, or said so.
   *
   * @return completes when the server has ended the stream, if nothing else is on it; after half a second in any case
   */
  CompletableFuture<Void> leave() {
    CompletableFuture<Void> left = new CompletableFuture<>();
    connections.loop.execute(
        () -> {
          if (newest == null) {
            left.complete(null);
          } else {
            newest.leave(this).thenRun(() -> left.complete(null));
          }
        });
    return left;
  }

  /** Leaves the stream, and waits for the server to end it. */
  void leaveAndWait() throws InterruptedException {
    try {
      leave().get(KeepingStream.END_WITHIN, TimeUnit.NANOSECONDS);
    } catch (TimeoutException | ExecutionException e) {
      // The client ends the stream.
    }
  }

  synchronized boolean isHeldState() {
    return state == State.HELD;
  }

  /** Says that another stream is opened for it. */
  void reopens(String because) {
    tell(new LeaseEvent(LeaseEvent.Kind.REOPENED, because));
  }

  /** Takes a new stream. The former one goes on until the new one has said that it keeps the lease. */
  void opened(Keeper.Batch batch) {
    leaveFormer();
    former = newest;
    newest = batch;
    stopWaiting();
    // A server may accept the stream and never answer it: the next stream starts long before the silence is over. It
    // has twice the time, since the link may be slow.
    long patience = Connections.TRY_FOR << Math.min(unanswered, 10);
    long within = Math.max(SHORTEST_PATIENCE, Math.min(patience, remaining() / 2));
    answer =
        schedule(
            within,
            () -> {
              unanswered++;
              failures++;
              connections.keeper.setBroken(this, true);
              connections.leave(batch.stream().seat);
              connections.keeper.need(
                  this, Connections.fullJitter(failures - 1), batch.stream().noFirstAnswer(within).getMessage());
            });
  }

  /** Listens for silence. Renewals come every quarter of the TTL: after half of it there is time to go on elsewhere. */
  void listen() {
    long within = Math.min(SILENCE, Math.max(deadline.ttl() / 2, SHORTEST_PATIENCE));
    Keeper.Batch listened = newest;
    cancel(silence);
    silence =
        schedule(
            within,
            () -> {
              KeepingStream silent = listened.stream();
              connections.leave(silent.seat);
              connections.keeper.setBroken(this, true);
              String said = " said nothing for " + TimeUnit.NANOSECONDS.toMillis(within) + " ms";
              connections.keeper.need(this, 0, silent.seat.address() + said);
            });
  }

  /** Ends the timers that would open another stream. */
  void stopWaiting() {
    cancel(answer);
    cancel(silence);
    cancel(risk);
    risk = null;
  }

  private void leaveFormer() {
    if (former != null) {
      former.leave(this);
      former = null;
    }
  }

  void heard(Keeper.Batch from, KeepingStream.Message message) {
    switch (message.kind()) {
      case RENEWED -> {
        // The former stream's word counts too: it is as true, counted from when that stream was sent.
        if (!isHeldState() || !extend(from.stream().sent, message.validForNanos())) {
          return;
        }
        tell(new LeaseEvent(LeaseEvent.Kind.RENEWED, ""));
        if (from == newest) {
          failures = 0;
          unanswered = 0;
          isAlone = false;
          answered();
          cancel(risk);
          risk = null;
          leaveFormer();
        }
      }
      case AT_RISK -> {
        if (!isHeldState()) {
          return;
        }
        if (from == newest) {
          answered(); // the server answers, and goes on trying
          considerMoving(from.stream(), message.detail());
        }
        tell(new LeaseEvent(LeaseEvent.Kind.AT_RISK, message.detail()));
      }
      case LOST -> {
        from.leave(this);
        if (isHeldState() && !isEnding()) {
          lose(message.detail());
        }
      }
      case MOVED -> {
        from.leave(this);
        if (from == former) {
          former = null;
        } else if (from == newest) {
          // An older request arrived after that of the newest stream: opening another one answers that.
          newest = null;
          connections.keeper.need(this, Connections.fullJitter(failures++), "an older call spoke for it");
        }
      }
      case CANCEL_REQUESTED -> onCancel.accept(message.detail());
      default -> {}
    }
  }

  private synchronized boolean isEnding() {
    return isEnding;
  }

  private void answered() {
    connections.keeper.setBroken(this, false);
    cancel(answer);
    listen();
  }

  // The instance may be the only one that can't reach the store, so another one is asked before the time runs out. Not
  // at once, and not by all clients at the same moment: in a failover all instances are at risk.
  private void considerMoving(KeepingStream from, String detail) {
    if (detail.equals("RENEW_FOR")) {
      connections.keeper.need(this, 0, "nothing has kept it for " + Keeper.RENEW_FOR.getSeconds() + " s");
    } else if (risk == null && MOVES_ON.contains(detail) && connections.instances() > 1) {
      long quarter = Math.max(1, remaining() / 4);
      risk =
          schedule(
              quarter - ThreadLocalRandom.current().nextLong(Math.max(1, quarter / 2)),
              () -> {
                connections.leave(from.seat);
                connections.keeper.need(this, 0, from.seat.address() + " cannot renew it");
              });
    }
  }

  /** Takes the end of a stream. */
  void lostStream(Keeper.Batch ended) {
    if (ended == former) {
      former = null;
    }
    if (ended == newest) {
      newest = null;
      stopWaiting();
    }
  }

  private void look() {
    cancel(look);
    long left = remaining();
    if (left == 0) {
      lose(DEADLINE);
    } else {
      look = schedule(Math.min(left, LOOK), this::look);
    }
  }

  private void retire() {
    stopWaiting();
    cancel(look);
    leaveFormer();
    connections.keeper.forget(this);
  }

  private ScheduledFuture<?> schedule(long nanos, Runnable run) {
    return connections.loop.schedule(run, nanos, TimeUnit.NANOSECONDS);
  }

  private static void cancel(ScheduledFuture<?> timer) {
    if (timer != null) {
      timer.cancel(false);
    }
  }

  private void tell(LeaseEvent event) {
    observer.accept(event);
  }
}
