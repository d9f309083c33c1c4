package leasehold;

import com.google.rpc.Code;
import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import leasehold.v1.BeginOperationRequest;
import leasehold.v1.CancelOperationRequest;
import leasehold.v1.ClaimOperationsRequest;
import leasehold.v1.GetOperationRequest;
import leasehold.v1.Operation;
import leasehold.v1.OperationState;
import leasehold.v1.OperationStoreServiceGrpc;
import leasehold.v1.WaitOperationRequest;

/** Records of long-running work, each run by one worker at a time. */
public final class Operations {
  /** How long one wait for another worker is before the client tries Begin again, in nanoseconds: it may have died. */
  static final long JOIN_FOR = TimeUnit.SECONDS.toNanos(10);

  private static final Set<String> STILL_TAKEN = Set.of("ATTEMPT_HELD", "LOCK_CONTENDED", "OPERATION_OPEN");

  private final Connections connections;
  private final String owner;

  Operations(Connections connections, String owner) {
    this.connections = connections;
    this.owner = owner;
  }

  /** Does an operation. */
  @FunctionalInterface
  public interface Work {
    /**
     * Does one attempt at an operation.
     *
     * @return the result, which the client stores: plain data (null, Boolean, Number, String, List, Map) or a protobuf
     *     message
     */
    Object run(Attempt attempt) throws Exception;
  }

  /**
   * What the server has stored about an operation.
   *
   * @param state such as RUNNING
   * @param data plain data, the Any of a message, or null; so are {@code progress} and {@code result}
   * @param attempt the number of the last attempt, from 1; 0 before the first
   * @param whole the whole record
   */
  public record Record(String state, Object data, Object progress, Object result, int attempt, Operation whole) {}

  /**
   * Does the work once, however often and from wherever it is called. It begins the operation, or takes it over from
   * a worker that fell silent, or waits for the worker that runs it. The work runs in this thread. What it throws is
   * stored as the operation's failure and thrown here.
   *
   * @return the result; a repeat returns the stored one
   * @throws LeaseholdException.AttemptLost when the attempt was lost meanwhile, and then nothing is stored
   * @throws LeaseholdException.AttemptHeld when another worker still runs the operation after the wait
   * @throws LeaseholdException.OperationFailed when it failed in an earlier call
   * @throws LeaseholdException.OperationCancelled when someone cancelled it
   */
  public Object run(OperationSpec spec, Work work) throws Exception {
    BeginOperationRequest request = spec.request(owner).setClaimId(UUID.randomUUID().toString()).build();
    long giveUp = System.nanoTime() + spec.waitFor().toNanos();
    for (int tries = 0; ; tries++) {
      try {
        var answered = connections.unary(OperationStoreServiceGrpc.getBeginOperationMethod(), request);
        var response = answered.response();
        if (response.hasAttempt()) {
          return perform(
              new Attempt(connections, response.getOperation(), response.getAttempt(), answered.sent()), work);
        }
        if (response.getOperation().hasFinishTime()) {
          return outcome(response.getOperation());
        }
      } catch (LeaseholdException error) {
        long left = giveUp - System.nanoTime();
        if (!STILL_TAKEN.contains(error.reason()) || left <= 0) {
          throw error;
        }
        long pause = Math.min(left, Math.max(error.retryAfter().toNanos(), Connections.fullJitter(tries)));
        if (error instanceof LeaseholdException.AttemptHeld) {
          long wait = Math.min(left, Math.min(JOIN_FOR, Math.max(TimeUnit.SECONDS.toNanos(1), pause)));
          Operation finished = await(spec, wait);
          if (finished != null) {
            return outcome(finished);
          }
        } else {
          TimeUnit.NANOSECONDS.sleep(pause);
        }
      }
    }
  }

  /** Waits for the worker of an operation. Returns null if it isn't finished in time. */
  private Operation await(OperationSpec key, long waitNanos) throws InterruptedException {
    var request =
        WaitOperationRequest.newBuilder()
            .setResource(key.resource())
            .setOperationId(key.operationId())
            .setWaitTimeout(LockOptions.proto(Duration.ofNanos(waitNanos)))
            .build();
    var response =
        connections
            .unary(
                OperationStoreServiceGrpc.getWaitOperationMethod(),
                request,
                Connections.Bounds.waiting(waitNanos + Connections.ANSWER_WITHIN, waitNanos))
            .response();
    return response.getDone() ? response.getOperation() : null;
  }

  /** Does the work and stores its outcome; an attempt that was lost meanwhile stores nothing. */
  static Object perform(Attempt attempt, Work work) throws Exception {
    Object result;
    try {
      result = work.run(attempt);
    } catch (Exception error) {
      settle(attempt, error);
      throw error;
    } catch (Error error) { // this process is likely to end: the attempt goes stale, and another worker goes on
      attempt.abandon();
      throw error;
    }
    com.google.protobuf.Any packed;
    try {
      packed = Payload.pack(result);
    } catch (IllegalArgumentException error) { // a result that can't be stored is a failure, and recorded as one
      settle(attempt, error);
      throw error;
    }
    attempt.succeed(packed);
    return result;
  }

