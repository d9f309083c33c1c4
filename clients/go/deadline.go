package leasehold

import (
	"sync"
	"time"
)

// The deadline rule: until when a holder may act, whatever it has heard or not. Every answer says how long the lease is
// valid from the arrival of the call at the server; so, from just before the call was sent, it is valid at least that
// long. A message that was delayed on its way then stretches nothing, and no clocks are compared.
type deadline struct {
	mu    sync.Mutex
	now   func() time.Time
	until time.Time // of the monotonic clock
	wall  time.Time // of the wall clock: a suspended machine's monotonic one may have stood still
	ttl   time.Duration
	over  bool
}

const smallestMargin = 200 * time.Millisecond

// remaining is 0 when it is over: by the clocks, also where no timer has had its turn.
func (d *deadline) remaining() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.left()
}

func (d *deadline) left() time.Duration {
	if d.over || d.until.IsZero() {
		return 0
	}
	now := d.now()
	// Sub uses the monotonic readings where both times have one, and Round(0) takes them away.
	return max(0, min(d.until.Sub(now), d.wall.Sub(now.Round(0))))
}

// extend takes what a server said about a call. It never brings the deadline forward, and nothing that arrives after it
// revives the lease. It says whether the lease is held.
func (d *deadline) extend(sent time.Time, validFor time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over || (!d.until.IsZero() && d.left() == 0) {
		d.over = true
		return false
	}
	// What is left when an answer arrives is at most the TTL. Clocks of a machine run apart by less than 0.1 %.
	d.ttl = max(d.ttl, validFor-d.now().Sub(sent))
	valid := validFor - validFor/1000 - max(smallestMargin, d.ttl/20)
	if until := sent.Add(valid); d.until.IsZero() || until.After(d.until) {
		d.until = until
		if wall := sent.Round(0).Add(valid); wall.After(d.wall) {
			d.wall = wall
		}
	}
	d.over = d.left() == 0
	return !d.over
}

func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
}
