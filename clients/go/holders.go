package leasehold

import (
	"context"
	"sync"
	"time"
)

// How long what waits lets the holders go first after a break, at most.
const holdersFirst = 2 * time.Second

// holders counts the leases and attempts whose streams broke and that no server keeps again yet. What only waits is
// opened anew after them: after a cut, a server would otherwise be busy with waiters while leases run out.
type holders struct {
	mu    sync.Mutex
	needy int
	calm  chan struct{} // closed when none is needy any more; nil while none is
}

func (h *holders) need() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.needy++
	if h.calm == nil {
		h.calm = make(chan struct{})
	}
}

func (h *holders) isKept() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.needy--
	if h.needy == 0 {
		close(h.calm)
		h.calm = nil
	}
}

// goFirst waits until no holder needs a stream any more, for atMost at the longest.
func (h *holders) goFirst(ctx context.Context, atMost time.Duration) {
	h.mu.Lock()
	calm := h.calm
	h.mu.Unlock()
	if calm == nil || atMost <= 0 {
		return
	}
	timer := time.NewTimer(min(atMost, holdersFirst))
	defer timer.Stop()
	select {
	case <-calm:
	case <-timer.C:
	case <-ctx.Done():
	}
}
