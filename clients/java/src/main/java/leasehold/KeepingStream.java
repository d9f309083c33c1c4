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
 * One stream: when it was sent, what it says, and that it has fallen silent. It decides nothing; it lives in the loop.
 */
final class KeepingStream {
  /** Servers say something every 15 s. */
  private static final long SILENCE_SECONDS = 20;

  /** What a message says, whichever rpc it came from. */
  enum Kind {
    QUEUED,
    GRANTED,
    RENEWED,
    AT_RISK,
    LOST,
    DRAINING,
    CANCEL_REQUESTED,
    /** Moved, of which the end of the stream says more; and what this client doesn't know. */
    OTHER
  }

  /** {@code lease} comes with GRANTED alone. */
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

  /** Hears what happens; both in the loop. */
  interface Listener {
    void heard(KeepingStream from, Message message);

    /** Once, unless it was cancelled. */
    void ended(KeepingStream from, LeaseholdException error);
  }

  /** The call that a stream is made of. */
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
    String why = "the server said nothing for " + SILENCE_SECONDS + " s";
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

  /** Nothing more is heard of it. */
  void cancel() {
    isOver = true;
    silence.cancel(false);
    call.cancel("no longer needed", null);
  }
}
