package leasehold;

import io.grpc.CallOptions;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.util.List;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/**
 * The connections to a deployment. Each instance has one for unary calls and one for streams, so that a release never
 * waits behind a thousand streams. All instances are alike: calls stay with one while it answers, and go on to the next
 * when it doesn't.
 */
final class Connections {
  /** How long the client tries a call that it can repeat, in nanoseconds. */
  static final long ANSWER_WITHIN = TimeUnit.SECONDS.toNanos(10);
  /** How long one try can take, in nanoseconds: an instance that hangs must not use up all the time. */
  static final long TRY_FOR = TimeUnit.SECONDS.toNanos(3);

  private static final long FIRST_BACKOFF = TimeUnit.MILLISECONDS.toNanos(100);
  private static final long MOST_BACKOFF = TimeUnit.SECONDS.toNanos(2);

  /**
   * The client's own thread: everything that no caller's thread does happens here, one thing after the other. It keeps
   * no process alive.
   */
  final ScheduledThreadPoolExecutor loop;

  private final List<Seat> seats;
  private int at;
  private volatile boolean isClosed;

  /** The connections to one instance. */
  record Seat(String address, ManagedChannel calls, ManagedChannel streams) {}

  /** An answer, and the moment before the answered try was sent: {@code valid_for} counts from there. */
  record Answered<T>(T response, Deadline.Sent sent) {}

  Connections(List<String> addresses, ChannelCredentials credentials, String token) {
    if (addresses.isEmpty()) {
      throw new IllegalArgumentException("addresses is empty: give the \"host:port\" of at least one instance");
    }
    Metadata metadata = new Metadata();
    if (token != null) {
      metadata.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + checked(token));
    }
    ClientInterceptor authorization = MetadataUtils.newAttachHeadersInterceptor(metadata);
    seats =
        addresses.stream()
            .map(
                address ->
                    new Seat(
                        address,
                        connect(address, credentials, authorization),
                        connect(address, credentials, authorization)))
            .toList();
    at = ThreadLocalRandom.current().nextInt(seats.size());
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

  /** Sends calls to the next instance, if they still go to this one. */
  synchronized void leave(Seat left) {
    if (seats.get(at) == left) {
      at = (at + 1) % seats.size();
    }
    // The library's back-off grows to two minutes, longer than any lease lives; after this it connects at once.
    left.calls().resetConnectBackoff();
    left.streams().resetConnectBackoff();
  }

  /** Ends all calls and connections. */
  void close() {
    isClosed = true;
    for (Seat seat : seats) {
      seat.calls().shutdownNow();
      seat.streams().shutdownNow();
    }
  }

  /**
   * Repeats a call with the same ids until a server answers it: a repeat has no second effect.
   *
   * @param withinNanos bounds all tries together
   * @param tryForNanos bounds each try
   */
  <Q, R> Answered<R> unary(MethodDescriptor<Q, R> method, Q request, long withinNanos, long tryForNanos)
      throws InterruptedException {
    long giveUp = System.nanoTime() + withinNanos;
    for (int tries = 0; ; tries++) {
      if (isClosed) {
        throw LeaseholdException.closed();
      }
      Seat seat = seat();
      long left = Math.max(1, Math.min(tryForNanos, giveUp - System.nanoTime()));
      CallOptions options = CallOptions.DEFAULT.withDeadlineAfter(left, TimeUnit.NANOSECONDS);
      Deadline.Sent sent = Deadline.now();
      LeaseholdException failure;
      try {
        return new Answered<>(ClientCalls.blockingUnaryCall(seat.calls(), method, options, request), sent);
      } catch (StatusRuntimeException thrown) {
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
        failure = isClosed ? LeaseholdException.closed() : LeaseholdException.of(thrown, seat.address());
      }
      if (!failure.passes()) {
        throw failure;
      }
      leave(seat);
      long pause = Math.max(failure.retryAfter().toNanos(), fullJitter(tries));
      if (System.nanoTime() + pause - giveUp > 0) {
        throw failure;
      }
      TimeUnit.NANOSECONDS.sleep(pause);
    }
  }

  <Q, R> Answered<R> unary(MethodDescriptor<Q, R> method, Q request) throws InterruptedException {
    return unary(method, request, ANSWER_WITHIN, TRY_FOR);
  }

  <Q, R> ClientCall<Q, R> stream(Seat seat, MethodDescriptor<Q, R> method) {
    return seat.streams().newCall(method, CallOptions.DEFAULT);
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
