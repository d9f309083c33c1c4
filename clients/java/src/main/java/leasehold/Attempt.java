package leasehold;

import com.google.protobuf.Any;
import com.google.rpc.Code;
import io.grpc.MethodDescriptor;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import leasehold.KeepingStream.Kind;
import leasehold.KeepingStream.Message;
import leasehold.v1.Cancelled;
import leasehold.v1.CompleteOperationRequest;
import leasehold.v1.KeepAliveOperationRequest;
import leasehold.v1.KeepAliveOperationResponse;
import leasehold.v1.Operation;
import leasehold.v1.OperationStoreServiceGrpc;
import leasehold.v1.UpdateOperationRequest;
import leasehold.v1.YieldOperationRequest;

/** One run of an operation by this worker. It obeys the same deadline rule as a lease, and all threads can use it. */
public final class Attempt {
  private final Connections connections;
  private final Operation operation;
  private final leasehold.v1.Attempt given;
  private final Kept kept;
  private final CountDownLatch signalled = new CountDownLatch(1);
  private volatile boolean cancelRequested;
  private volatile String cancelReason = "";
  private volatile boolean stopping;

  Attempt(Connections connections, Operation operation, leasehold.v1.Attempt given, Deadline.Sent sent) {
    this.connections = connections;
    this.operation = operation;
    this.given = given;
    kept = Kept.attempt(connections, keepAlive(), this::cancelRequested);
    kept.whenOver(signalled::countDown);
    if (operation.getCancelRequested()) {
      cancelRequested(operation.getCancelReason());
    }
    kept.extend(sent, KeepingStream.nanos(given.getValidFor()));
    connections.loop.execute(() -> connections.keeper.keep(kept));
  }

  private void cancelRequested(String reason) {
    cancelReason = reason;
    cancelRequested = true;
    signalled.countDown();
  }

  /** Returns what the work is about. */
  public String resource() {
    return operation.getResource();
  }

  /** Returns the id of the operation. */
  public String operationId() {
    return operation.getOperationId();
  }

  /** Returns the kind of work. */
  public String type() {
    return operation.getType();
  }

  /** Returns what the operation was begun with: plain data, the Any of a message, or null. */
  public Object data() {
    return Payload.unpack(operation.getData());
  }

  /** Returns what the attempts before this one wrote last: go on from there. Null if they wrote nothing. */
  public Object progress() {
    return Payload.unpack(operation.getProgress());
  }

  /** Returns the number of the attempt; the attempts at an operation count from 1. */
  public int number() {
    return given.getNumber();
  }

  /** Returns the token: send it with every write that the work does, and refuse smaller ones there. */
  public long fencingToken() {
    return given.getFencingToken();
  }

  /** Returns whether the attempt is still this worker's: by the clocks, even if no server has said anything. */
  public boolean isHeld() {
    return kept.isHeld();
  }

  /** Returns the time until the deadline as it stands; zero when the attempt is over. */
  public Duration remaining() {
    return Duration.ofNanos(kept.remaining());
  }

  /** Returns whether someone asked to cancel the operation. */
  public boolean isCancelRequested() {
    return cancelRequested;
  }

  /** Returns whether the worker was told to stop: finish soon, or the worker gives the operation back. */
  public boolean isStopping() {
    return stopping;
  }

  void stopping() {
    stopping = true;
  }

  /**
   * Waits until the attempt is over or someone asks to cancel the operation.
   *
   * @return false when {@code atMost} is over before
   */
  public boolean awaitSignal(Duration atMost) throws InterruptedException {
    return signalled.await(Numbers.wait("atMost", atMost).toNanos(), TimeUnit.NANOSECONDS);
  }

  /**
   * Checks between steps whether the work can go on. Let what it throws pass.
   *
   * @throws LeaseholdException.AttemptLost when the attempt is over
   * @throws LeaseholdException.OperationCancelled when someone asked to cancel the operation
   */
  public void check() {
    checkHeld();
    if (cancelRequested) {
      throw LeaseholdException.operationCancelled(resource(), operationId(), cancelReason);
    }
  }

  /**
   * Checks that the attempt is still this worker's.
   *
   * @throws LeaseholdException.AttemptLost when it is over
   */
  public void checkHeld() {
    if (!isHeld()) {
      String reason = kept.lostReason();
      throw LeaseholdException.attemptLost(resource(), operationId(), reason == null ? "it has ended" : reason);
    }
  }

