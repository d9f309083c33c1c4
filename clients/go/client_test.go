package leasehold

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

// connected returns a client of the server that `npm run test:clients` starts.
func connected(t *testing.T) *Client {
	t.Helper()
	client, err := New(Config{Addresses: []string{address(t)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func address(t *testing.T) string {
	t.Helper()
	given := os.Getenv("LEASEHOLD_TEST_ADDRESS")
	if given == "" {
		t.Skip("no server: set LEASEHOLD_TEST_ADDRESS to the address of one, as `npm run test:clients` does")
	}
	return given
}

func within(t *testing.T, span time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), span)
	t.Cleanup(cancel)
	return ctx
}

// lose releases the lease as anyone can who knows its id.
func lose(t *testing.T, client *Client, lease *Lease) {
	t.Helper()
	again, err := client.Lock(within(t, 5*time.Second), lease.Resource, LeaseID(lease.LeaseID))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Release(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
}

func TestTheContextOfALeaseEndsWithItAndTellsWhy(t *testing.T) {
	client := connected(t)
	lease, err := client.Lock(within(t, 5*time.Second), newID())
	if err != nil {
		t.Fatal(err)
	}
	lose(t, client, lease)
	select {
	case <-lease.Context().Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the context did not end within 5 s")
	}
	if cause := context.Cause(lease.Context()); !errors.Is(cause, ErrLeaseLost) || !errors.Is(lease.Err(), ErrLeaseLost) {
		t.Fatalf("the cause is %v", cause)
	}
}

func TestTheContextGivenToLockDoesNotEndTheLease(t *testing.T) {
	client := connected(t)
	ctx, cancel := context.WithCancel(context.Background())
	lease, err := client.Lock(ctx, newID())
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if lease.Context().Err() != nil || !lease.Held() {
		t.Fatal("the lease ended")
	}
	if released, err := lease.Release(within(t, 5*time.Second)); !released || err != nil {
		t.Fatal(released, err)
	}
	if lease.Context().Err() == nil || lease.LostReason() != "" {
		t.Fatal("the released lease is not over, or it counts as lost")
	}
}

func TestACancelledLockLeavesTheQueue(t *testing.T) {
	client := connected(t)
	resource := newID()
	first, err := client.Lock(within(t, 5*time.Second), resource)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	observe := Observe(func(event Event) {
		if event.Kind == Queued {
			cancel()
		}
	})
	if _, err = client.Lock(ctx, resource, Wait(time.Minute), observe); !errors.Is(err, context.Canceled) {
		t.Fatalf("the error is %v", err)
	}
	if _, err := first.Release(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	// Had it stayed in the queue, it would have been granted now.
	lease, err := client.TryLock(within(t, 5*time.Second), resource)
	if lease == nil || err != nil {
		t.Fatal(lease, err)
	}
}

func TestWithLockReturnsTheErrorOfTheWorkBeforeThatOfALoss(t *testing.T) {
	client := connected(t)
	own := errors.New("own")
	err := client.WithLock(within(t, 10*time.Second), newID(), func(_ context.Context, lease *Lease) error {
		lose(t, client, lease)
		return own
	})
	if err != own {
		t.Fatalf("the error is %v", err)
	}
	err = client.WithLock(within(t, 10*time.Second), newID(), func(ctx context.Context, lease *Lease) error {
		lose(t, client, lease)
		<-ctx.Done()
		return nil
	})
	if !errors.Is(err, ErrLeaseLost) {
		t.Fatalf("the error is %v", err)
	}
}

func TestRunReturnsTheErrorOfTheWorkAndARepeatIsToldOfIt(t *testing.T) {
	client := connected(t)
	own := errors.New("no paper")
	operation := Operation{Resource: newID(), ID: "1", Type: "test"}
	_, err := client.Operations().Run(within(t, 5*time.Second), operation,
		func(context.Context, *Attempt) (any, error) { return nil, own })
	if err != own {
		t.Fatalf("the error is %v", err)
	}
	_, err = client.Operations().Run(within(t, 5*time.Second), operation,
		func(context.Context, *Attempt) (any, error) { return nil, nil })
	if !errors.Is(err, ErrOperationFailed) {
		t.Fatalf("the error is %v", err)
	}
}

func TestAResultThatCannotBeStoredFailsTheOperation(t *testing.T) {
	client := connected(t)
	operation := Operation{Resource: newID(), ID: "1", Type: "test"}
	_, err := client.Operations().Run(within(t, 5*time.Second), operation,
		func(context.Context, *Attempt) (any, error) { return struct{}{}, nil })
	if err == nil {
		t.Fatal("the result was stored")
	}
	record, err := client.Operations().Get(within(t, 5*time.Second), operation.Resource, "1")
	if err != nil || record.State != "FAILED" {
		t.Fatal(record, err)
	}
}

func TestWorkThatPanicsKeepsNothingAlive(t *testing.T) {
	client := connected(t)
	var attempt *Attempt
	func() {
		defer func() { _ = recover() }()
		operation := Operation{Resource: newID(), ID: "1", Type: "test"}
		_, _ = client.Operations().Run(within(t, 5*time.Second), operation, func(_ context.Context, given *Attempt) (any, error) {
			attempt = given
			panic("own")
		})
	}()
	if attempt == nil || attempt.Held() {
		t.Fatal("the attempt is still held")
	}
}

func TestNewRefusesAWrongAddressAtOnce(t *testing.T) {
	for _, wrong := range []string{"nowhere", "127.0.0.1:", ":50051", ""} {
		if _, err := New(Config{Addresses: []string{wrong}}); err == nil {
			t.Errorf("New accepted %q", wrong)
		}
	}
}
