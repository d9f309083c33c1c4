package leasehold;

import java.time.Duration;
import java.util.Map;
import leasehold.v1.BeginOperationRequest;
import leasehold.v1.LeaseSpec;

/** What is to be done. {@link #of} names it; each other method answers with a changed spec. */
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
   * @param resource what the work is about
   * @param operationId names it there; derive it from what triggered the work, and triggering it twice does it once
   * @param type the kind of work, by which workers claim
   */
  public static OperationSpec of(String resource, String operationId, String type) {
    return new OperationSpec(
        resource, operationId, type, null, Map.of(), null, null, null, false, 0, LockOptions.FOREVER);
  }

  /** What a worker needs to know: plain data or a protobuf message. */
  public OperationSpec withData(Object data) {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, lockTtl, exclusive, maxAttempts, waitFor);
  }

  /** To find it by. */
  public OperationSpec withLabels(Map<String, String> labels) {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, lockTtl, exclusive, maxAttempts, waitFor);
  }

  /** How long a running attempt may be silent before another worker takes over. */
  public OperationSpec withHeartbeat(Duration heartbeat) {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, lockTtl, exclusive, maxAttempts, waitFor);
  }

  /** It is given up if it isn't finished by then. */
  public OperationSpec withTimeToLive(Duration timeToLive) {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, lockTtl, exclusive, maxAttempts, waitFor);
  }

  /** Every attempt takes the exclusive lease of the resource with it. */
  public OperationSpec withLock(Duration ttl) {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, ttl, exclusive, maxAttempts, waitFor);
  }

  /** The only open operation of its resource. */
  public OperationSpec asExclusive() {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, lockTtl, true, maxAttempts, waitFor);
  }

  /** How many attempts may go stale before it is given up. */
  public OperationSpec withMaxAttempts(int maxAttempts) {
    return new OperationSpec(
        resource, operationId, type, data, labels, heartbeat, timeToLive, lockTtl, exclusive, maxAttempts, waitFor);
  }

  /** How long {@code run} waits while another worker runs it; for ever if not given. */
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
