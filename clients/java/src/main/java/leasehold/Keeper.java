package leasehold;

import com.google.protobuf.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import leasehold.KeepingStream.Kind;
import leasehold.KeepingStream.Message;
import leasehold.v1.KeepAliveRequest;
import leasehold.v1.KeepAliveResponse;
import leasehold.v1.LockServiceGrpc;

/**
 * Keeps the leases of a client by as few streams as possible, and each attempt by one. The server trusts a stream for
 * {@link #RENEW_FOR} only, and the next stream is the client's sign of life: so that the leases of a dead or frozen
 * process end behind any proxy. It owns no deadline: {@link Kept} decides until when a thing is held. Everything here
 * belongs to the loop, except where it says so.
 */
final class Keeper {
  /** For how long a server trusts a stream. */
  static final Duration RENEW_FOR = Duration.newBuilder().setSeconds(20).build();

  /** How many leases one KeepAlive carries. */
  static final int MOST_IN_BATCH = 64;

  /** The age at which a stream is opened anew, in nanoseconds, less a random fifth of it. */
  private static final long REOPEN_AFTER = TimeUnit.SECONDS.toNanos(10);

  /** How long a lease stays on the stream that granted it: most are given back sooner. In nanoseconds. */
  private static final long HOLD_FOR = TimeUnit.SECONDS.toNanos(5);

  /** How long leases that need a stream wait for one another, in nanoseconds. */
  private static final long COLLECT_FOR = TimeUnit.MILLISECONDS.toNanos(50);

  /** How long what waits lets what is held go first, in nanoseconds. */
  private static final long HOLDERS_FIRST = TimeUnit.SECONDS.toNanos(2);

  private final Connections connections;
  /** The streams that carry leases together, and were not over yet. */
  private final Set<Batch> shared = new LinkedHashSet<>();

  /** What needs a stream, and from when on: in nanoseconds. */
  private final Map<Kept, Long> needy = new LinkedHashMap<>();

  private ScheduledFuture<?> opening;
  private long openingAt;

  /** What lost its stream and hasn't heard of a new one. Any thread can look at it, under its own lock. */
  private final Set<Kept> broken = new HashSet<>();

  private boolean isClosed;

  Keeper(Connections connections) {
    this.connections = connections;
  }

  /** One stream, and what it keeps. */
  final class Batch implements KeepingStream.Listener {
    /** What the stream still matters to, by the name that its messages have; a lease may have several holders. */
    private final Map<String, List<Kept>> members = new LinkedHashMap<>();

    /** The last renewal of each of them. */
    private final Map<String, Message> renewed = new HashMap<>();

    private KeepingStream stream;
    private ScheduledFuture<?> age;

    private Batch(List<Kept> kept) {
      kept.forEach(this::add);
    }

    private void add(Kept kept) {
      members.computeIfAbsent(kept.name, name -> new ArrayList<>()).add(kept);
    }

    private List<Kept> all() {
      return members.values().stream().flatMap(List::stream).toList();
    }

    KeepingStream stream() {
      return stream;
    }

    /** What has no newer stream. */
    private List<Kept> current() {
      return all().stream().filter(one -> one.newest == this && one.isHeldState()).toList();
    }

    private void opened(KeepingStream opened, long reopenAfter) {
      stream = opened;
      long after = reopenAfter - ThreadLocalRandom.current().nextLong(reopenAfter / 5);
      age = connections.loop.schedule(() -> growOld(this), after, TimeUnit.NANOSECONDS);
    }

    /** Takes out what the stream no longer matters to; returns what completes when the server has nothing to add. */
    CompletableFuture<Void> leave(Kept kept) {
      List<Kept> holders = members.getOrDefault(kept.name, new ArrayList<>());
      holders.remove(kept);
      if (holders.isEmpty()) {
        members.remove(kept.name);
      }
      if (!members.isEmpty()) {
        return CompletableFuture.completedFuture(null);
      }
      retire();
      return stream.finish();
    }

    private void retire() {
      shared.remove(this);
      age.cancel(false);
    }

    @Override
    public void heard(KeepingStream from, Message message) {
      if (message.kind() == Kind.DRAINING) {
        List<Kept> moving = current();
        if (!moving.isEmpty()) {
          connections.leave(from.seat);
          String why = from.seat.address() + " is shutting down";
          moving.forEach(one -> need(one, 0, why));
        }
        return;
      }
      String name =
          message.about().isEmpty() && !members.isEmpty() ? members.keySet().iterator().next() : message.about();
      if (message.kind() == Kind.RENEWED) {
        renewed.put(name, message);
      }
      List.copyOf(members.getOrDefault(name, List.of())).forEach(one -> one.heard(this, message));
    }

