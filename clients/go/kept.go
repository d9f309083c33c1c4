package leasehold

import (
	"context"
	"sync"
	"time"
)

// EventKind is what happened to a lease.
type EventKind string

// The kinds of events that an observer hears.
const (
	Queued   EventKind = "queued"
	Granted  EventKind = "granted"
	Renewed  EventKind = "renewed"
	AtRisk   EventKind = "at_risk"
	Reopened EventKind = "reopened" // its stream ended or moves; the lease is still held
	Lost     EventKind = "lost"
	Released EventKind = "released"

	draining        EventKind = "draining"
	moved           EventKind = "moved"
	cancelRequested EventKind = "cancel_requested"
	unknown         EventKind = ""
)

// Event is something that happened to a lease.
type Event struct {
	Kind EventKind
	// Position is the rank in the queue, from 1; only with Queued, and 0 while it isn't known.
	Position int
	// Why says more; only with AtRisk, Reopened and Lost.
	Why string
}

// kept is a lease or an attempt that streams keep alive until it is released, lost, or its deadline passes. When a
// stream breaks, moves or grows old, another one goes on, on any instance that answers. A broken stream is not a loss
// yet.
type kept struct {
	channel  *channel
	deadline deadline
	opened   opener
	loss     loss
	tell     func(Event)
	// onCancel, of an attempt, hears that someone asked to cancel its operation.
	onCancel func(reason string)

	events chan heard
	done   chan struct{}

	mu       sync.Mutex
	cause    error // why it is over; nil while it is held
	isEnding bool  // its outcome is being written: what a stream says about its end is no loss then
	ctx      context.Context
	stop     context.CancelCauseFunc
}

func newKept(ctx context.Context, c *channel, loss loss, opened opener, tell func(Event)) *kept {
	k := &kept{
		channel: c, opened: opened, loss: loss, tell: tell,
		deadline: deadline{now: time.Now},
		events:   make(chan heard), done: make(chan struct{}),
	}
	// It takes the values of the caller's context but not its end, which only bounds the taking.
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

// over returns why it is over, nil while it is held: by the clocks, even if no timer has run.
func (k *kept) over() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cause == nil && k.deadline.remaining() == 0 {
		return k.loss("DEADLINE")
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

// ending says that its outcome is being written.
func (k *kept) ending() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.isEnding = true
}

// lost ends it because a stream says so.
func (k *kept) lost(why string) {
	k.mu.Lock()
	ending := k.isEnding
	k.mu.Unlock()
	if !ending {
		k.finish(k.loss(why))
	}
}

// extend takes the valid_for of an answer, and returns whether it is held.
func (k *kept) extend(sent time.Time, validFor time.Duration) bool {
	if k.deadline.extend(sent, validFor) {
		return true
	}
	k.finish(k.loss("DEADLINE"))
	return false
}

func (k *kept) say(event Event) {
	if k.tell != nil {
		k.tell(event)
	}
}

// run keeps it alive until it is over. first is the stream that granted it; with nil, run opens one.
func (k *kept) run(first *stream) {
	current := first
	var former *stream // goes on until the newest one has said that it keeps the lease
	failures := 0
	why := "a unary call began it, and a stream keeps it"
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
		// A server may accept the stream and never answer it: the next stream starts long before the silence is over.
		why = noFirstAnswer(current.seat.address, firstAnswer).Message
		retry.Reset(firstAnswer)
	}
	for {
		select {
		case <-k.done:
			return
		case <-clock.C:
			left := k.remaining()
			if left == 0 {
				k.finish(k.loss("DEADLINE"))
				return
			}
			clock.Reset(min(left, look))
		case <-age.C:
			reopen("its stream is 30 minutes old")
		case <-retry.C:
			// On a closed client nothing renews it any more; it is held until its deadline all the same.
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
				// MOVED on the newest stream means that an older request arrived after it: opening another one answers that.
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
				// The former stream's word counts too: it is as true, counted from when that stream was sent.
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
					retry.Stop() // the server answers, and goes on trying
				}
				k.say(Event{Kind: AtRisk, Why: event.said.reason})
			case Lost:
				k.lost(event.said.reason)
			case draining:
				if event.from == current {
					k.channel.leave(event.from.seat)
					reopen(event.from.seat.address + " is shutting down")
				}
			case cancelRequested:
				if k.onCancel != nil {
					k.onCancel(event.said.reason)
				}
			default: // moved needs nothing here: the end of its stream follows and says more
			}
		}
	}
}
