package leasehold

import (
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// mutedServer says that the lease of a Hold is at risk, and then nothing more on that stream. Its KeepAlive is well.
type mutedServer struct{ *keepingServer }

func (s mutedServer) Hold(request *pb.HoldRequest, stream grpc.ServerStreamingServer[pb.HoldResponse]) error {
	lease := &pb.Lease{
		Resource: request.Spec.Resource, LeaseId: request.Spec.LeaseId, FencingToken: 1,
		ValidFor: durationpb.New(4 * time.Second),
	}
	_ = stream.Send(&pb.HoldResponse{Event: &pb.HoldResponse_Granted{Granted: lease}})
	_ = stream.Send(&pb.HoldResponse{Event: &pb.HoldResponse_AtRisk{
		AtRisk: &pb.AtRisk{Reason: pb.AtRiskReason_AT_RISK_REASON_DURABILITY_UNMET},
	}})
	<-stream.Context().Done()
	return nil
}

func TestALeaseAtRiskIsNotLostByASilentStream(t *testing.T) {
	server := newKeepingServer(t, func(s *keepingServer) pb.LockServiceServer { return mutedServer{s} })
	client, err := New(Config{Addresses: []string{server.address}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	lease := lockAll(t, client, 1)[0]
	eventually(t, "another stream", 10*time.Second, func() bool {
		return !lease.Held() || read(server, func() bool { return len(server.keepAlives) > 0 })
	})
	if !lease.Held() {
		t.Error(lease.Err())
	}
}

func TestAStreamWhoseCallIsMadeLateIsFollowedByAnother(t *testing.T) {
	server := newKeepingServer(t)
	client := server.client(t)
	k := newKept(within(t, 20*time.Second), client.channel, leaseLost("r"), nil)
	granted := &pb.Lease{Resource: "r", LeaseId: "1", FencingToken: 1}
	lease := client.keep(k, granted, time.Now(), 5*time.Second)
	client.channel.mu.Lock() // so that calls are slow to make
	go k.run(nil)
	time.Sleep(2500 * time.Millisecond)
	client.channel.mu.Unlock()
	eventually(t, "the lease is kept", 10*time.Second, func() bool { return lease.Remaining() > 6*time.Second })
}
