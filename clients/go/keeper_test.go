package leasehold

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// keepingServer grants everything, and keeps leases and attempts as the contract says: a newer call takes over, and the
// older one hears `moved`.
type keepingServer struct {
	pb.UnimplementedLockServiceServer
	pb.UnimplementedOperationStoreServiceServer

	address string
	// Whether calls without leases end with OK, as with renew_for, or with MOVED.
	endsWithOK bool
	// A resource that KeepAlive refuses, without a word about which one it is.
	refused string

	mu         sync.Mutex
	calls      map[string]*keptCall // by lease_id, or by claim_id
	holds      []*pb.HoldRequest
	keepAlives []*pb.KeepAliveRequest
	attempts   []*pb.KeepAliveOperationRequest
	open       int
	cancelled  int
}

// keptCall is a stream that keeps leases.
type keptCall struct {
	leases map[string]string // resources by lease_id
	say    func(leaseID string, resource string, lost bool)
	over   chan error
}

func newKeepingServer(t *testing.T, as ...func(*keepingServer) pb.LockServiceServer) *keepingServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fake := &keepingServer{address: listener.Addr().String(), endsWithOK: true, calls: map[string]*keptCall{}}
	server := grpc.NewServer()
	locks := pb.LockServiceServer(fake)
	for _, other := range as {
		locks = other(fake)
	}
	pb.RegisterLockServiceServer(server, locks)
	pb.RegisterOperationStoreServiceServer(server, fake)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return fake
}

// client has leases that move to shared calls after half a second, and calls that are opened anew within a second.
func (f *keepingServer) client(t *testing.T) *Client {
	t.Helper()
	client, err := New(Config{Addresses: []string{f.address}})
	if err != nil {
		t.Fatal(err)
	}
	client.channel.renewFor = 2 * time.Second
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// drop takes a lease from the call that keeps it, for a caller that has the mutex.
func (f *keepingServer) drop(leaseID string, lost bool, end error) {
	call := f.calls[leaseID]
	if call == nil {
		return
	}
	delete(f.calls, leaseID)
	call.say(leaseID, call.leases[leaseID], lost)
	delete(call.leases, leaseID)
	if len(call.leases) == 0 {
		call.over <- end
	}
}

func reasoned(code codes.Code, reason string) error {
	with, err := status.New(code, "refused").WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "leasehold"})
	if err != nil {
		panic(err)
	}
	return with.Err()
}

// keep runs a call until it has no leases any more. granted says the first word about each of them.
func (f *keepingServer) keep(
	ctx context.Context, leases map[string]string, say func(string, string, bool), granted func(string, string) error,
) error {
	call := &keptCall{leases: map[string]string{}, say: say, over: make(chan error, 1)}
	f.mu.Lock()
	f.open++
	for leaseID, resource := range leases {
		moved := error(nil)
		if !f.endsWithOK {
			moved = reasoned(codes.Aborted, "MOVED")
		}
		f.drop(leaseID, false, moved)
		f.calls[leaseID] = call
		call.leases[leaseID] = resource
		if err := granted(leaseID, resource); err != nil {
			f.mu.Unlock()
			return err
		}
	}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.open--
	}()
	select {
	case err := <-call.over:
		return err
	case <-ctx.Done():
		f.mu.Lock()
		defer f.mu.Unlock()
		f.cancelled++
		for leaseID := range call.leases {
			if f.calls[leaseID] == call {
				delete(f.calls, leaseID)
			}
		}
		return ctx.Err()
	}
}

// leaseOf is what the server grants and renews: 10 s from each request.
func leaseOf(leaseID, resource string) *pb.Lease {
	return &pb.Lease{
		Resource: resource, LeaseId: leaseID, FencingToken: 1, ValidFor: durationpb.New(10 * time.Second),
	}
}

func (f *keepingServer) Hold(request *pb.HoldRequest, stream grpc.ServerStreamingServer[pb.HoldResponse]) error {
	f.mu.Lock()
	f.holds = append(f.holds, request)
	f.mu.Unlock()
	spec := request.Spec
	return f.keep(stream.Context(), map[string]string{spec.LeaseId: spec.Resource}, func(_, _ string, lost bool) {
		event := &pb.HoldResponse{Event: &pb.HoldResponse_Moved{Moved: &pb.Moved{}}}
		if lost {
			event.Event = &pb.HoldResponse_Lost{Lost: &pb.Lost{Reason: pb.LostReason_LOST_REASON_RELEASED}}
		}
		_ = stream.Send(event)
	}, func(leaseID, resource string) error {
		lease := leaseOf(leaseID, resource)
		return stream.Send(&pb.HoldResponse{Event: &pb.HoldResponse_Granted{Granted: lease}})
	})
}

