package leasehold;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * The connections of one kind to one instance. A connection allows a number of open calls, and calls beyond it wait
 * without a word: so another connection is opened before that.
 */
final class Pool extends Channel {
  /** How long one of several connections may be without a call before it is closed, in nanoseconds. */
  private static final long IDLE_FOR = TimeUnit.MINUTES.toNanos(1);

  private final Supplier<ManagedChannel> connect;
  private final int mostCalls;
  private final ScheduledExecutorService loop;
  /** Never empty: a connection that has nothing to do costs nothing before its first call. */
  private final List<Connection> connections = new ArrayList<>();

  private boolean isClosed;

  Pool(Supplier<ManagedChannel> connect, int mostCalls, ScheduledExecutorService loop) {
    this.connect = connect;
    this.mostCalls = mostCalls;
    this.loop = loop;
    connections.add(new Connection());
  }

  /** One connection, and how many calls are open on it. */
  final class Connection {
    private final ManagedChannel channel = connect.get();
    private int open;
    private long idleSince;

    int open() {
      synchronized (Pool.this) {
        return open;
      }
    }

    /** Makes the call for which {@link Pool#take} reserved this connection. */
    <Q, R> ClientCall<Q, R> newCall(MethodDescriptor<Q, R> method, CallOptions options) {
      return new SimpleForwardingClientCall<Q, R>(channel.newCall(method, options)) {
        @Override
        public void start(Listener<R> listener, Metadata headers) {
          try {
            super.start(
                new SimpleForwardingClientCallListener<R>(listener) {
                  @Override
                  public void onClose(Status status, Metadata trailers) {
                    giveBack(Connection.this);
                    super.onClose(status, trailers);
                  }
                },
                headers);
          } catch (RuntimeException e) {
            giveBack(Connection.this);
            throw e;
          }
        }
      };
    }
  }

  /** Reserves a place on a connection for one call, which must follow. */
  synchronized Connection take() {
    Connection found = null;
    for (Connection connection : connections) {
      if (connection.open < mostCalls) {
        found = connection;
        break;
      }
    }
    if (found == null) {
      found = isClosed ? connections.get(0) : new Connection();
      if (!isClosed) {
        connections.add(found);
      }
    }
    found.open++;
    return found;
  }

  private synchronized void giveBack(Connection connection) {
    connection.open--;
    if (connection.open == 0 && connections.size() > 1 && !isClosed) {
      connection.idleSince = System.nanoTime();
      loop.schedule(() -> closeIdle(connection), IDLE_FOR, TimeUnit.NANOSECONDS);
    }
  }

  private synchronized void closeIdle(Connection connection) {
    boolean isIdle = connection.open == 0 && System.nanoTime() - connection.idleSince >= IDLE_FOR;
    if (isIdle && connections.size() > 1 && connections.remove(connection)) {
      connection.channel.shutdown();
    }
  }

  /** How many connections there are. */
  synchronized int size() {
    return connections.size();
  }

  @Override
  public <Q, R> ClientCall<Q, R> newCall(MethodDescriptor<Q, R> method, CallOptions options) {
    return take().newCall(method, options);
  }

  @Override
  public synchronized String authority() {
    return connections.get(0).channel.authority();
  }

  /** Connects at once where the library would wait: its back-off grows to two minutes, longer than any lease lives. */
  synchronized void hurry() {
    connections.forEach(connection -> connection.channel.resetConnectBackoff());
  }

  synchronized void close() {
    isClosed = true;
    connections.forEach(connection -> connection.channel.shutdownNow());
  }
}
