package leasehold

import (
	"context"
	"sync"
	"time"
)

// EventKind is what happened to a lease.
type EventKind string

// What an observer hears.
const (
	Queued   EventKind = "queued"
	Granted  EventKind = "granted"
	Renewed  EventKind = "renewed"
	AtRisk   EventKind = "at_risk"
	Reopened EventKind = "reopened" // its stream ended or moves; the lease is held on
	Lost     EventKind = "lost"
	Released EventKind = "released"

	draining        EventKind = "draining"
	moved           EventKind = "moved"
	cancelRequested EventKind = "cancel_requested"
	unknown         EventKind = ""
)

// Event is told to an observer, in order, from the lease's own goroutine: it must not block.
type Event struct {
	Kind EventKind
	// Position is the rank in the queue, with Queued.
	Position int
	// Why says more, with AtRisk, Reopened and Lost.
	Why string
}

// kept is a lease or an attempt that streams keep alive: when one breaks, moves or grows old, another one goes on, on
// whatever instance answers, until it is released, lost, or its deadline passes. A broken stream is no loss yet.
type kept struct {
	channel  *channel
	deadline deadline
	opened   opener
	kind     *Error // what its loss is
	tell     func(Event)
	// Of an attempt: someone asked to cancel it.
	onCancel func(reason string)

	events chan heard
	done   chan struct{}

	mu       sync.Mutex
	cause    error // why it is over; nil while it is held
	isEnding bool  // its result is being written: what a stream says about its end is no loss
	ctx      context.Context
	stop     context.CancelCauseFunc
}

func newKept(ctx context.Context, c *channel, kind *Error, opened opener, tell func(Event)) *kept {
	k := &kept{
		channel: c, opened: opened, kind: kind, tell: tell,
		deadline: deadline{now: time.Now},
		events:   make(chan heard), done: make(chan struct{}),
	}
	// The values of the caller's context, not its end: that was about acquiring.
	k.ctx, k.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	return k
}

func (k *kept) isHeld() bool { return k.over() == nil }

func (k *kept) remaining() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cause != nil {
		return 0
	}
	return k.deadline.remaining()
}

// over says why it is over; nil while it is held. By the clocks, also where no timer has had its turn.
func (k *kept) over() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cause == nil && k.deadline.remaining() == 0 {
		return lost(k.kind, "DEADLINE")
	}
	return k.cause
}

// finish ends it, once.
func (k *kept) finish(cause error) {
	k.mu.Lock()
	if k.cause != nil {
		k.mu.Unlock()
		return
	}
	k.cause = cause
	k.deadline.end()
	k.mu.Unlock()
	k.stop(cause)
	close(k.done)
	if ours, ok := cause.(*Error); ok {
		k.say(Event{Kind: Lost, Why: ours.Why})
	} else {
		k.say(Event{Kind: Released})
	}
}

func (k *kept) ending() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.isEnding = true
}

func (k *kept) lost(why string) {
	k.mu.Lock()
	ending := k.isEnding
	k.mu.Unlock()
	if !ending {
		k.finish(lost(k.kind, why))
	}
}

// extend takes what an answer says of the deadline.
func (k *kept) extend(sent time.Time, validFor time.Duration) bool {
	if k.deadline.extend(sent, validFor) {
		return true
	}
	k.finish(lost(k.kind, "DEADLINE"))
	return false
}

func (k *kept) say(event Event) {
	if k.tell != nil {
		k.tell(event)
	}
}

// run keeps it until it is over. first is the stream that granted it; nil opens one.
func (k *kept) run(first *stream) {
	current := first
	var former *stream // goes on until the newest one has said that it keeps the lease
	failures := 0
	why := "taken over"
	age, retry, clock := time.NewTimer(reopenAfter), time.NewTimer(0), time.NewTimer(0)
	if first != nil {
		retry.Stop()
	}
	defer func() {
		for _, timer := range []*time.Timer{age, retry, clock} {
			timer.Stop()
		}
		for _, one := range []*stream{current, former} {
			if one != nil {
				one.cancel()
			}
		}
	}()
	reopen := func(because string) {
		k.say(Event{Kind: Reopened, Why: because})
		if current != nil {
			if former != nil {
				former.cancel()
			}
			former = current
		}
		current = open(k.channel, k.opened, k.events, k.done)
		age.Reset(reopenAfter)
		// Of a stream that is accepted and never answered: the next one, long before the silence is over.
		why = "the server does not answer"
		retry.Reset(firstAnswer)
	}
	for {
		select {
		case <-k.done:
			return
		case <-clock.C:
			left := k.remaining()
			if left == 0 {
				k.finish(lost(k.kind, "DEADLINE"))
				return
			}
			clock.Reset(min(left, look))
		case <-age.C:
			reopen("the stream is old")
		case <-retry.C:
			// On a closed client nobody keeps it any more; it is held until its deadline all the same.
			if k.channel.isClosed() {
				continue
			}
			if current != nil {
				k.channel.leave(current.seat)
			}
			reopen(why)
		case event := <-k.events:
			if event.err != nil {
				if event.from == former {
					former = nil
				}
				if event.from != current {
					continue
				}
				current = nil
				// moved on the newest stream: an older request arrived late, and is answered by asking again.
				if event.err.Reason != "MOVED" {
					k.channel.leave(event.from.seat)
				}
				why = event.err.Message
				retry.Reset(max(event.err.RetryAfter, fullJitter(failures)))
				failures++
				continue
			}
			switch event.said.kind {
			case Renewed:
				// Also of the former stream: what it says of the deadline is as true, counted from when it was sent.
				if !k.extend(event.from.sent, event.said.validFor) {
					return
				}
				k.say(Event{Kind: Renewed})
				if event.from == current {
					failures = 0
					retry.Stop()
					if former != nil {
						former.cancel()
						former = nil
					}
				}
			case AtRisk:
				if event.from == current {
					retry.Stop() // it answers, and goes on trying
				}
				k.say(Event{Kind: AtRisk, Why: event.said.reason})
			case Lost:
				k.lost(event.said.reason)
			case draining:
				if event.from == current {
					k.channel.leave(event.from.seat)
					reopen("the instance stops")
				}
			case cancelRequested:
				if k.onCancel != nil {
					k.onCancel(event.said.reason)
				}
			default: // of moved the end of the stream says more
			}
		}
	}
}
