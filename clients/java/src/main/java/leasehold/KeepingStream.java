package leasehold;

import com.google.protobuf.Duration;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
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

  /** The kinds of messages, of any rpc. */
  enum Kind {
    QUEUED,
    GRANTED,
    RENEWED,
    AT_RISK,
    LOST,
    DRAINING,
    CANCEL_REQUESTED,
    /** Moved, after which the end of the stream says more; and what this client doesn't know. */
    OTHER
  }

  /** A message of a stream; {@code lease} only comes with GRANTED. */
  record Message(Kind kind, long validForNanos, String detail, leasehold.v1.Lease lease) {
    static Message of(Kind kind) {
      return new Message(kind, 0, "", null);
    }

    static Message of(Kind kind, String detail) {
      return new Message(kind, 0, detail, null);
    }

    static Message renewed(Duration validFor) {
      return new Message(Kind.RENEWED, nanos(validFor), "", null);
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
    KeepingStream open(Connections connections, Listener listener) {
      return new KeepingStream(connections, this, listener);
    }
  }

  final Connections.Seat seat;
  final Deadline.Sent sent;
  private final Connections connections;
  private final Listener listener;
  private final ClientCall<?, ?> call;
  private ScheduledFuture<?> silence;
  private boolean isOver;

  private <Q, R> KeepingStream(Connections connections, Call<Q, R> what, Listener listener) {
    this.connections = connections;
    this.listener = listener;
    seat = connections.seat();
    sent = Deadline.now();
    ClientCall<Q, R> opened = connections.stream(seat, what.method());
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
      isOver = true;
      silence.cancel(false);
      listener.ended(this, error);
    }
  }

  /** Ends the stream; its listener hears nothing more. */
  void cancel() {
    isOver = true;
    silence.cancel(false);
    call.cancel("no longer needed", null);
  }
}
