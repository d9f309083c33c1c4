package leasehold;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * A lease or an attempt that streams keep alive until it is released, lost, or its deadline passes. When a stream
 * breaks, moves or grows old, another one goes on, on any instance that answers. A broken stream is not a loss yet.
 * Any thread can call {@code isHeld}, {@code remaining}, {@code lostReason}, {@code extend}, {@code release} and
 * {@code lose}; everything else belongs to the loop.
 */
final class Kept implements KeepingStream.Listener {
  static final String DEADLINE = "DEADLINE";
  /** How long the first message of a new stream may take, in nanoseconds. */
  static final long FIRST_ANSWER = TimeUnit.SECONDS.toNanos(3);

  /** The age at which a stream is opened anew, in nanoseconds. */
  private static final long REOPEN_AFTER = TimeUnit.MINUTES.toNanos(30);

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

  private final Connections connections;
  private final KeepingStream.Call<?, ?> keepAlive;
  private final Deadline deadline = Deadline.ofSystemClocks();
  private final Consumer<LeaseEvent> observer;
  private final List<Runnable> whenOver = new ArrayList<>();
  private final Consumer<String> onCancel;

  private State state = State.HELD;
  private String why = "";
  private boolean isEnding;

  /** The newest stream counts; the one before it goes on until the newest has said that it keeps the lease. */
  private KeepingStream current;

  private KeepingStream former;
  private ScheduledFuture<?> age;
  private ScheduledFuture<?> retry;
  private ScheduledFuture<?> look;
  private int failures;

  Kept(
      Connections connections,
      KeepingStream.Call<?, ?> keepAlive,
      Consumer<LeaseEvent> observer,
      Consumer<String> onCancel) {
    this.connections = connections;
    this.keepAlive = keepAlive;
    this.observer = observer;
    this.onCancel = onCancel;
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

  void release() {
    finish(State.RELEASED, "it was released");
  }

  void lose(String reason) {
    finish(State.LOST, reason);
  }

  private void finish(State end, String reason) {
    List<Runnable> told;
    synchronized (this) {
      if (state != State.HELD) {
        return;
      }
      why = reason;
      state = end;
      told = List.copyOf(whenOver);
    }
    deadline.end();
    connections.loop.execute(this::stop);
    told.forEach(Runnable::run);
    tell(new LeaseEvent(end == State.LOST ? LeaseEvent.Kind.LOST : LeaseEvent.Kind.RELEASED, reason));
  }

  /** Keeps it alive by the stream that granted it; with null, it opens one. */
  void keep(KeepingStream first) {
    if (first == null) {
      reopen("a unary call began it, and a stream keeps it");
    } else {
      adopt(first);
    }
  }

  private void adopt(KeepingStream stream) {
    current = stream;
    cancel(age);
    age = schedule(REOPEN_AFTER, () -> reopen("its stream is 30 minutes old"));
    if (!isHeldState()) {
      stop(); // the grant came too late
    }
  }

  private synchronized boolean isHeldState() {
    return state == State.HELD;
  }

  /** Opens a new stream. The former one goes on until the new one has said that it keeps the lease. */
  private void reopen(String because) {
    // On a closed client nothing renews it any more; it is held until its deadline all the same.
    if (!isHeldState() || connections.isClosed()) {
      return;
    }
    tell(new LeaseEvent(LeaseEvent.Kind.REOPENED, because));
    cancel(retry);
    if (current != null) {
      if (former != null) {
        former.cancel();
      }
      former = current;
    }
    KeepingStream opened = keepAlive.open(connections, this);
    adopt(opened);
    // A server may accept the stream and never answer it: the next stream starts long before the silence is over.
    retry =
        schedule(
            FIRST_ANSWER,
            () -> {
              connections.leave(opened.seat);
              reopen(LeaseholdException.noFirstAnswer(opened.seat.address(), FIRST_ANSWER).getMessage());
            });
  }

  @Override
  public void heard(KeepingStream from, KeepingStream.Message message) {
    if (!isHeldState()) {
      return;
    }
    switch (message.kind()) {
      case RENEWED -> {
        // The former stream's word counts too: it is as true, counted from when that stream was sent.
        if (!extend(from.sent, message.validForNanos())) {
          return;
        }
        tell(new LeaseEvent(LeaseEvent.Kind.RENEWED, ""));
        if (from == current) {
          failures = 0;
          cancel(retry);
          if (former != null) {
            former.cancel();
            former = null;
          }
        }
      }
      case AT_RISK -> {
        if (from == current) {
          cancel(retry); // the server answers, and goes on trying
        }
        tell(new LeaseEvent(LeaseEvent.Kind.AT_RISK, message.detail()));
      }
      case LOST -> {
        synchronized (this) {
          if (isEnding) {
            return;
          }
        }
        lose(message.detail());
      }
      case DRAINING -> {
        if (from == current) {
          connections.leave(from.seat);
          reopen(from.seat.address() + " is shutting down");
        }
      }
      case CANCEL_REQUESTED -> onCancel.accept(message.detail());
      default -> {}
    }
  }

  @Override
  public void ended(KeepingStream from, LeaseholdException error) {
    if (from == former) {
      former = null;
    }
    if (from != current || !isHeldState()) {
      return;
    }
    current = null;
    // MOVED on the newest stream means that an older request arrived after it: opening another one answers that.
    if (!error.reason().equals("MOVED")) {
      connections.leave(from.seat);
    }
    long pause = Math.max(error.retryAfter().toNanos(), Connections.fullJitter(failures++));
    cancel(retry);
    retry = schedule(pause, () -> reopen(error.getMessage()));
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

  private void stop() {
    cancel(age);
    cancel(retry);
    cancel(look);
    for (KeepingStream stream : new KeepingStream[] {current, former}) {
      if (stream != null) {
        stream.cancel();
      }
    }
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
