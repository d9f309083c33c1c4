package leasehold;

import com.google.protobuf.Duration;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/**
 * One stream: when it was sent, what it says, and whether it has fallen silent. It decides nothing, and it lives in the
 * loop.
 */
final class KeepingStream {
  /** How long a stream can be silent before it counts as dead: servers say something every 15 s. */
  private static final long SILENCE_SECONDS = 20;

  /** How long a stream whose work is done waits for the server to end it, in nanoseconds. */
  static final long END_WITHIN = TimeUnit.MILLISECONDS.toNanos(500);

  /** The kinds of messages, of any rpc. */
  enum Kind {
    QUEUED,
    GRANTED,
    RENEWED,
    AT_RISK,
    LOST,
    MOVED,
    DRAINING,
    CANCEL_REQUESTED,
    /** What this client doesn't know. */
    OTHER
  }

  /**
   * A message of a stream; {@code lease} only comes with GRANTED.
   *
   * @param about which of the leases of a stream it concerns, {@link #nameOf}; empty where there is only one thing
   */
  record Message(Kind kind, String about, long validForNanos, String detail, leasehold.v1.Lease lease) {
    static Message of(Kind kind) {
      return of(kind, "");
    }

    static Message of(Kind kind, String detail) {
      return new Message(kind, "", 0, detail, null);
    }

    static Message renewed(Duration validFor) {
      return new Message(Kind.RENEWED, "", nanos(validFor), "", null);
    }

    static String nameOf(String resource, String leaseId) {
      return leaseId + " " + resource;
    }

    Message about(String name) {
      return new Message(kind, name, validForNanos, detail, lease);
    }
  }

  /** Hears what happens to a stream, in the loop. */
  interface Listener {
    /** Takes a message of the stream. */
    void heard(KeepingStream from, Message message);

    /** Takes the end of the stream: once, or never if it was cancelled. */
    void ended(KeepingStream from, LeaseholdException error);
  }

  /** The call that makes a stream. */
  record Call<Q, R>(MethodDescriptor<Q, R> method, Q request, Function<R, Message> translate) {
    KeepingStream open(Connections connections, Connections.Kind kind, Listener listener) {
      return new KeepingStream(connections, kind, this, listener);
    }
  }

  final Connections.Seat seat;
  final Deadline.Sent sent;
  private final Connections connections;
  private final Pool.Connection connection;
  private final Listener listener;
  private final ClientCall<?, ?> call;
  private final CompletableFuture<Void> over = new CompletableFuture<>();
  private ScheduledFuture<?> silence;
  private boolean isOver;

  private <Q, R> KeepingStream(
      Connections connections, Connections.Kind kind, Call<Q, R> what, Listener listener) {
    this.connections = connections;
    this.listener = listener;
    seat = connections.seat();
    sent = Deadline.now();
    connection = seat.pool(kind).take();
    ClientCall<Q, R> opened = connection.newCall(what.method(), CallOptions.DEFAULT);
    call = opened;
    opened.start(
        new ClientCall.Listener<R>() {
          @Override
          public void onMessage(R message) {
            Message translated = what.translate().apply(message);
            connections.loop.execute(() -> heard(translated));
            opened.request(1);
          }

          @Override
          public void onClose(Status status, Metadata trailers) {
            LeaseholdException error =
                connections.isClosed()
                    ? LeaseholdException.closed()
                    : status.isOk()
                        ? LeaseholdException.unavailable("the stream ended")
                        : LeaseholdException.of(new StatusRuntimeException(status, trailers), seat.address());
            connections.loop.execute(() -> end(error));
          }
        },
        new Metadata());
    opened.sendMessage(what.request());
    opened.halfClose();
    opened.request(1);
    listen();
  }

  /** Makes the error of a stream that the server left without a first answer. */
  LeaseholdException noFirstAnswer(long withinNanos) {
    return LeaseholdException.noFirstAnswer(seat.address(), withinNanos, connection.open());
  }

  static long nanos(Duration duration) {
    return TimeUnit.SECONDS.toNanos(duration.getSeconds()) + duration.getNanos();
  }

  private void heard(Message message) {
    if (!isOver) {
      listen();
      listener.heard(this, message);
    }
  }

  private void listen() {
    if (silence != null) {
      silence.cancel(false);
    }
    String why = seat.address() + " said nothing for " + SILENCE_SECONDS + " s";
    silence =
        connections.loop.schedule(
            () -> {
              call.cancel(why, null);
              end(LeaseholdException.unavailable(why));
            },
            SILENCE_SECONDS,
            TimeUnit.SECONDS);
  }

  private void end(LeaseholdException error) {
    if (!isOver) {
      stop();
      listener.ended(this, error);
    }
  }

  private void stop() {
    isOver = true;
    silence.cancel(false);
    over.complete(null);
  }

  /** Ends the stream; its listener hears nothing more. */
  void cancel() {
    if (!isOver) {
      stop();
      call.cancel("no longer needed", null);
    }
  }

  /**
   * Ends the stream of what is over or kept by a newer one, after a short wait for the server to do so: a stream that
   * its client cancels counts as CANCELLED there, and a trace shows it as an error.
   *
   * @return completes at the end of the stream
   */
  CompletableFuture<Void> finish() {
    if (!isOver) {
      connections.loop.schedule(this::cancel, END_WITHIN, TimeUnit.NANOSECONDS);
    }
    return over;
  }
}
