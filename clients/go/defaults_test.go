package leasehold

import (
	"fmt"
	"os"
	"testing"
	"time"
)

func TestALockWithoutOptionsWaits30SecondsAndNamesItsProcess(t *testing.T) {
	server := newFakeServer(t)
	lease, err := server.client(t, "").Lock(within(t, 5*time.Second), "r")
	if err != nil {
		t.Fatal(err)
	}
	request := server.holds[0]
	if wait := request.GetWaitTimeout().AsDuration(); wait > 30*time.Second || wait < 29*time.Second {
		t.Errorf("%s waits %v", lease.Resource, wait)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d@%s", os.Getpid(), host); request.Spec.Owner != want {
		t.Errorf("the owner is %q, not %q", request.Spec.Owner, want)
	}
}

func TestATryLockDoesNotWait(t *testing.T) {
	server := newFakeServer(t)
	if _, err := server.client(t, "").TryLock(within(t, 5*time.Second), "r"); err != nil {
		t.Fatal(err)
	}
	if server.holds[0].Wait != nil {
		t.Errorf("it waits: %v", server.holds[0].Wait)
	}
}
