package leasehold

import (
	"testing"
	"time"
)

// clocks stand still until the test moves them. A time.Time of time.Now has both readings, and Add moves both.
type clocks struct{ at time.Time }

func (c *clocks) now() time.Time { return c.at }

func TestADeadlineCountsFromWhenTheCallWasSent(t *testing.T) {
	clock := &clocks{time.Now()}
	d := deadline{now: clock.now}
	sent := clock.now()
	clock.at = sent.Add(60_500 * time.Millisecond)
	if !d.extend(sent, 80_200*time.Millisecond) {
		t.Fatal("not held")
	}
	// 19.7 s are left of the TTL of 20 s, so the margin is 0.985 s; and 0.1 % of 80.2 s for the drift.
	want := 80_200*time.Millisecond - 80_200*time.Microsecond - 985*time.Millisecond - 60_500*time.Millisecond
	if got := d.remaining(); got != want {
		t.Fatalf("%v are left, not %v", got, want)
	}
}

func TestADeadlineNeverComesForward(t *testing.T) {
	clock := &clocks{time.Now()}
	d := deadline{now: clock.now}
	d.extend(clock.now(), 10*time.Second)
	before := d.remaining()
	d.extend(clock.now().Add(-5*time.Second), 10*time.Second)
	if d.remaining() != before {
		t.Fatalf("%v, and then %v", before, d.remaining())
	}
}

func TestNothingRevivesALeaseWhoseDeadlineHasPassed(t *testing.T) {
	clock := &clocks{time.Now()}
	d := deadline{now: clock.now}
	sent := clock.now()
	d.extend(sent, 10*time.Second)
	clock.at = sent.Add(10 * time.Second)
	if d.extend(sent, time.Minute) || d.remaining() != 0 {
		t.Fatal("revived")
	}
}

func TestAGrantThatArrivesAfterItsDeadlineHoldsNothing(t *testing.T) {
	clock := &clocks{time.Now()}
	d := deadline{now: clock.now}
	sent := clock.now()
	clock.at = sent.Add(5 * time.Second)
	if d.extend(sent, 5*time.Second) {
		t.Fatal("held")
	}
}

func TestTheWallClockEndsTheLeaseOfASuspendedMachine(t *testing.T) {
	clock := &clocks{time.Now()}
	d := deadline{now: clock.now}
	d.extend(clock.now(), 10*time.Second)
	d.wall = d.wall.Add(-time.Minute) // as if the wall clock had gone on alone
	if d.remaining() != 0 {
		t.Fatalf("%v are left", d.remaining())
	}
}