func (f *keepingServer) KeepAlive(
	request *pb.KeepAliveRequest, stream grpc.ServerStreamingServer[pb.KeepAliveResponse],
) error {
	f.mu.Lock()
	f.keepAlives = append(f.keepAlives, request)
	f.mu.Unlock()
	leases := map[string]string{}
	for _, ref := range request.Leases {
		if ref.Resource == f.refused {
			return reasoned(codes.PermissionDenied, "PERMISSION_DENIED")
		}
		leases[ref.LeaseId] = ref.Resource
	}
	if len(leases) != len(request.Leases) || len(leases) > 64 || len(leases) == 0 {
		return reasoned(codes.InvalidArgument, "INVALID_ARGUMENT")
	}
	return f.keep(stream.Context(), leases, func(leaseID, resource string, lost bool) {
		event := &pb.KeepAliveResponse{
			Resource: resource, LeaseId: leaseID, Event: &pb.KeepAliveResponse_Moved{Moved: &pb.Moved{}},
		}
		if lost {
			event.Event = &pb.KeepAliveResponse_Lost{Lost: &pb.Lost{Reason: pb.LostReason_LOST_REASON_RELEASED}}
		}
		_ = stream.Send(event)
	}, func(leaseID, resource string) error {
		lease := leaseOf(leaseID, resource)
		return stream.Send(&pb.KeepAliveResponse{
			Resource: resource, LeaseId: leaseID, Event: &pb.KeepAliveResponse_Renewed{Renewed: lease},
		})
	})
}

func (f *keepingServer) Release(_ context.Context, request *pb.ReleaseRequest) (*pb.ReleaseResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, has := f.calls[request.LeaseId]
	f.drop(request.LeaseId, true, nil)
	return &pb.ReleaseResponse{Released: has}, nil
}

func (f *keepingServer) BeginOperation(
	_ context.Context, request *pb.BeginOperationRequest,
) (*pb.BeginOperationResponse, error) {
	return &pb.BeginOperationResponse{
		Operation: &pb.Operation{Resource: request.Resource, OperationId: request.OperationId},
		Attempt: &pb.Attempt{
			ClaimId: request.ClaimId, Number: 1, FencingToken: 1, ValidFor: durationpb.New(10 * time.Second),
		},
	}, nil
}

func (f *keepingServer) KeepAliveOperation(
	request *pb.KeepAliveOperationRequest, stream grpc.ServerStreamingServer[pb.KeepAliveOperationResponse],
) error {
	f.mu.Lock()
	f.attempts = append(f.attempts, request)
	f.mu.Unlock()
	return f.keep(stream.Context(), map[string]string{request.ClaimId: ""}, func(_, _ string, lost bool) {
		event := &pb.KeepAliveOperationResponse{Event: &pb.KeepAliveOperationResponse_Moved{Moved: &pb.Moved{}}}
		if lost {
			event.Event = &pb.KeepAliveOperationResponse_Lost{Lost: &pb.AttemptLost{}}
		}
		_ = stream.Send(event)
	}, func(string, string) error {
		attempt := &pb.Attempt{Number: 1, FencingToken: 1, ValidFor: durationpb.New(10 * time.Second)}
		return stream.Send(&pb.KeepAliveOperationResponse{Event: &pb.KeepAliveOperationResponse_Renewed{Renewed: attempt}})
	})
}

func (f *keepingServer) CompleteOperation(
	_ context.Context, request *pb.CompleteOperationRequest,
) (*pb.CompleteOperationResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(request.ClaimId, true, nil)
	return &pb.CompleteOperationResponse{}, nil
}

// read returns what is read with the mutex.
func read[T any](f *keepingServer, what func() T) T {
	f.mu.Lock()
	defer f.mu.Unlock()
	return what()
}

func lockAll(t *testing.T, client *Client, count int) []*Lease {
	t.Helper()
	var leases []*Lease
	for i := range count {
		lease, err := client.Lock(within(t, 20*time.Second), fmt.Sprintf("r%d", i))
		if err != nil {
			t.Fatal(err)
		}
		leases = append(leases, lease)
	}
	return leases
}

func TestLeasesShareCallsAndAskAnewBeforeTheirRenewForIsOver(t *testing.T) {
	for _, endsWithOK := range []bool{true, false} {
		t.Run(fmt.Sprintf("a call that has moved ends with OK: %v", endsWithOK), func(t *testing.T) {
			server := newKeepingServer(t)
			server.endsWithOK = endsWithOK
			leases := lockAll(t, server.client(t), 70)
			if asked := server.holds[0].RenewFor.AsDuration(); asked != 2*time.Second {
				t.Errorf("Hold asks to renew for %v", asked)
			}
			// Each of the two is opened anew at least every second.
			for range 3 {
				asked := read(server, func() int { return len(server.keepAlives) })
				eventually(t, "newer calls for all", 20*time.Second, func() bool {
					covered := map[string]struct{}{}
					return read(server, func() int {
						for _, request := range server.keepAlives[asked:] {
							for _, ref := range request.Leases {
								covered[ref.LeaseId] = struct{}{}
							}
						}
						return len(covered)
					}) == 70
				})
			}
			eventually(t, "two calls for 70 leases", 20*time.Second, func() bool {
				return read(server, func() bool { return server.open == 2 })
			})
			server.mu.Lock()
			defer server.mu.Unlock()
			for _, request := range server.keepAlives {
				if len(request.Leases) > 64 || request.RenewFor.AsDuration() != 2*time.Second {
					t.Errorf("a KeepAlive has %d leases and asks to renew for %v", len(request.Leases), request.RenewFor)
				}
			}
			for _, lease := range leases {
				if !lease.Held() {
					t.Errorf("%s is lost: %v", lease.Resource, lease.Err())
				}
			}
			if server.cancelled > 0 {
				t.Errorf("%d calls were cancelled that the server would have ended", server.cancelled)
			}
		})
	}
}

