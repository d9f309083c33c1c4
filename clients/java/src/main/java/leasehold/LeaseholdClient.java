package leasehold;

import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import java.util.List;

/**
 * The connections to a deployment. Make one and share it.
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
    connections = new Connections(builder.addresses, builder.credentials, builder.token);
    owner = builder.owner;
    locking = new Locking(connections, owner);
  }

  /** {@code addresses}: "host:port" of the instances. */
  public static Builder builder(String... addresses) {
    return new Builder(List.of(addresses));
  }

  /** Plain text, without a token, if nothing else is said. */
  public static final class Builder {
    private final List<String> addresses;
    private ChannelCredentials credentials = InsecureChannelCredentials.create();
    private String token;
    private String owner = "";

    private Builder(List<String> addresses) {
      this.addresses = addresses;
    }

    /** TLS, for example {@code TlsChannelCredentials.create()}. */
    public Builder credentials(ChannelCredentials credentials) {
      this.credentials = credentials;
      return this;
    }

    /** Sent with every call. */
    public Builder token(String token) {
      this.token = token;
      return this;
    }

    /** Tells people who holds a lease or runs an operation. */
    public Builder owner(String owner) {
      this.owner = owner;
      return this;
    }

    /** It connects when it is used. */
    public LeaseholdClient build() {
      return new LeaseholdClient(this);
    }
  }

  /** As {@link #lock(String, LockOptions)} with {@link LockOptions#DEFAULT}. */
  public Lease lock(String resource) throws InterruptedException {
    return lock(resource, LockOptions.DEFAULT);
  }

  /**
   * Takes a lease and keeps it alive. When it throws, also because the thread was interrupted, nothing is left in a
   * queue, as far as a server could be reached.
   *
   * @throws LeaseholdException.Contended when someone else has it and the wait, if any, is over
   */
  public Lease lock(String resource, LockOptions options) throws InterruptedException {
    return locking.lock(resource, options);
  }

  /** As {@code lock} without a wait; null when someone else has it. */
  public Lease tryLock(String resource, LockOptions options) throws InterruptedException {
    try {
      return lock(resource, options.withWait(java.time.Duration.ZERO));
    } catch (LeaseholdException.Contended e) {
      return null;
    }
  }

  /** Takes leases on up to 32 resources, all or none. Close each of them. */
  public List<Lease> lockMany(List<String> resources, LockOptions options) throws InterruptedException {
    return locking.lockMany(resources, options);
  }

  /** Records of long-running work, each run by one worker at a time. */
  public Operations operations() {
    return new Operations(connections, owner);
  }

  /** Ends all calls and connections. Leases that are held aren't renewed any more, and end with their deadlines. */
  @Override
  public void close() {
    connections.close();
  }
}