  /**
   * Writes how far the work is, for people who watch and for the next attempt. The server takes it as a sign of life,
   * too.
   *
   * @param progress plain data or a protobuf message
   * @throws LeaseholdException.AttemptLost when the attempt is over
   */
  public void setProgress(Object progress) throws InterruptedException {
    var request =
        UpdateOperationRequest.newBuilder()
            .setResource(resource())
            .setOperationId(operationId())
            .setClaimId(given.getClaimId())
            .setFencingToken(fencingToken())
            .setProgress(Payload.pack(progress))
            .setRequestId(UUID.randomUUID().toString())
            .build();
    var answered = write(OperationStoreServiceGrpc.getUpdateOperationMethod(), request);
    kept.extend(answered.sent(), KeepingStream.nanos(answered.response().getAttempt().getValidFor()));
  }

  void succeed(Any result) throws InterruptedException {
    complete(completion().setResult(result));
  }

  void fail(Exception error) throws InterruptedException {
    if (error instanceof LeaseholdException.OperationCancelled) {
      complete(completion().setCancelled(Cancelled.newBuilder().setMessage(clipped(error.getMessage(), 1_000))));
      return;
    }
    String message = error.getClass().getSimpleName() + ": " + error.getMessage();
    complete(
        completion()
            .setError(
                com.google.rpc.Status.newBuilder()
                    .setCode(Code.UNKNOWN_VALUE)
                    .setMessage(clipped(message, 8_000))));
  }

  private CompleteOperationRequest.Builder completion() {
    return CompleteOperationRequest.newBuilder()
        .setResource(resource())
        .setOperationId(operationId())
        .setClaimId(given.getClaimId())
        .setFencingToken(fencingToken())
        .setReleaseLease(true)
        .setRequestId(UUID.randomUUID().toString());
  }

  private void complete(CompleteOperationRequest.Builder request) throws InterruptedException {
    end(OperationStoreServiceGrpc.getCompleteOperationMethod(), request.build());
  }

  /** Gives the operation back for another worker, and ends the attempt. */
  void giveBack() throws InterruptedException {
    var request =
        YieldOperationRequest.newBuilder()
            .setResource(resource())
            .setOperationId(operationId())
            .setClaimId(given.getClaimId())
            .setFencingToken(fencingToken())
            .setRequestId(UUID.randomUUID().toString())
            .build();
    end(OperationStoreServiceGrpc.getYieldOperationMethod(), request);
  }

  private <Q> void end(MethodDescriptor<Q, ?> method, Q request) throws InterruptedException {
    kept.ending();
    boolean isWritten = false;
    try {
      write(method, request);
      isWritten = true;
    } finally {
      kept.release();
      if (isWritten) {
        kept.leaveAndWait();
      } else {
        kept.leave();
      }
    }
  }

  private <Q, R> Connections.Answered<R> write(MethodDescriptor<Q, R> method, Q request) throws InterruptedException {
    checkHeld();
    try {
      return connections.unary(method, request);
    } catch (LeaseholdException.AttemptLost e) {
      kept.lose("SUPERSEDED");
      throw e;
    }
  }

  /** Stops keeping the attempt alive, without a word to the server. */
  void abandon() {
    kept.release();
    kept.leave();
  }

  private static String clipped(String text, int bytes) {
    byte[] encoded = String.valueOf(text).getBytes(StandardCharsets.UTF_8);
    if (encoded.length <= bytes) {
      return String.valueOf(text);
    }
    int end = bytes;
    while ((encoded[end] & 0xC0) == 0x80) { // don't cut within a character
      end--;
    }
    return new String(encoded, 0, end, StandardCharsets.UTF_8);
  }

  private KeepingStream.Call<KeepAliveOperationRequest, KeepAliveOperationResponse> keepAlive() {
    var request =
        KeepAliveOperationRequest.newBuilder()
            .setResource(operation.getResource())
            .setOperationId(operation.getOperationId())
            .setClaimId(given.getClaimId())
            .setFencingToken(given.getFencingToken())
            .setRenewFor(Keeper.RENEW_FOR)
            .build();
    return new KeepingStream.Call<>(
        OperationStoreServiceGrpc.getKeepAliveOperationMethod(),
        request,
        response ->
            switch (response.getEventCase()) {
              case RENEWED -> Message.renewed(response.getRenewed().getValidFor());
              case AT_RISK -> Locking.atRisk(response.getAtRisk());
              case CANCEL_REQUESTED ->
                  Message.of(Kind.CANCEL_REQUESTED, response.getCancelRequested().getReason());
              case LOST ->
                  Message.of(Kind.LOST, response.getLost().getReason().name().replace("ATTEMPT_LOST_REASON_", ""));
              case MOVED -> Message.of(Kind.MOVED);
              case DRAINING -> Message.of(Kind.DRAINING);
              default -> Message.of(Kind.OTHER);
            });
  }
}