func TestAReleaseAndTheEndOfAnAttemptLetTheServerEndTheStream(t *testing.T) {
	server := newKeepingServer(t)
	client := server.client(t)
	first := lockAll(t, client, 1)[0]
	if released, err := first.Release(within(t, 5*time.Second)); !released || err != nil {
		t.Fatal(released, err)
	}
	shared := lockAll(t, client, 2)
	eventually(t, "one call for two leases", 10*time.Second, func() bool {
		return read(server, func() bool { return server.open == 1 && len(server.keepAlives) > 0 })
	})
	for _, lease := range shared {
		if released, err := lease.Release(within(t, 5*time.Second)); !released || err != nil {
			t.Fatal(released, err)
		}
	}
	_, err := client.Operations().Run(within(t, 20*time.Second), Operation{Resource: "r", ID: "1", Type: "t"},
		func(context.Context, *Attempt) (any, error) {
			eventually(t, "a newer call for the attempt", 10*time.Second, func() bool {
				return read(server, func() bool { return len(server.attempts) > 2 })
			})
			return nil, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if asked := server.attempts[0].RenewFor.AsDuration(); asked != 2*time.Second {
		t.Errorf("KeepAliveOperation asks to renew for %v", asked)
	}
	eventually(t, "no call is open", 5*time.Second, func() bool {
		return read(server, func() bool { return server.open == 0 })
	})
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if cancelled := read(server, func() int { return server.cancelled }); cancelled > 0 {
		t.Errorf("%d calls were cancelled", cancelled)
	}
}

func TestALeaseThatAServerRefusesDoesNotCostTheOthersOfItsCall(t *testing.T) {
	server := newKeepingServer(t)
	server.refused = "r0"
	leases := lockAll(t, server.client(t), 5)
	eventually(t, "the refused lease is over", 30*time.Second, func() bool { return !leases[0].Held() })
	for _, lease := range leases[1:] {
		if !lease.Held() {
			t.Errorf("%s is lost: %v", lease.Resource, lease.Err())
		}
	}
}

func TestALeaseTakenTwiceWithTheSameIDIsKeptByOneCall(t *testing.T) {
	server := newKeepingServer(t)
	client := server.client(t)
	first := lockAll(t, client, 1)[0]
	again, err := client.Lock(within(t, 5*time.Second), first.Resource, LeaseID(first.LeaseID))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "newer calls", 20*time.Second, func() bool {
		return read(server, func() bool { return len(server.keepAlives) > 4 })
	})
	// Calls that take the lease from one another would be some ten in a second.
	asked := read(server, func() int { return len(server.keepAlives) })
	time.Sleep(3 * time.Second)
	if more := read(server, func() int { return len(server.keepAlives) }) - asked; more > 10 {
		t.Errorf("%d calls in 3 s", more)
	}
	if !first.Held() || !again.Held() {
		t.Error(first.Err(), again.Err())
	}
}

// silentServer accepts calls and says nothing.
type silentServer struct {
	pb.UnimplementedLockServiceServer
}

func (silentServer) Hold(_ *pb.HoldRequest, stream grpc.ServerStreamingServer[pb.HoldResponse]) error {
	<-stream.Context().Done()
	return nil
}

func newSilentServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterLockServiceServer(server, silentServer{})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func TestTheErrorOfAStreamThatNobodyAnsweredSaysHowManyWereOpenAndNamesTheOption(t *testing.T) {
	client, err := New(Config{Addresses: []string{newSilentServer(t)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	_, err = client.TryLock(within(t, 20*time.Second), "r")
	var ours *Error
	if !errors.As(err, &ours) || ours.Code != codes.Unavailable ||
		!strings.Contains(ours.Message, "calls open on the connection: 1") ||
		!strings.Contains(ours.Message, "Config.StreamsPerConnection") {
		t.Errorf("the error is %v", err)
	}
}

func TestConnectionsAreOpenedWhenOthersAreFullAndClosedWhenTheyAreIdle(t *testing.T) {
	server := newFakeServer(t)
	client, err := New(Config{Addresses: []string{server.address}, StreamsPerConnection: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	pool := client.channel.seats[0].pools[waiting]
	pool.idleFor = 50 * time.Millisecond
	count := func() int {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		return len(pool.connections)
	}
	var leases []*Lease
	for i := range 5 {
		lease, err := client.Lock(within(t, 5*time.Second), fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		leases = append(leases, lease)
	}
	if count() != 3 {
		t.Errorf("5 streams have %d connections", count())
	}
	for _, lease := range leases {
		_, _ = lease.Release(within(t, 5*time.Second))
	}
	eventually(t, "one connection is left", 10*time.Second, func() bool { return count() == 1 })
}
