package leasehold;

import com.google.protobuf.Duration;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import leasehold.v1.Attempt;
import leasehold.v1.BeginOperationRequest;
import leasehold.v1.BeginOperationResponse;
import leasehold.v1.CancelOperationRequest;
import leasehold.v1.CancelOperationResponse;
import leasehold.v1.ClaimOperationsRequest;
import leasehold.v1.ClaimOperationsResponse;
import leasehold.v1.ClaimedOperation;
import leasehold.v1.CompleteOperationRequest;
import leasehold.v1.CompleteOperationResponse;
import leasehold.v1.HoldRequest;
import leasehold.v1.HoldResponse;
import leasehold.v1.KeepAliveOperationRequest;
import leasehold.v1.KeepAliveOperationResponse;
import leasehold.v1.KeepAliveRequest;
import leasehold.v1.KeepAliveResponse;
import leasehold.v1.Lease;
import leasehold.v1.LeaseRef;
import leasehold.v1.LockServiceGrpc;
import leasehold.v1.Lost;
import leasehold.v1.LostReason;
import leasehold.v1.Moved;
import leasehold.v1.Operation;
import leasehold.v1.OperationStoreServiceGrpc;
import leasehold.v1.Queued;
import leasehold.v1.ReleaseRequest;
import leasehold.v1.ReleaseResponse;
import leasehold.v1.YieldOperationRequest;
import leasehold.v1.YieldOperationResponse;

/**
 * Grants and keeps leases as a server does that knows of renew_for, and takes down what it was asked. It grants
 * resources that begin with "held", says nothing about those that begin with "silent", and queues all others for ever.
 */
final class LeasingServer implements AutoCloseable {
  private static final long TTL_MS = 6_000;

  final List<HoldRequest> holds = new CopyOnWriteArrayList<>();
  final List<KeepAliveRequest> keepAlives = new CopyOnWriteArrayList<>();
  final List<KeepAliveOperationRequest> operationKeepAlives = new CopyOnWriteArrayList<>();
  /** How many streams the client cancelled. */
  final AtomicInteger cancelled = new AtomicInteger();
  /** How long the server takes to end the streams of what is released, in milliseconds. */
  volatile long endsAfterMs = 0;
  /** How long CancelOperation takes, in milliseconds. */
  volatile long cancelsAfterMs = 0;

  final List<ClaimOperationsRequest> claims = new CopyOnWriteArrayList<>();
  final List<YieldOperationRequest> yields = new CopyOnWriteArrayList<>();

  /** A resource whose lease KeepAlive refuses, without saying which of its leases it means. */
  volatile String refused = "";

  private final Map<String, Stream> keeper = new ConcurrentHashMap<>();
  private final Set<Stream> streams = ConcurrentHashMap.newKeySet();
  private final Set<StreamObserver<HoldResponse>> queued = ConcurrentHashMap.newKeySet();
  private final ScheduledExecutorService timers = Executors.newSingleThreadScheduledExecutor();
  private final Server server;
  private List<Runnable> heldBack;

  LeasingServer(int streamsPerConnection) throws Exception {
    server =
        NettyServerBuilder.forPort(0, InsecureServerCredentials.create())
            .maxConcurrentCallsPerConnection(streamsPerConnection)
            .addService(new Locks())
            .addService(new Operations())
            .build()
            .start();
    timers.scheduleWithFixedDelay(() -> streams.forEach(Stream::renewAll), 1_500, 1_500, TimeUnit.MILLISECONDS);
  }

  String address() {
    return "127.0.0.1:" + server.getPort();
  }

  /** From now on it doesn't answer KeepAlive, until {@link #answer}. */
  synchronized void holdBack() {
    heldBack = new CopyOnWriteArrayList<>();
  }

  synchronized void answer() {
    heldBack.forEach(Runnable::run);
    heldBack = null;
  }

  /** Ends what keeps leases, as a connection does that breaks. */
  void breakKept() {
    streams.forEach(stream -> stream.fail(Status.UNAVAILABLE));
  }

  /** Ends what waits. */
  void breakQueued() {
    for (var one : Set.copyOf(queued)) {
      queued.remove(one);
      one.onError(Status.UNAVAILABLE.asRuntimeException());
    }
  }

  /** How many streams keep leases. */
  int keeping() {
    return streams.size();
  }

  @Override
  public void close() {
    timers.shutdownNow();
    server.shutdownNow();
  }

