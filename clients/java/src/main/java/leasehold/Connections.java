package leasehold;

import io.grpc.CallOptions;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * The connections to a deployment: of three kinds to each instance, so that nothing that waits takes the place of what
 * keeps a lease or gives one back. All instances are alike: calls stay with one while it answers, and go on to the next
 * when it doesn't.
 */
final class Connections {
  /** How long the client tries a call that it can repeat, in nanoseconds. */
  static final long ANSWER_WITHIN = TimeUnit.SECONDS.toNanos(10);

  /**
   * How long the first try can take, in nanoseconds: an instance that hangs must not use up all the time. Each try that
   * wasn't answered doubles it, so that a slow link needs only enough time in all.
   */
  static final long TRY_FOR = TimeUnit.SECONDS.toNanos(3);

  /**
   * How long a call that asks each instance once goes on at least, in nanoseconds: for so long the library fails calls
   * by what it knows of its last attempt to connect.
   */
  static final long HURRY = TimeUnit.SECONDS.toNanos(1);

  /** How often, in nanoseconds, failing calls make the library connect at once. */
  private static final long HURRY_EVERY = TimeUnit.MILLISECONDS.toNanos(50);

  private static final long FIRST_BACKOFF = TimeUnit.MILLISECONDS.toNanos(100);
  private static final long MOST_BACKOFF = TimeUnit.SECONDS.toNanos(2);

  /**
   * The client's own thread: everything that no caller's thread does happens here, one thing after the other. It keeps
   * no process alive.
   */
  final ScheduledThreadPoolExecutor loop;

  /** What keeps the leases of this client. */
  final Keeper keeper = new Keeper(this);

  private final List<Seat> seats;
  private int at;
  private volatile boolean isClosed;

  /** What a call does with its connection. */
  enum Kind {
    /** It is answered at once. */
    CALL,
    /** It keeps leases or an attempt. */
    KEEPING,
    /** It may take long. */
    WAITING
  }

  /** The connections to one instance. */
  static final class Seat {
    private final String address;
    private final Map<Kind, Pool> pools = new EnumMap<>(Kind.class);
    private long hurriedAt = System.nanoTime() - HURRY_EVERY;

    private Seat(String address, Supplier<Pool> pool) {
      this.address = address;
      for (Kind kind : Kind.values()) {
        pools.put(kind, pool.get());
      }
    }

    String address() {
      return address;
    }

    Pool pool(Kind kind) {
      return pools.get(kind);
    }
  }

  /** How long a call may take, and how it waits; spans are in nanoseconds. */
  record Bounds(Kind kind, long within, long queued, boolean asksOnce) {
    static final Bounds AT_ONCE = new Bounds(Kind.CALL, ANSWER_WITHIN, 0, false);

    /** A call that waits at the server, for a part of {@code within}. */
    static Bounds waiting(long within, long queued) {
      return new Bounds(queued > 0 ? Kind.WAITING : Kind.CALL, within, queued, false);
    }
  }

  /** An answer, and the moment before the answered try was sent: {@code valid_for} counts from there. */
  record Answered<T>(T response, Deadline.Sent sent) {}

