package leasehold

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

func TestAWaitThatBrokeIsOpenedAnewAfterTheHoldersOrAfterTwoSeconds(t *testing.T) {
	for name, isKept := range map[string]bool{"when a server keeps the holders": true, "when none does": false} {
		t.Run(name, func(t *testing.T) {
			server := newFakeServer(t, codes.Unavailable)
			client := server.client(t, "")
			client.channel.holders.need()
			holds := func() int {
				server.mu.Lock()
				defer server.mu.Unlock()
				return len(server.holds)
			}
			locked := make(chan error, 1)
			go func() {
				_, err := client.Lock(within(t, time.Minute), "r", Wait(30*time.Second))
				locked <- err
			}()
			eventually(t, "the first call", 10*time.Second, func() bool { return holds() == 1 })
			if isKept {
				time.Sleep(500 * time.Millisecond) // five times the longest first pause: by then it would be back
				if holds() != 1 {
					t.Error("it came back before the holders")
				}
				client.channel.holders.isKept()
			}
			if err := <-locked; err != nil || holds() != 2 {
				t.Errorf("after %d calls: %v", holds(), err)
			}
		})
	}
}
