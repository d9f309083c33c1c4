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

/** One run of an operation by this worker. It obeys the same deadline rule as a lease. */
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
    kept = new Kept(connections, keepAlive(), event -> {}, this::cancelRequested);
    kept.whenOver(signalled::countDown);
    if (operation.getCancelRequested()) {
      cancelRequested(operation.getCancelReason());
    }
    kept.extend(sent, KeepingStream.nanos(given.getValidFor()));
    connections.loop.execute(() -> kept.keep(null));
  }

  private void cancelRequested(String reason) {
    cancelReason = reason;
    cancelRequested = true;
    signalled.countDown();
  }

  public String resource() {
    return operation.getResource();
  }

  public String operationId() {
    return operation.getOperationId();
  }

  public String type() {
    return operation.getType();
  }

  /** What the operation was begun with: plain data, or the Any of a message. */
  public Object data() {
    return Payload.unpack(operation.getData());
  }

  /** What an earlier attempt has written last: where to go on. */
  public Object progress() {
    return Payload.unpack(operation.getProgress());
  }

  public int number() {
    return given.getNumber();
  }

  /** Send it with every write that the work does. */
  public long fencingToken() {
    return given.getFencingToken();
  }

  /** Whether the attempt is still this worker's, by the clocks. */
  public boolean isHeld() {
    return kept.isHeld();
  }

  /** Until the deadline as it stands; zero when it is over. */
  public Duration remaining() {
    return Duration.ofNanos(kept.remaining());
  }

  public boolean isCancelRequested() {
    return cancelRequested;
  }

  /** The worker was told to stop: come to an end, or be given back. */
  public boolean isStopping() {
    return stopping;
  }

  void stopping() {
    stopping = true;
  }

  /** Waits until it is lost, or someone asks to cancel it; false when the time is over before. */
  public boolean awaitSignal(Duration atMost) throws InterruptedException {
    return signalled.await(atMost.toNanos(), TimeUnit.NANOSECONDS);
  }

  /** Throws AttemptLost when it is over, OperationCancelled when that was asked for. Call it between steps. */
  public void check() {
    checkHeld();
    if (cancelRequested) {
      throw LeaseholdException.operationCancelled(cancelReason);
    }
  }

  /** Throws AttemptLost when it is over. */
  public void checkHeld() {
    if (!isHeld()) {
      String reason = kept.lostReason();
      throw LeaseholdException.attemptLost(reason == null ? "it has ended" : reason);
    }
  }

  /** Writes how far the work is, for those who watch and for the next attempt; a sign of life, too. */
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
    kept.ending();
    try {
      write(OperationStoreServiceGrpc.getCompleteOperationMethod(), request.build());
    } finally {
      kept.release();
    }
  }

  /** Gives it back, for another worker to go on with. */
  void giveBack() throws InterruptedException {
    var request =
        YieldOperationRequest.newBuilder()
            .setResource(resource())
            .setOperationId(operationId())
            .setClaimId(given.getClaimId())
            .setFencingToken(fencingToken())
            .setRequestId(UUID.randomUUID().toString())
            .build();
    kept.ending();
    try {
      write(OperationStoreServiceGrpc.getYieldOperationMethod(), request);
    } finally {
      kept.release();
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

  /** Nobody keeps it any more. */
  void abandon() {
    kept.release();
  }

  private static String clipped(String text, int bytes) {
    byte[] encoded = String.valueOf(text).getBytes(StandardCharsets.UTF_8);
    if (encoded.length <= bytes) {
      return String.valueOf(text);
    }
    int end = bytes;
    while ((encoded[end] & 0xC0) == 0x80) { // not within a character
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
              case DRAINING -> Message.of(Kind.DRAINING);
              default -> Message.of(Kind.OTHER);
            });
  }
}