  Connections(List<String> addresses, ChannelCredentials credentials, String token, int streamsPerConnection) {
    if (addresses.isEmpty()) {
      throw new IllegalArgumentException("addresses is empty: give the \"host:port\" of at least one instance");
    }
    Metadata metadata = new Metadata();
    if (token != null) {
      metadata.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + checked(token));
    }
    ClientInterceptor authorization = MetadataUtils.newAttachHeadersInterceptor(metadata);
    loop =
        new ScheduledThreadPoolExecutor(
            1,
            run -> {
              Thread thread = new Thread(run, "leasehold");
              thread.setDaemon(true);
              return thread;
            });
    loop.setRemoveOnCancelPolicy(true);
    // A closed client needs its thread only until its leases are over.
    loop.setKeepAliveTime(10, TimeUnit.SECONDS);
    loop.allowCoreThreadTimeOut(true);
    seats =
        addresses.stream()
            .map(
                address ->
                    new Seat(
                        address,
                        () ->
                            new Pool(
                                () -> connect(address, credentials, authorization), streamsPerConnection, loop)))
            .toList();
    at = ThreadLocalRandom.current().nextInt(seats.size());
  }

  /**
   * Returns the token without the white space around it: secrets often end in a newline. A header that can't carry the
   * rest would be left out by the library, which logs all of it; so the error here doesn't show it either.
   */
  private static String checked(String token) {
    String stripped = token.strip();
    if (!stripped.matches("[\\x21-\\x7e]+")) {
      throw new IllegalArgumentException(
          "token must be printable ASCII without spaces (it is not shown here). Give the token alone, without \"Bearer\";"
              + " null stands for no token.");
    }
    return stripped;
  }

  private static ManagedChannel connect(String address, ChannelCredentials credentials, ClientInterceptor interceptor) {
    if (!address.matches("(.+|\\[.+\\]):\\d{1,5}")) {
      throw new IllegalArgumentException(
          "\"" + address + "\" is not an address: give \"host:port\", for example \"127.0.0.1:50051\"");
    }
    return Grpc.newChannelBuilder(address, credentials)
        .intercept(interceptor)
        // This client repeats calls itself: the library knows neither the deadline of a lease nor RetryInfo.
        .disableRetry()
        .keepAliveTime(20, TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS)
        .build();
  }

  boolean isClosed() {
    return isClosed;
  }

  /** Returns the instance that calls go to now. */
  synchronized Seat seat() {
    return seats.get(at);
  }

  /** How many instances there are. */
  int instances() {
    return seats.size();
  }

  /** Sends calls to the next instance, if they still go to this one. */
  synchronized void leave(Seat left) {
    if (seats.get(at) == left) {
      at = (at + 1) % seats.size();
    }
    // All calls of a broken connection come here, and one of them is enough.
    long now = System.nanoTime();
    if (now - left.hurriedAt >= HURRY_EVERY) {
      left.hurriedAt = now;
      left.pools.values().forEach(Pool::hurry);
    }
  }

  /** Ends all calls and connections. */
  void close() {
    isClosed = true;
    for (Seat seat : seats) {
      seat.pools.values().forEach(Pool::close);
    }
    keeper.close();
  }

  /** Repeats a call with the same ids until a server answers it: a repeat has no second effect. */
  <Q, R> Answered<R> unary(MethodDescriptor<Q, R> method, Q request, Bounds bounds) throws InterruptedException {
    long start = System.nanoTime();
    long giveUp = start + bounds.within();
    long patience = TRY_FOR;
    for (int tries = 0; ; tries++) {
      if (isClosed) {
        throw LeaseholdException.closed();
      }
      Seat seat = seat();
      long left = Math.max(1, Math.min(bounds.queued() + patience, giveUp - System.nanoTime()));
      CallOptions options = CallOptions.DEFAULT.withDeadlineAfter(left, TimeUnit.NANOSECONDS);
      Deadline.Sent sent = Deadline.now();
      LeaseholdException failure;
      try {
        Pool pool = seat.pool(bounds.kind());
        return new Answered<>(ClientCalls.blockingUnaryCall(pool, method, options, request), sent);
      } catch (StatusRuntimeException thrown) {
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
        failure = isClosed ? LeaseholdException.closed() : LeaseholdException.of(thrown, seat.address());
        if (thrown.getStatus().getCode() == Status.Code.DEADLINE_EXCEEDED) {
          patience *= 2;
        }
      }
      if (!failure.passes()) {
        throw failure;
      }
      leave(seat);
      long pause = Math.max(failure.retryAfter().toNanos(), fullJitter(tries));
      if (isOver(start, giveUp, bounds.asksOnce(), tries + 1, pause)) {
        throw failure;
      }
      TimeUnit.NANOSECONDS.sleep(pause);
      if (bounds.kind() == Kind.WAITING) {
        keeper.letHoldersGoFirst(giveUp - System.nanoTime());
      }
    }
  }

  /** Returns whether a call that failed {@code asked} times ends now, since its time is over after {@code pause}. */
  boolean isOver(long start, long giveUp, boolean asksOnce, int asked, long pause) {
    boolean wasAsked = asksOnce && asked >= seats.size();
    long end = wasAsked && start + HURRY - giveUp < 0 ? start + HURRY : giveUp;
    return System.nanoTime() + pause - end >= 0;
  }

  <Q, R> Answered<R> unary(MethodDescriptor<Q, R> method, Q request) throws InterruptedException {
    return unary(method, request, Bounds.AT_ONCE);
  }

  /**
   * Returns nanoseconds from the whole span below a bound that doubles, so that callers that failed together don't come
   * back together.
   */
  static long fullJitter(int tries) {
    long bound = Math.min(MOST_BACKOFF, FIRST_BACKOFF << Math.min(tries, 10));
    return ThreadLocalRandom.current().nextLong(bound);
  }
}
