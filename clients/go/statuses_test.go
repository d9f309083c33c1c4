package leasehold

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// What a proxy answers for a server, and what a library calls the end of a connection or stream.
var ofProxies = []codes.Code{
	codes.Internal, codes.Canceled, codes.Unknown, codes.DeadlineExceeded, codes.Unavailable,
}

func TestALockWaitsOnAfterEveryEndOfItsStreamOnTheWay(t *testing.T) {
	server := newFakeServer(t, ofProxies...)
	lease, err := server.client(t, "").Lock(within(t, 20*time.Second), "r", Wait(15*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if len(server.holds) != len(ofProxies)+1 {
		t.Fatalf("%d calls were made", len(server.holds))
	}
	for _, hold := range server.holds {
		if hold.Spec.LeaseId != lease.LeaseID {
			t.Fatal("a call had another lease id, so it lost its place in the queue")
		}
	}
}

func TestACallIsRepeatedAfterEveryEndOnTheWay(t *testing.T) {
	server := newFakeServer(t, ofProxies...)
	if err := server.client(t, "").Operations().Cancel(within(t, 20*time.Second), "r", "1", ""); err != nil {
		t.Fatal(err)
	}
	if len(server.answers) != 0 {
		t.Fatalf("%v were not heard", server.answers)
	}
}

func TestAnEndOnTheWayThatNeverStopsIsToldAsNoAnswer(t *testing.T) {
	for _, code := range ofProxies {
		server := newFakeServer(t, code)
		_, err := server.client(t, "").Lock(within(t, 5*time.Second), "r", Wait(time.Nanosecond))
		var ours *Error
		if !errors.As(err, &ours) || ours.Code != codes.Unavailable || ours.Reason != "" {
			t.Errorf("%v: the error is %v", code, err)
		}
	}
}

func TestAStatusThatRepeatingDoesNotChangeIsToldAtOnce(t *testing.T) {
	for _, code := range []codes.Code{codes.ResourceExhausted, codes.Unimplemented, codes.PermissionDenied} {
		server := newFakeServer(t, code)
		_, err := server.client(t, "").Lock(within(t, 5*time.Second), "r", Wait(4*time.Second))
		if asError(err).Code != code || len(server.holds) != 1 {
			t.Errorf("%v: the error after %d calls is %v", code, len(server.holds), err)
		}
	}
}