    @Override
    public void ended(KeepingStream from, LeaseholdException error) {
      retire();
      List<Kept> left = current();
      // One of them may be what the server refuses, and must not cost the others.
      boolean isAlone = members.size() > 1 && !error.passes() && !error.reason().equals("MOVED");
      all().forEach(one -> one.lostStream(this));
      members.clear();
      if (left.isEmpty() || connections.isClosed()) {
        return;
      }
      // MOVED on the newest stream means that an older request arrived after it: opening another one answers that.
      if (!error.reason().equals("MOVED")) {
        connections.leave(from.seat);
      }
      int failures = left.stream().mapToInt(one -> one.failures++).max().orElse(0);
      long pause = Connections.fullJitter(failures);
      for (Kept one : left) {
        one.isAlone |= isAlone;
        setBroken(one, true);
        need(one, Math.max(pause, error.retryAfter().toNanos()), error.getMessage());
      }
    }
  }

  /** Keeps a lease by the stream that granted it. The owner of the stream passes on what it hears. */
  Batch keepBy(KeepingStream granted, Kept kept) {
    Batch batch = new Batch(List.of(kept));
    batch.opened(granted, HOLD_FOR);
    kept.newest = batch;
    if (kept.isHeldState()) {
      kept.listen();
    } else {
      batch.leave(kept); // the grant came too late
    }
    return batch;
  }

  /** Keeps what a unary call began. */
  void keep(Kept kept) {
    needSilently(kept, 0);
  }

  /** Opens another stream for it, soon after a pause; a stream that it has goes on until then. */
  void need(Kept kept, long pauseNanos, String because) {
    // On a closed client nothing renews it any more; it is held until its deadline all the same.
    if (kept.isHeldState() && !connections.isClosed() && !needy.containsKey(kept)) {
      kept.reopens(because);
      needSilently(kept, pauseNanos);
    }
  }

  private void needSilently(Kept kept, long pauseNanos) {
    if (!kept.isHeldState() || connections.isClosed()) {
      return;
    }
    kept.stopWaiting();
    // It waits as long as the server asks, unless that would surely lose it.
    long left = kept.remaining();
    long now = System.nanoTime();
    long from = now + Math.min(pauseNanos, left / 2);
    needy.put(kept, from);
    openAt(from + (kept.own == null ? Math.min(COLLECT_FOR, left / 4) : 0));
  }

  private void openAt(long when) {
    if (opening != null && openingAt - when <= 0) {
      return;
    }
    if (opening != null) {
      opening.cancel(false);
    }
    openingAt = when;
    opening = connections.loop.schedule(this::openNeedy, when - System.nanoTime(), TimeUnit.NANOSECONDS);
  }

  private void openNeedy() {
    opening = null;
    if (connections.isClosed()) {
      needy.clear();
      return;
    }
    long soon = System.nanoTime() + COLLECT_FOR;
    List<Kept> leases = new ArrayList<>();
    List<Kept> others = new ArrayList<>();
    for (Iterator<Map.Entry<Kept, Long>> all = needy.entrySet().iterator(); all.hasNext(); ) {
      var one = all.next();
      if (one.getValue() - soon <= 0) {
        (one.getKey().own == null ? leases : others).add(one.getKey());
        all.remove();
      }
    }
    others.forEach(one -> open(List.of(one)));
    // Those that are closest to their ends come first; by what is left now, since a sort must not see the time pass.
    Map<Kept, Long> left = new HashMap<>();
    leases.forEach(one -> left.put(one, one.remaining()));
    leases.sort(Comparator.comparing(left::get));
    List<Kept> together = new ArrayList<>();
    for (Kept one : leases) {
      if (one.isAlone) {
        open(List.of(one));
      } else if (!follow(one)) {
        together.add(one);
      }
    }
    for (int from = 0; from < together.size(); from += MOST_IN_BATCH) {
      open(together.subList(from, Math.min(from + MOST_IN_BATCH, together.size())));
    }
    needy.values().stream().min(Comparator.naturalOrder()).ifPresent(this::openAt);
  }

