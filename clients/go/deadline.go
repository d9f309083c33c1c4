package leasehold

import (
	"sync"
	"time"
)

// deadline says until when a holder can act, even if it hears nothing. Every answer says how long the lease is valid,
// counted from the arrival of the call at the server. Counted from just before the call was sent, it is valid
// at least that long. So a message that is delayed on its way stretches nothing, and nothing compares the clocks of
// two machines.
type deadline struct {
	mu    sync.Mutex
	now   func() time.Time
	until time.Time // by the monotonic clock
	wall  time.Time // by the wall clock: the monotonic clock of a suspended machine may have stood still
	ttl   time.Duration
	over  bool
}

const smallestMargin = 200 * time.Millisecond

// remaining is 0 when it is over: by the clocks, even if no timer has run.
func (d *deadline) remaining() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.left()
}

// left is remaining for a caller that has the mutex.
func (d *deadline) left() time.Duration {
	if d.over || d.until.IsZero() {
		return 0
	}
	now := d.now()
	// Sub uses the monotonic readings if both times have one, and Round(0) takes them away.
	return max(0, min(d.until.Sub(now), d.wall.Sub(now.Round(0))))
}

// extend takes the valid_for of an answer to a call, and returns whether the lease is held. It never brings the
// deadline forward, and nothing that arrives after the deadline revives the lease.
func (d *deadline) extend(sent time.Time, validFor time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over || (!d.until.IsZero() && d.left() == 0) {
		d.over = true
		return false
	}
	// The time that is left when an answer arrives is at most the TTL. The clocks of two machines drift apart by less than
	// 0.1 %.
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

// timeToLive is the longest time that was left when an answer arrived.
func (d *deadline) timeToLive() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ttl
}

// end ends it now, for good.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
}
