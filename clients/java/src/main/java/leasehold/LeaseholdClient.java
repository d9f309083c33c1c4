package leasehold;

import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.List;

/**
 * The connections to a deployment. Make one and share it: all threads can use it.
 *
 * <pre>{@code
 * try (Lease lease = client.lock("invoice:42", LockOptions.DEFAULT.withWait(Duration.ofSeconds(30)))) {
 *   write(lease.fencingToken());
 * }
 * }</pre>
 */
public final class LeaseholdClient implements AutoCloseable {
  private final Connections connections;
  private final String owner;
  private final Locking locking;

  private LeaseholdClient(Builder builder) {
    connections = new Connections(builder.addresses, builder.credentials, builder.token, builder.streamsPerConnection);
    owner = builder.owner == null ? pidAtHost() : builder.owner;
    locking = new Locking(connections, owner);
  }

  private static String pidAtHost() {
    String host;
    try {
      host = InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException e) {
      host = "unknown";
    }
    return ProcessHandle.current().pid() + "@" + host;
  }

  /**
   * Returns a builder of a client.
   *
   * @param addresses the {@code "host:port"} of one instance or of several
   */
  public static Builder builder(String... addresses) {
    return new Builder(List.of(addresses));
  }

  /** Makes a client. Without further calls it uses plain text and no token. */
  public static final class Builder {
    private final List<String> addresses;
    private ChannelCredentials credentials = InsecureChannelCredentials.create();
    private String token;
    private String owner;
    private int streamsPerConnection = 100;

    private Builder(List<String> addresses) {
      this.addresses = addresses;
    }

    /** Sets how to reach the servers, for example by TLS with {@code TlsChannelCredentials.create()}. */
    public Builder credentials(ChannelCredentials credentials) {
      this.credentials = credentials;
      return this;
    }

    /** Sets the token that goes with every call; white space around it is left out. Null stands for no token. */
    public Builder token(String token) {
      this.token = token;
      return this;
    }

    /** Sets the name that tells people who holds a lease or runs an operation; {@code pid@host} if not given. */
    public Builder owner(String owner) {
      this.owner = owner;
      return this;
    }

    /**
     * Sets how many calls are open on a connection at most, before the client opens another one; 100 if not given. Give
     * what a proxy allows, if that is less.
     *
     * @throws LeaseholdException.InvalidArgument for less than 1
     */
    public Builder streamsPerConnection(int streamsPerConnection) {
      this.streamsPerConnection = Numbers.count("streamsPerConnection", streamsPerConnection, 1);
      return this;
    }

    /**
     * Makes the client, which connects with the first call.
     *
     * @throws IllegalArgumentException for an address or a token that isn't one
     */
    public LeaseholdClient build() {
      return new LeaseholdClient(this);
    }
  }

  /** Does what {@link #lock(String, LockOptions)} does with {@link LockOptions#DEFAULT}. */
  public Lease lock(String resource) throws InterruptedException {
    return lock(resource, LockOptions.DEFAULT);
  }

  /**
   * Takes a lease and keeps it alive. When it throws, even because the thread was interrupted, it leaves nothing in a
   * queue, as far as a server answers.
   *
   * @throws LeaseholdException.Contended when someone else has the resource and the wait is over
   */
  public Lease lock(String resource, LockOptions options) throws InterruptedException {
    return locking.lock(resource, options);
  }

  /** Does what {@code lock} does without a wait, but returns null when someone else has the resource. */
  public Lease tryLock(String resource, LockOptions options) throws InterruptedException {
    try {
      return lock(resource, options.withWait(java.time.Duration.ZERO));
    } catch (LeaseholdException.Contended e) {
      return null;
    }
  }

  /**
   * Takes leases on up to 32 resources, all or none, and keeps them alive. Close each of them. One call waits at most
   * 30 minutes, even with a longer wait.
   *
   * @throws LeaseholdException.Contended when someone else has one of the resources and the wait, if any, is over
   */
  public List<Lease> lockMany(List<String> resources, LockOptions options) throws InterruptedException {
    return locking.lockMany(resources, options);
  }

  /** Returns the operations of the deployment. */
  public Operations operations() {
    return new Operations(connections, owner);
  }

  /** Ends all calls and connections. Nothing renews the leases that are held: they end with their deadlines. */
  @Override
  public void close() {
    connections.close();
  }
}