  /**
   * Stores the error that ended the work. The caller throws that error, even if it can't be stored: then the attempt
   * goes stale, and another worker takes the operation over.
   */
  private static void settle(Attempt attempt, Exception error) {
    boolean wasInterrupted = Thread.interrupted() || error instanceof InterruptedException;
    try {
      if (!attempt.isHeld()) {
        attempt.abandon();
      } else if (error instanceof InterruptedException) {
        attempt.giveBack(); // this thread is told to end, which is no failure of the work
      } else {
        attempt.fail(error);
      }
    } catch (LeaseholdException unstored) {
      error.addSuppressed(unstored);
    } catch (InterruptedException e) {
      wasInterrupted = true;
    }
    if (wasInterrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static Object outcome(Operation operation) {
    if (operation.getState() == OperationState.OPERATION_STATE_SUCCEEDED) {
      return Payload.unpack(operation.getResult());
    }
    String message = operation.getError().getMessage();
    if (operation.getState() == OperationState.OPERATION_STATE_CANCELLED) {
      throw LeaseholdException.operationCancelled(operation.getResource(), operation.getOperationId(), message);
    }
    Code code = Code.forNumber(operation.getError().getCode());
    throw LeaseholdException.local(
        Status.fromCodeValue(code == null ? Code.UNKNOWN_VALUE : code.getNumber()).getCode(),
        "OPERATION_FAILED",
        message.isEmpty()
            ? "the operation " + operation.getOperationId() + " on " + operation.getResource() + " is "
                + stateName(operation) + ": see why its workers failed or were lost"
            : message,
        stateName(operation));
  }

  private static String stateName(Operation operation) {
    return operation.getState().name().replace("OPERATION_STATE_", "");
  }

  /**
   * Records an operation for a worker to claim. A repeat has no second effect.
   *
   * @throws LeaseholdException with the reason OPERATION_EXISTS, if the operation exists with another type, other data
   *     or other labels
   */
  public void begin(OperationSpec spec) throws InterruptedException {
    connections.unary(OperationStoreServiceGrpc.getBeginOperationMethod(), spec.request(owner).build());
  }

  /**
   * Reads the record of an operation.
   *
   * @throws LeaseholdException with the reason OPERATION_NOT_FOUND, if there is no such operation
   */
  public Record get(String resource, String operationId) throws InterruptedException {
    var request = GetOperationRequest.newBuilder().setResource(resource).setOperationId(operationId).build();
    Operation found =
        connections.unary(OperationStoreServiceGrpc.getGetOperationMethod(), request).response().getOperation();
    return new Record(
        stateName(found),
        Payload.unpack(found.getData()),
        Payload.unpack(found.getProgress()),
        Payload.unpack(found.getResult()),
        found.getAttemptNumber(),
        found);
  }

  /**
   * Asks to cancel an operation. A pending one is cancelled at once; the worker of a running one is told, and decides.
   */
  public void cancel(String resource, String operationId, String reason) throws InterruptedException {
    var request =
        CancelOperationRequest.newBuilder()
            .setResource(resource)
            .setOperationId(operationId)
            .setReason(reason)
            .build();
    connections.unary(OperationStoreServiceGrpc.getCancelOperationMethod(), request);
  }

  /**
   * Makes a worker that claims operations and runs them, from its {@code start} until it is closed.
   *
   * @param types the types of operations that it claims, 1 to 16
   * @param concurrency how many it runs at a time, at least 1
   */
  public Worker worker(List<String> types, int concurrency, Work work) {
    return new Worker(this, types, concurrency, work);
  }

  boolean isClosed() {
    return connections.isClosed();
  }

  /** Makes a claim. A repeat of it gets the same operations again, for as long as they run. */
  ClaimOperationsRequest newClaim(List<String> types, int count) {
    return ClaimOperationsRequest.newBuilder()
        .addAllTypes(types)
        .setClaimId(UUID.randomUUID().toString())
        .setOwner(owner)
        .setMaxOperations(count)
        .build();
  }

  /** Makes the claim with a wait. Returns what it got; that may be nothing. */
  List<Attempt> claim(ClaimOperationsRequest claim, long waitNanos) throws InterruptedException {
    var request = claim.toBuilder().setWaitTimeout(LockOptions.proto(Duration.ofNanos(waitNanos))).build();
    var answered =
        connections.unary(
            OperationStoreServiceGrpc.getClaimOperationsMethod(),
            request,
            Connections.Bounds.waiting(waitNanos + Connections.ANSWER_WITHIN, waitNanos));
    return answered.response().getClaimedList().stream()
        .map(one -> new Attempt(connections, one.getOperation(), one.getAttempt(), answered.sent()))
        .toList();
  }
}
