package leasehold

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// slowServer answers CancelOperation and Hold after a while, as if they came over a slow link, and counts the calls. Its
// ClaimOperations claims an operation for a call that is cancelled.
type slowServer struct {
	pb.UnimplementedLockServiceServer
	pb.UnimplementedOperationStoreServiceServer

	answersAfter time.Duration

	calls   atomic.Int32
	mu      sync.Mutex
	claims  []*pb.ClaimOperationsRequest
	yielded []*pb.YieldOperationRequest
	asked   chan struct{}
}

func newSlowServer(t *testing.T, answersAfter time.Duration) (*slowServer, *Client) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	slow := &slowServer{answersAfter: answersAfter, asked: make(chan struct{}, 10)}
	server := grpc.NewServer()
	pb.RegisterLockServiceServer(server, slow)
	pb.RegisterOperationStoreServiceServer(server, slow)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	client, err := New(Config{Addresses: []string{listener.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return slow, client
}

func (s *slowServer) answer(ctx context.Context) error {
	s.calls.Add(1)
	if !sleep(ctx, s.answersAfter) {
		return ctx.Err()
	}
	return nil
}

func (s *slowServer) CancelOperation(
	ctx context.Context, _ *pb.CancelOperationRequest,
) (*pb.CancelOperationResponse, error) {
	return &pb.CancelOperationResponse{}, s.answer(ctx)
}

func (s *slowServer) Hold(_ *pb.HoldRequest, stream grpc.ServerStreamingServer[pb.HoldResponse]) error {
	return s.answer(stream.Context())
}

func (s *slowServer) AcquireMany(ctx context.Context, _ *pb.AcquireManyRequest) (*pb.AcquireManyResponse, error) {
	return &pb.AcquireManyResponse{}, s.answer(ctx)
}

func (s *slowServer) ClaimOperations(
	ctx context.Context, request *pb.ClaimOperationsRequest,
) (*pb.ClaimOperationsResponse, error) {
	s.mu.Lock()
	s.claims = append(s.claims, request)
	isFirst := len(s.claims) == 1
	s.mu.Unlock()
	if isFirst {
		s.asked <- struct{}{}
		<-ctx.Done()
	}
	return &pb.ClaimOperationsResponse{Claimed: []*pb.ClaimedOperation{{
		Operation: &pb.Operation{Resource: "r", OperationId: "1", Type: "t"},
		Attempt: &pb.Attempt{
			ClaimId: request.ClaimId, Number: 1, FencingToken: 1, ValidFor: durationpb.New(20 * time.Second),
		},
	}}}, nil
}

func (s *slowServer) YieldOperation(
	_ context.Context, request *pb.YieldOperationRequest,
) (*pb.YieldOperationResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.yielded = append(s.yielded, request)
	return &pb.YieldOperationResponse{}, nil
}

func TestACallOverASlowLinkSucceedsSinceEachTryHasTwiceTheTime(t *testing.T) {
	t.Parallel()
	slow, client := newSlowServer(t, 3500*time.Millisecond)
	if err := client.Operations().Cancel(within(t, 30*time.Second), "r", "1", ""); err != nil {
		t.Fatal(err)
	}
	if slow.calls.Load() != 2 {
		t.Errorf("%d calls were made", slow.calls.Load())
	}
}

func TestACallWithoutAWaitAsksEachServerOnce(t *testing.T) {
	t.Parallel()
	for name, lock := range map[string]func(*Client) error{
		"TryLock": func(client *Client) error {
			_, err := client.TryLock(within(t, 30*time.Second), "r")
			return err
		},
		"LockMany": func(client *Client) error {
			_, err := client.LockMany(within(t, 30*time.Second), []string{"r"}, Wait(0))
			return err
		},
	} {
		slow, client := newSlowServer(t, time.Minute)
		if err := lock(client); asError(err).Code != codes.Unavailable {
			t.Errorf("%s: the error is %v", name, err)
		}
		if slow.calls.Load() != 1 {
			t.Errorf("%s: %d calls were made", name, slow.calls.Load())
		}
	}
	began := time.Now()
	_, err := unconnected(t).TryLock(within(t, 30*time.Second), "r")
	if took := time.Since(began); asError(err).Code != codes.Unavailable || took > 7*time.Second {
		t.Errorf("without a server it took %v: %v", took, err)
	}
}

func TestTimeoutBoundsTheWholeCallAlsoWhereItWaits(t *testing.T) {
	t.Parallel()
	_, client := newSlowServer(t, time.Minute)
	began := time.Now()
	_, ofLock := client.Lock(within(t, time.Minute), "r", Wait(30*time.Second), Timeout(time.Second))
	_, ofMany := client.LockMany(within(t, time.Minute), []string{"r"}, Wait(Forever), Timeout(time.Second))
	_, ofTry := client.TryLock(within(t, time.Minute), "r", Timeout(time.Second))
	for _, err := range []error{ofLock, ofMany, ofTry} {
		if asError(err).Code != codes.Unavailable {
			t.Errorf("the error is %v", err)
		}
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("three calls of a second each took %v", took)
	}
}

func TestALockWithATimeoutIsToldThatSomeoneElseHasIt(t *testing.T) {
	client := connected(t)
	lease, err := client.Lock(within(t, 5*time.Second), newID())
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Lock(within(t, 30*time.Second), lease.Resource, Wait(Forever), Timeout(4*time.Second))
	if !errors.Is(err, ErrContended) {
		t.Errorf("the error is %v", err)
	}
}

func TestAWorkerThatStopsGivesBackWhatAClaimGotWhoseAnswerItThrewAway(t *testing.T) {
	slow, client := newSlowServer(t, 0)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		<-slow.asked
		stop()
	}()
	worker := Worker{
		Operations: client.Operations(), Types: []string{"t"},
		Work: func(context.Context, *Attempt) (any, error) { return nil, errors.New("must not run") },
		Log:  slog.New(slog.NewTextHandler(&strings.Builder{}, nil)),
	}
	if err := worker.Run(ctx); err != nil {
		t.Fatal(err)
	}
	slow.mu.Lock()
	defer slow.mu.Unlock()
	if len(slow.claims) != 2 || slow.claims[1].ClaimId != slow.claims[0].ClaimId || slow.claims[1].WaitTimeout != nil {
		t.Errorf("the claims were %v", slow.claims)
	}
	if len(slow.yielded) != 1 || slow.yielded[0].ClaimId != slow.claims[0].ClaimId {
		t.Errorf("given back: %v", slow.yielded)
	}
}

func TestAWorkerWithoutGraceGivesBackAtOnce(t *testing.T) {
	client := connected(t)
	kind := newID()
	operation := Operation{Resource: newID(), ID: "1", Type: kind}
	if err := client.Operations().Begin(within(t, 5*time.Second), operation); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ends := make(chan struct{})
	defer close(ends)
	worker := Worker{
		Operations: client.Operations(), Types: []string{kind}, Grace: NoGrace,
		Work: func(context.Context, *Attempt) (any, error) {
			stop()
			<-ends // it ignores its context
			return nil, nil
		},
	}
	began := time.Now()
	if err := worker.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
	record, err := client.Operations().Get(within(t, 5*time.Second), operation.Resource, "1")
	if err != nil || record.State != "PENDING" {
		t.Errorf("the operation is %v: %v", record, err)
	}
}
