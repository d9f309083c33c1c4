package leasehold

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// fakeServer answers as a proxy does that speaks for a server: with statuses that have no reason. It serves Hold and
// CancelOperation; when no status is left, it grants and succeeds.
type fakeServer struct {
	pb.UnimplementedLockServiceServer
	pb.UnimplementedOperationStoreServiceServer

	address string

	mu            sync.Mutex
	answers       []codes.Code
	authorization []string
	holds         []*pb.HoldRequest
}

// newFakeServer answers the first calls with these codes, each one once.
func newFakeServer(t *testing.T, answers ...codes.Code) *fakeServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fake := &fakeServer{address: listener.Addr().String(), answers: answers}
	server := grpc.NewServer()
	pb.RegisterLockServiceServer(server, fake)
	pb.RegisterOperationStoreServiceServer(server, fake)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return fake
}

func (f *fakeServer) client(t *testing.T, token string) *Client {
	t.Helper()
	client, err := New(Config{Addresses: []string{f.address}, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// next notes what a call brought, and returns the error to answer it with.
func (f *fakeServer) next(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.authorization = metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(f.answers) == 0 {
		return nil
	}
	code := f.answers[0]
	f.answers = f.answers[1:]
	return status.Error(code, "of a proxy")
}

func (f *fakeServer) CancelOperation(
	ctx context.Context, _ *pb.CancelOperationRequest,
) (*pb.CancelOperationResponse, error) {
	return &pb.CancelOperationResponse{}, f.next(ctx)
}

func (f *fakeServer) Hold(request *pb.HoldRequest, stream grpc.ServerStreamingServer[pb.HoldResponse]) error {
	f.mu.Lock()
	f.holds = append(f.holds, request)
	f.mu.Unlock()
	if err := f.next(stream.Context()); err != nil {
		queued := &pb.HoldResponse{Event: &pb.HoldResponse_Queued{Queued: &pb.Queued{Position: 1}}}
		if err := stream.Send(queued); err != nil {
			return err
		}
		return err
	}
	lease := &pb.Lease{
		Resource: request.Spec.Resource, LeaseId: request.Spec.LeaseId, FencingToken: 1,
		ValidFor: durationpb.New(10 * time.Second),
	}
	if err := stream.Send(&pb.HoldResponse{Event: &pb.HoldResponse_Granted{Granted: lease}}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}
