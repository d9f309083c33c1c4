package leasehold

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// unconnected returns a client without a server: a call that gets past the check of its options fails in another way.
func unconnected(t *testing.T) *Client {
	t.Helper()
	client, err := New(Config{Addresses: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func refuses(t *testing.T, option string, err error) {
	t.Helper()
	var ours *Error
	if !errors.As(err, &ours) || !errors.Is(err, ErrInvalidArgument) || !slices.Equal(ours.Options, []string{option}) {
		t.Errorf("%s: the error is %v", option, err)
		return
	}
	if !strings.HasPrefix(ours.Message, option+" must ") {
		t.Errorf("%s: the message is %q", option, ours.Message)
	}
}

func TestAnOptionWhoseNumberMeansNothingIsRefusedByItsName(t *testing.T) {
	client := unconnected(t)
	for _, wrong := range []struct {
		name   string
		option Option
	}{
		{"TTL", TTL(0)}, {"TTL", TTL(-time.Second)}, {"Wait", Wait(-1)}, {"Timeout", Timeout(-time.Second)},
		{"MinHold", MinHold(-1)}, {"MaxHold", MaxHold(0)}, {"MaxHold", MaxHold(-1)},
		{"Permits(permits)", Permits(0, 0)}, {"Permits(permits)", Permits(-1, 3)}, {"Permits(limit)", Permits(1, 0)},
		{"Permits(limit)", Permits(1, math.MaxInt32+1)},
	} {
		_, err := client.Lock(context.Background(), "r", wrong.option)
		refuses(t, wrong.name, err)
		_, err = client.TryLock(context.Background(), "r", wrong.option)
		refuses(t, wrong.name, err)
		_, err = client.LockMany(context.Background(), []string{"r"}, wrong.option)
		refuses(t, wrong.name, err)
	}
}

func TestANumberOfAnOperationOrWorkerThatMeansNothingIsRefusedByItsField(t *testing.T) {
	operations := unconnected(t).Operations()
	for name, wrong := range map[string]Operation{
		"Heartbeat": {Heartbeat: -1}, "TimeToLive": {TimeToLive: -time.Hour}, "LockTTL": {LockTTL: -1},
		"Wait": {Wait: -time.Second}, "MaxAttempts": {MaxAttempts: -1},
	} {
		refuses(t, name, operations.Begin(context.Background(), wrong))
		_, err := operations.Run(context.Background(), wrong, nil)
		refuses(t, name, err)
	}
	refuses(t, "MaxAttempts", operations.Begin(context.Background(), Operation{MaxAttempts: math.MaxInt32 + 1}))
	refuses(t, "Concurrency", (&Worker{Operations: operations, Concurrency: -1}).Run(context.Background()))
	_, err := New(Config{Addresses: []string{"127.0.0.1:1"}, StreamsPerConnection: -1})
	refuses(t, "Config.StreamsPerConnection", err)
	refuses(t, "Grace", (&Worker{Operations: operations, Grace: -time.Second}).Run(context.Background()))
}

func TestWhatAServerRefusesIsToldByTheNameOfTheOption(t *testing.T) {
	_, err := connected(t).Lock(within(t, 5*time.Second), newID(), TTL(time.Hour))
	var ours *Error
	if !errors.As(err, &ours) || !slices.Equal(ours.Options, []string{"TTL"}) ||
		!slices.Equal(ours.Fields, []string{"spec.ttl"}) {
		t.Fatalf("the error is %v", err)
	}
	if !strings.HasPrefix(ours.Message, "TTL: ") || strings.Contains(strings.ToLower(ours.Message), "spec.") {
		t.Fatalf("the message is %q", ours.Message)
	}
}

func TestFieldsOfTheContractHaveTheNamesOfTheOptions(t *testing.T) {
	for field, option := range map[string]string{
		"spec.min_hold": "MinHold", "spec.permits.limit": "Permits(limit)", "spec.metadata.a.b": "Metadata.a.b",
		"specs[3].resource": "resources[3]", "specs[0].ttl": "TTL", "specs": "resources", "wait_timeout": "Wait",
		"lock.ttl": "LockTTL", "heartbeat_timeout": "Heartbeat", "labels.ttl": "Labels.ttl", "unheard_of": "unheard_of",
	} {
		if got := optionOf(field); got != option {
			t.Errorf("%s is called %s, not %s", field, got, option)
		}
	}
}

func TestTryLockLeavesTheOptionsOfItsCallerAsTheyAre(t *testing.T) {
	// The slice has room for one more option, which is the caller's.
	all := []Option{TTL(0), nil}
	_, _ = unconnected(t).TryLock(context.Background(), "r", all[:1]...)
	if all[1] != nil {
		t.Fatal("TryLock wrote its Wait into the slice of its caller")
	}
}