  private <T> ServerCallStreamObserver<T> counted(StreamObserver<T> response, Runnable onCancel) {
    var observer = (ServerCallStreamObserver<T>) response;
    observer.setOnCancelHandler(
        () -> {
          cancelled.incrementAndGet();
          onCancel.run();
        });
    return observer;
  }


  /** A stream that keeps leases, of Hold or KeepAlive. */
  private final class Stream {
    final long arrivedMs = System.nanoTime() / 1_000_000;
    final Map<String, LeaseRef> leases = new ConcurrentHashMap<>();
    final Consumer<KeepAliveResponse> send;
    final Consumer<Status> end;
    boolean isOver;

    Stream(Consumer<KeepAliveResponse> send, Consumer<Status> end) {
      this.send = send;
      this.end = end;
    }

    Duration validFor() {
      long ms = System.nanoTime() / 1_000_000 - arrivedMs + TTL_MS;
      return Duration.newBuilder().setSeconds(ms / 1_000).setNanos((int) (ms % 1_000) * 1_000_000).build();
    }

    void adopt(LeaseRef lease) {
      leases.put(lease.getLeaseId(), lease);
      Stream former = keeper.put(lease.getLeaseId(), this);
      if (former != null) {
        former.end(lease.getLeaseId(), KeepAliveResponse.newBuilder().setMoved(Moved.getDefaultInstance()));
      }
    }

    synchronized void tell(LeaseRef lease, KeepAliveResponse.Builder response) {
      if (!isOver) {
        send.accept(response.setResource(lease.getResource()).setLeaseId(lease.getLeaseId()).build());
      }
    }

    synchronized void end(String leaseId, KeepAliveResponse.Builder last) {
      LeaseRef lease = leases.remove(leaseId);
      if (lease != null) {
        tell(lease, last);
        if (leases.isEmpty()) {
          timers.schedule(() -> fail(Status.OK), endsAfterMs, TimeUnit.MILLISECONDS);
        }
      }
    }

    void renewAll() {
      leases.values().forEach(lease -> tell(lease, renewed(lease)));
    }

    KeepAliveResponse.Builder renewed(LeaseRef lease) {
      return KeepAliveResponse.newBuilder()
          .setRenewed(
              Lease.newBuilder()
                  .setResource(lease.getResource())
                  .setLeaseId(lease.getLeaseId())
                  .setValidFor(validFor()));
    }

    synchronized void fail(Status status) {
      streams.remove(this);
      if (!isOver) {
        isOver = true;
        end.accept(status);
      }
    }

    synchronized void gone() {
      isOver = true;
      streams.remove(this);
    }
  }

  private static void end(StreamObserver<?> response, Status status) {
    if (status.isOk()) {
      response.onCompleted();
    } else {
      response.onError(status.asRuntimeException());
    }
  }

  private final class Locks extends LockServiceGrpc.LockServiceImplBase {
    @Override
    public void hold(HoldRequest request, StreamObserver<HoldResponse> given) {
      holds.add(request);
      String resource = request.getSpec().getResource();
      Stream[] stream = new Stream[1];
      var response =
          counted(
              given,
              () -> {
                queued.remove(given);
                if (stream[0] != null) {
                  stream[0].gone();
                }
              });
      if (!resource.startsWith("held")) {
        if (!resource.startsWith("silent")) {
          queued.add(response);
          response.onNext(HoldResponse.newBuilder().setQueued(Queued.newBuilder().setPosition(1)).build());
        }
        return;
      }
      LeaseRef lease =
          LeaseRef.newBuilder()
              .setResource(resource)
              .setLeaseId(request.getSpec().getLeaseId())
              .setFencingToken(1)
              .build();
      stream[0] =
          new Stream(
              event -> {
                HoldResponse.Builder told = HoldResponse.newBuilder();
                if (event.hasRenewed()) {
                  told.setRenewed(event.getRenewed());
                } else if (event.hasMoved()) {
                  told.setMoved(event.getMoved());
                } else {
                  told.setLost(event.getLost());
                }
                response.onNext(told.build());
              },
              status -> LeasingServer.end(response, status));
      stream[0].adopt(lease);
      response.onNext(
          HoldResponse.newBuilder()
              .setGranted(
                  Lease.newBuilder()
                      .setResource(resource)
                      .setLeaseId(lease.getLeaseId())
                      .setFencingToken(1)
                      .setValidFor(stream[0].validFor()))
              .build());
      streams.add(stream[0]);
    }