  /**
   * Puts a lease on the stream that keeps the same lease for another holder of this client: a stream of its own would
   * take the lease from that one, which would take it back, without an end.
   */
  private boolean follow(Kept kept) {
    if (kept.newest != null || !kept.isHeldState()) {
      return false;
    }
    for (Batch batch : shared) {
      Message last = batch.renewed.get(kept.name);
      if (last != null && batch.current().stream().anyMatch(one -> one.name.equals(kept.name))) {
        batch.add(kept);
        kept.opened(batch);
        kept.heard(batch, last);
        return true;
      }
    }
    return false;
  }

  private void open(List<Kept> members) {
    List<Kept> held = members.stream().filter(Kept::isHeldState).toList();
    if (held.isEmpty()) {
      return;
    }
    Batch batch = new Batch(held);
    Kept first = held.get(0);
    KeepingStream.Call<?, ?> call = first.own == null ? keepAlive(held) : first.own;
    batch.opened(call.open(connections, Connections.Kind.KEEPING, batch), REOPEN_AFTER);
    if (first.own == null) {
      shared.add(batch);
    }
    for (Kept kept : held) {
      needy.remove(kept);
      kept.opened(batch);
    }
  }

  /** Opens a stream anew, and takes in the leases of others that are less than half full. */
  private void growOld(Batch batch) {
    List<Kept> members = new ArrayList<>(batch.current());
    if (members.isEmpty() || connections.isClosed()) {
      return;
    }
    if (members.get(0).own == null && !shared.contains(batch)) {
      members.forEach(one -> needSilently(one, 0)); // from the stream that granted it to those of many
      return;
    }
    if (shared.contains(batch) && !members.get(0).isAlone) {
      Set<String> names = new HashSet<>(batch.members.keySet());
      for (Batch other : shared) {
        List<Kept> more = other == batch ? List.of() : other.current();
        boolean fits = more.size() * 2 < MOST_IN_BATCH && members.size() + more.size() <= MOST_IN_BATCH;
        if (fits && more.stream().noneMatch(one -> one.isAlone || names.contains(one.name))) {
          members.addAll(more);
          more.forEach(one -> names.add(one.name));
        }
      }
    }
    open(members);
  }

  private static KeepingStream.Call<KeepAliveRequest, KeepAliveResponse> keepAlive(List<Kept> leases) {
    KeepAliveRequest.Builder request = KeepAliveRequest.newBuilder().setRenewFor(RENEW_FOR);
    leases.stream().map(one -> one.lease).distinct().forEach(request::addLeases);
    return new KeepingStream.Call<>(
        LockServiceGrpc.getKeepAliveMethod(),
        request.build(),
        response -> {
          Message message =
              switch (response.getEventCase()) {
                case RENEWED -> Message.renewed(response.getRenewed().getValidFor());
                case AT_RISK -> Locking.atRisk(response.getAtRisk());
                case LOST -> Locking.lost(response.getLost());
                case MOVED -> Message.of(Kind.MOVED);
                case DRAINING -> Message.of(Kind.DRAINING);
                default -> Message.of(Kind.OTHER);
              };
          return message.about(Message.nameOf(response.getResource(), response.getLeaseId()));
        });
  }

  /** Forgets what is over; its newest stream goes on until {@link Batch#leave}. */
  void forget(Kept kept) {
    needy.remove(kept);
    setBroken(kept, false);
  }

  /** Takes down whether it lost its stream and hasn't heard of a new one. */
  void setBroken(Kept kept, boolean isBroken) {
    synchronized (broken) {
      boolean changed = isBroken ? broken.add(kept) : broken.remove(kept);
      if (changed && broken.isEmpty()) {
        broken.notifyAll();
      }
    }
  }

  /**
   * Waits until all that is held has heard of its new streams, for 2 s at most. What waits calls it, in any thread,
   * before it opens a stream again: it loses only time by that.
   */
  void letHoldersGoFirst(long mostNanos) throws InterruptedException {
    long until = System.nanoTime() + Math.min(HOLDERS_FIRST, mostNanos);
    synchronized (broken) {
      for (long left = until - System.nanoTime();
          !broken.isEmpty() && !isClosed && left > 0;
          left = until - System.nanoTime()) {
        TimeUnit.NANOSECONDS.timedWait(broken, left);
      }
    }
  }

  /** Lets go of all threads that wait. Any thread can call it. */
  void close() {
    synchronized (broken) {
      isClosed = true;
      broken.notifyAll();
    }
  }
}
