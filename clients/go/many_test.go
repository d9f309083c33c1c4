package leasehold

import (
	"fmt"
	"io"
	"maps"
	"net"
	"sync"
	"testing"
	"time"
)

// cuttingProxy passes TCP connections on to a server, and can cut all of them.
type cuttingProxy struct {
	address string
	server  string

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	opened int
}

func newCuttingProxy(t *testing.T, server string) *cuttingProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := &cuttingProxy{address: listener.Addr().String(), server: server, conns: map[net.Conn]struct{}{}}
	t.Cleanup(func() {
		_ = listener.Close()
		proxy.cut()
	})
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", proxy.server)
			if err != nil {
				_ = from.Close()
				continue
			}
			proxy.mu.Lock()
			proxy.opened++
			proxy.conns[from], proxy.conns[to] = struct{}{}, struct{}{}
			proxy.mu.Unlock()
			go proxy.pipe(from, to)
			go proxy.pipe(to, from)
		}
	}()
	return proxy
}

func (p *cuttingProxy) pipe(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	_, _ = from.Close(), to.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, from)
	delete(p.conns, to)
}

// cut cuts all connections and returns how many were open.
func (p *cuttingProxy) cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	cut := len(p.conns) / 2
	for conn := range p.conns {
		_ = conn.Close()
	}
	return cut
}

func eventually(t *testing.T, what string, within time.Duration, is func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

func TestNoLeaseOfManyIsLostByCutsWhileManyWait(t *testing.T) {
	for _, given := range []struct{ streams, held, waiting int }{{0, 200, 200}, {5, 40, 40}} {
		t.Run(fmt.Sprintf("StreamsPerConnection %d", given.streams), func(t *testing.T) {
			proxy := newCuttingProxy(t, address(t))
			client, err := New(Config{Addresses: []string{proxy.address}, StreamsPerConnection: given.streams})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = client.Close() })
			client.channel.renewFor = 8 * time.Second // leases move to shared calls after 2 s
			busy, err := connected(t).Lock(within(t, 30*time.Second), newID(), TTL(30*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			leases := make([]*Lease, given.held)
			var held, waits sync.WaitGroup
			for i := range leases {
				held.Add(1)
				go func() {
					defer held.Done()
					lease, err := client.Lock(within(t, time.Minute), newID(), TTL(15*time.Second))
					if err != nil {
						t.Error(err)
					}
					leases[i] = lease
				}()
			}
			held.Wait()
			if t.Failed() {
				return
			}
			granted := make(chan error, given.waiting)
			waits.Add(given.waiting)
			for range given.waiting {
				var once sync.Once
				queued := Observe(func(event Event) {
					if event.Kind == Queued {
						once.Do(waits.Done)
					}
				})
				go func() {
					lease, err := client.Lock(within(t, 2*time.Minute), busy.Resource, Shared(), Wait(time.Minute), queued)
					if err == nil {
						_, err = lease.Release(within(t, 30*time.Second))
					}
					granted <- err
				}()
			}
			waits.Wait()
			// The first cut hits the streams that granted the leases, the others the shared ones.
			before := map[*batch]struct{}{}
			areBack := func() bool {
				client.channel.keeper.mu.Lock()
				defer client.channel.keeper.mu.Unlock()
				shared := 0
				for b := range client.channel.keeper.batches {
					if _, wasThere := before[b]; !wasThere && b.isAnswered && !b.isOld {
						shared += len(b.members)
					}
				}
				queued := 0
				pool := client.channel.seats[0].pools[waiting]
				pool.mu.Lock()
				defer pool.mu.Unlock()
				for _, one := range pool.connections {
					queued += one.open
				}
				return shared == given.held && queued == given.waiting
			}
			for round := range 3 {
				client.channel.keeper.mu.Lock()
				before = maps.Clone(client.channel.keeper.batches)
				client.channel.keeper.mu.Unlock()
				cut := proxy.cut()
				if round == 0 && given.streams > 0 && cut < given.waiting/given.streams {
					t.Errorf("%d connections were open", cut)
				}
				if given.streams == 0 && cut > 12 {
					t.Errorf("%d connections were open", cut)
				}
				eventually(t, "every lease has a shared stream again, and every wait a stream", 30*time.Second, areBack)
			}
			deadlines := make([]time.Time, given.held)
			for i, lease := range leases {
				deadlines[i] = time.Now().Add(lease.Remaining())
			}
			eventually(t, "every deadline goes on", 30*time.Second, func() bool {
				for i, lease := range leases {
					if !time.Now().Add(lease.Remaining()).After(deadlines[i].Add(3 * time.Second)) {
						return !lease.Held() // the count below tells
					}
				}
				return true
			})
			lost := 0
			for _, lease := range leases {
				if !lease.Held() {
					lost++
				}
			}
			if lost > 0 {
				t.Errorf("%d of %d leases are lost", lost, given.held)
			}
			if released, err := busy.Release(within(t, 10*time.Second)); !released || err != nil {
				t.Fatal(released, err)
			}
			for range given.waiting {
				if err := <-granted; err != nil {
					t.Error(err)
				}
			}
		})
	}
}