    @Override
    public void keepAlive(KeepAliveRequest request, StreamObserver<KeepAliveResponse> given) {
      Stream[] stream = new Stream[1];
      var response = counted(given, () -> stream[0].gone());
      stream[0] = new Stream(response::onNext, status -> LeasingServer.end(response, status));
      keepAlives.add(request);
      if (request.getLeasesList().stream().anyMatch(lease -> lease.getResource().equals(refused))) {
        stream[0].fail(Status.PERMISSION_DENIED);
        return;
      }
      Runnable answer =
          () -> {
            for (LeaseRef lease : request.getLeasesList()) {
              stream[0].adopt(lease);
              stream[0].tell(lease, stream[0].renewed(lease));
            }
            streams.add(stream[0]);
          };
      synchronized (LeasingServer.this) {
        if (heldBack != null) {
          heldBack.add(answer);
          return;
        }
      }
      answer.run();
    }

    @Override
    public void release(ReleaseRequest request, StreamObserver<ReleaseResponse> response) {
      Stream stream = keeper.remove(request.getLeaseId());
      response.onNext(ReleaseResponse.newBuilder().setReleased(stream != null).build());
      response.onCompleted();
      if (stream != null) {
        stream.end(
            request.getLeaseId(),
            KeepAliveResponse.newBuilder()
                .setLost(Lost.newBuilder().setReason(LostReason.LOST_REASON_RELEASED)));
      }
    }
  }

  private final class Operations extends OperationStoreServiceGrpc.OperationStoreServiceImplBase {
    private static final Duration VALID_FOR = Duration.newBuilder().setSeconds(60).build();
    private volatile StreamObserver<KeepAliveOperationResponse> newest;

    @Override
    public void beginOperation(BeginOperationRequest request, StreamObserver<BeginOperationResponse> response) {
      response.onNext(
          BeginOperationResponse.newBuilder()
              .setOperation(
                  Operation.newBuilder()
                      .setResource(request.getResource())
                      .setOperationId(request.getOperationId()))
              .setAttempt(
                  Attempt.newBuilder()
                      .setClaimId(request.getClaimId())
                      .setFencingToken(1)
                      .setValidFor(VALID_FOR))
              .build());
      response.onCompleted();
    }

    @Override
    public void keepAliveOperation(
        KeepAliveOperationRequest request, StreamObserver<KeepAliveOperationResponse> given) {
      operationKeepAlives.add(request);
      var response = counted(given, () -> {});
      var former = newest;
      newest = response;
      if (former != null) {
        former.onNext(KeepAliveOperationResponse.newBuilder().setMoved(Moved.getDefaultInstance()).build());
        former.onCompleted();
      }
      response.onNext(
          KeepAliveOperationResponse.newBuilder()
              .setRenewed(Attempt.newBuilder().setValidFor(VALID_FOR))
              .build());
    }

    @Override
    public void cancelOperation(CancelOperationRequest request, StreamObserver<CancelOperationResponse> given) {
      var response = (ServerCallStreamObserver<CancelOperationResponse>) given;
      timers.schedule(
          () -> {
            if (!response.isCancelled()) {
              response.onNext(CancelOperationResponse.getDefaultInstance());
              response.onCompleted();
            }
          },
          cancelsAfterMs,
          TimeUnit.MILLISECONDS);
    }

    /** Claims an operation for a claim that waits, but its answer is still on its way when the client gives up. */
    @Override
    public void claimOperations(ClaimOperationsRequest request, StreamObserver<ClaimOperationsResponse> response) {
      claims.add(request);
      if (request.getWaitTimeout().getSeconds() > 0) {
        return;
      }
      var claimed = ClaimedOperation.newBuilder();
      claimed.getOperationBuilder().setResource("r").setOperationId("1").setType(request.getTypes(0));
      claimed.getAttemptBuilder().setClaimId(request.getClaimId()).setFencingToken(7).setValidFor(VALID_FOR);
      response.onNext(ClaimOperationsResponse.newBuilder().addClaimed(claimed).build());
      response.onCompleted();
    }

    @Override
    public void yieldOperation(YieldOperationRequest request, StreamObserver<YieldOperationResponse> response) {
      yields.add(request);
      response.onNext(YieldOperationResponse.getDefaultInstance());
      response.onCompleted();
    }

    @Override
    public void completeOperation(
        CompleteOperationRequest request, StreamObserver<CompleteOperationResponse> response) {
      response.onNext(CompleteOperationResponse.getDefaultInstance());
      response.onCompleted();
      newest.onCompleted();
    }
  }
}
