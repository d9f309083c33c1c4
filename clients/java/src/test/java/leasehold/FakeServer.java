package leasehold;

import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import leasehold.v1.CancelOperationRequest;
import leasehold.v1.CancelOperationResponse;
import leasehold.v1.HoldRequest;
import leasehold.v1.HoldResponse;
import leasehold.v1.LockServiceGrpc;
import leasehold.v1.OperationStoreServiceGrpc;
import leasehold.v1.Queued;

/**
 * Answers as a proxy does that speaks for a server: with statuses that have no reason. It serves Hold and
 * CancelOperation; when no status is left, it grants and succeeds.
 */
final class FakeServer implements AutoCloseable {
  private final Queue<Status> answers = new ConcurrentLinkedQueue<>();
  private final List<HoldRequest> holds = new CopyOnWriteArrayList<>();
  private volatile String authorization;
  private final Server server;

  FakeServer() throws IOException {
    server =
        Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
            .addService(new Locks())
            .addService(new Operations())
            .intercept(new Authorization())
            .build()
            .start();
  }

  String address() {
    return "127.0.0.1:" + server.getPort();
  }

  /** Answers the next calls with these statuses, each one once. */
  void answer(Status... statuses) {
    answers.addAll(List.of(statuses));
  }

  /** How many statuses no call has heard. */
  int unused() {
    return answers.size();
  }

  /** The header of the last call; null if it had none. */
  String authorization() {
    return authorization;
  }

  /** The requests of Hold, in order. */
  List<HoldRequest> holds() {
    return holds;
  }

  @Override
  public void close() {
    server.shutdownNow();
  }

  private final class Authorization implements ServerInterceptor {
    @Override
    public <Q, R> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
      authorization = headers.get(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER));
      return next.startCall(call, headers);
    }
  }

  private final class Operations extends OperationStoreServiceGrpc.OperationStoreServiceImplBase {
    @Override
    public void cancelOperation(CancelOperationRequest request, StreamObserver<CancelOperationResponse> response) {
      Status status = answers.poll();
      if (status != null) {
        response.onError(status.asRuntimeException());
        return;
      }
      response.onNext(CancelOperationResponse.getDefaultInstance());
      response.onCompleted();
    }
  }

  private final class Locks extends LockServiceGrpc.LockServiceImplBase {
    @Override
    public void hold(HoldRequest request, StreamObserver<HoldResponse> response) {
      holds.add(request);
      Status status = answers.poll();
      if (status != null) {
        response.onNext(HoldResponse.newBuilder().setQueued(Queued.newBuilder().setPosition(1)).build());
        response.onError(status.asRuntimeException());
        return;
      }
      var lease =
          leasehold.v1.Lease.newBuilder()
              .setResource(request.getSpec().getResource())
              .setLeaseId(request.getSpec().getLeaseId())
              .setFencingToken(1)
              .setValidFor(com.google.protobuf.Duration.newBuilder().setSeconds(10));
      response.onNext(HoldResponse.newBuilder().setGranted(lease).build());
    }
  }
}
