package leasehold;

import java.time.Duration;
import java.util.Map;
import leasehold.v1.BeginOperationRequest;
import leasehold.v1.LeaseSpec;

/**
 * The operation that a caller asks for. {@link #of} names it; each other method returns a changed spec. Null stands for
 * the default; a number that means nothing is refused at once ({@link LeaseholdException.InvalidArgument}).
 */
public record OperationSpec(
    String resource,
    String operationId,
    String type,
    Object data,
    Map<String, String> labels,
    Duration heartbeat,
    Duration timeToLive,
    Duration lockTtl,
    boolean exclusive,
    int maxAttempts,
    Duration waitFor) {

  /**
   * Takes each part. Users call {@link #of} and the methods of what it returns.
   *
   * @throws LeaseholdException.InvalidArgument for a number that means nothing
   */
  public OperationSpec {
    labels = labels == null ? Map.of() : labels;
    heartbeat = Numbers.aboveZero("withHeartbeat", heartbeat);
    timeToLive = Numbers.aboveZero("withTimeToLive", timeToLive);
    lockTtl = Numbers.aboveZero("withLock", lockTtl);
    maxAttempts = Numbers.count("withMaxAttempts", maxAttempts, 0);
    waitFor = waitFor == null ? LockOptions.FOREVER : Numbers.wait("withWait", waitFor);
  }

  /**
   * Names an operation.
   *
   * @param resource what the work is about
   * @param operationId names the work there; derive it from what triggers the work, and the work is done once even if
   *     it is triggered twice
   * @param type the kind of work, by which workers claim
   */
  public static OperationSpec of(String resource, String operationId, String type) {
    return new OperationSpec(
        resource, operationId, type, null, Map.of(), null, null, null, false, 0, LockOptions.FOREVER);
  }

  /** Sets what a worker needs to know: plain data (null, Boolean, Number, String, List, Map) or a protobuf message. */
  public OperationSpec withData(Object data) {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, lockTtl, exclusive, maxAttempts, waitFor);
  }

  /** Sets labels for finding the operation. */
  public OperationSpec withLabels(Map<String, String> labels) {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, lockTtl, exclusive, maxAttempts, waitFor);
  }

  /** Sets how long a running attempt can be silent before another worker takes over. */
  public OperationSpec withHeartbeat(Duration heartbeat) {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, lockTtl, exclusive, maxAttempts, waitFor);
  }

  /** Sets when the server gives the operation up if it isn't finished; never if not given. */
  public OperationSpec withTimeToLive(Duration timeToLive) {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, lockTtl, exclusive, maxAttempts, waitFor);
  }

  /** Makes every attempt also take an exclusive lease on the resource with this TTL. */
  public OperationSpec withLock(Duration ttl) {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, ttl, exclusive, maxAttempts, waitFor);
  }

  /** Makes it the only open operation of its resource. */
  public OperationSpec asExclusive() {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, lockTtl, true, maxAttempts, waitFor);
  }

  /**
   * Sets how many attempts can go stale before the server gives the operation up, 1 to 1,000; 0 for the server's
   * default.
   */
  public OperationSpec withMaxAttempts(int maxAttempts) {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, lockTtl, exclusive, maxAttempts, waitFor);
  }

  /** Sets how long {@code run} waits while another worker runs the operation; for ever if not given. */
  public OperationSpec withWait(Duration waitFor) {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, lockTtl, exclusive, maxAttempts, waitFor);
  }

  BeginOperationRequest.Builder request(String owner) {
    BeginOperationRequest.Builder request =
        BeginOperationRequest.newBuilder()
            .setResource(resource)
            .setOperationId(operationId)
            .setType(type)
            .putAllLabels(labels)
            .setOwner(owner)
            .setExclusive(exclusive)
            .setMaxAttempts(maxAttempts);
    if (data != null) {
      request.setData(Payload.pack(data));
    }
    if (heartbeat != null) {
      request.setHeartbeatTimeout(LockOptions.proto(heartbeat));
    }
    if (timeToLive != null) {
      request.setTimeToLive(LockOptions.proto(timeToLive));
    }
    if (lockTtl != null) {
      request.setLock(LeaseSpec.newBuilder().setTtl(LockOptions.proto(lockTtl)));
    }
    return request;
  }
}
