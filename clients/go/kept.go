package leasehold

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	due             EventKind = "due" // of this client: a newer stream is to follow
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
	// opened opens a stream that keeps it. alone asks for one that no other lease shares.
	opened func(alone bool) *stream
	// refresh returns how long after a stream the next one follows.
	refresh func() time.Duration
	loss    loss
	tell    func(Event)
	// onCancel, of an attempt, hears that someone asked to cancel its operation.
	onCancel func(reason string)

	inbox *inbox
	done  chan struct{}
	// left has the streams that run leaves to endStreams, which takes them once.
	left     chan []*stream
	leftOnce sync.Once

	mu       sync.Mutex
	cause    error // why it is over; nil while it is held
	wasTold  bool  // a server said that it is over
	isEnding bool  // its outcome is being written: what a stream says about its end is no loss then
	ctx      context.Context
	stop     context.CancelCauseFunc
}

func newKept(ctx context.Context, c *channel, loss loss, tell func(Event)) *kept {
	k := &kept{
		channel: c, loss: loss, tell: tell, deadline: deadline{now: time.Now},
		inbox: newInbox(), done: make(chan struct{}), left: make(chan []*stream, 1),
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
	k.wasTold = true
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

// endStreams ends the streams of what its owner has ended. If a server has confirmed that, it ends them itself, and this
// waits for it a little.
func (k *kept) endStreams(ctx context.Context, isConfirmed bool) {
	if errors.Is(k.over(), errReleased) {
		k.leftOnce.Do(func() { k.endLeft(ctx, isConfirmed) })
	}
}

func (k *kept) endLeft(ctx context.Context, isConfirmed bool) {
	bound := time.NewTimer(endWithin)
	defer bound.Stop()
	var streams []*stream
	select {
	case streams = <-k.left:
	case <-bound.C: // an observer blocks, or called this; run sees to it
		return
	}
	for _, one := range streams {
		if !isConfirmed {
			one.abandon()
			continue
		}
		select {
		case <-one.ended:
		case <-bound.C:
			bound.Reset(0)
		case <-ctx.Done():
		}
		one.cancel()
	}
}

// part ends the streams, or leaves them to endStreams.
func (k *kept) part(streams []*stream) {
	k.mu.Lock()
	wasTold, wasReleased := k.wasTold, errors.Is(k.cause, errReleased)
	k.mu.Unlock()
	for _, one := range streams {
		switch {
		case wasReleased:
			time.AfterFunc(answerWithin+endWithin, one.cancel)
		case wasTold:
			one.letEnd()
		default:
			one.cancel()
		}
	}
	if wasReleased {
		k.left <- streams
	}
}

// quietFor is how long a stream can be silent: renewals come every quarter of the TTL, and when half of it has passed
// there is still time to go on elsewhere.
func (k *kept) quietFor() time.Duration {
	return min(silence, max(leastPatience, k.deadline.timeToLive()/2))
}

// run keeps it alive until it is over. first is the stream that granted it; with nil, run opens one.
func (k *kept) run(first *stream) {
	current := first
	var former *stream // goes on until the newest one has said that it keeps the lease
	failures, unanswered := 0, 0
	isAnswered := first != nil
	isToldOver, isNeedy, isAlone := false, false, false
	why := "a unary call began it, and a stream keeps it"
	age, retry, clock := time.NewTimer(k.channel.renewFor/4), time.NewTimer(0), time.NewTimer(0)
	if first != nil {
		retry.Reset(k.quietFor())
	}
	needs := func(needs bool) {
		if needs && !isNeedy {
			k.channel.holders.need()
		} else if !needs && isNeedy {
			k.channel.holders.isKept()
		}
		isNeedy = needs
	}
	defer func() {
		for _, timer := range []*time.Timer{age, retry, clock} {
			timer.Stop()
		}
		needs(false)
		var streams []*stream
		for _, one := range []*stream{current, former} {
			if one != nil {
				streams = append(streams, one)
			}
		}
		k.part(streams)
	}()
	// reopen opens a stream, and says so unless it follows one that has merely grown old.
	reopen := func(because string) {
		if because != "" {
			k.say(Event{Kind: Reopened, Why: because})
		}
		if current != nil {
			if former != nil {
				former.cancel()
			}
			former = current
		}
		current = k.opened(isAlone)
		isAnswered = false
		age.Reset(k.refresh())
		// A server may accept the stream and never answer it: the next stream starts long before the silence is over.
		retry.Reset(max(leastPatience, min(firstAnswer<<min(unanswered, 5), k.remaining()/2)))
	}
	leave := func(from *stream) (address string, sent time.Time, open int) {
		to, on, sent := from.at()
		if to == nil {
			return "the server", time.Now(), 0
		}
		k.channel.leave(to)
		if on != nil {
			open = on.openCalls()
		}
		return to.address, sent, open
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
			if !k.channel.isClosed() && current != nil {
				reopen("")
			}
		case <-retry.C:
			// On a closed client nothing renews it any more; it is held until its deadline all the same.
			if k.channel.isClosed() {
				continue
			}
			needs(true)
			if current != nil {
				address, sent, open := leave(current)
				if isAnswered {
					why = fmt.Sprintf("%s has not renewed it for a part of its time", address)
				} else {
					why = noAnswer(address, time.Since(sent), open).Message
					unanswered++
				}
			}
			reopen(why)
		case <-k.inbox.ready:
			event, isThere := k.inbox.next()
			if !isThere {
				continue
			}
			if event.err != nil {
				if event.from == former {
					former = nil
				}
				if event.from != current {
					continue
				}
				current = nil
				if isToldOver { // its outcome is being written, and a server has it
					retry.Stop()
					continue
				}
				// MOVED on the newest stream means that an older request arrived after it: opening another one answers that.
				if event.err.Reason != reasonMoved {
					leave(event.from)
				}
				needs(true)
				isAlone = isAlone || event.isAlone
				why = event.err.Message
				// It waits as long as the server asks, but for half of what is left at most: more would surely lose it.
				pause := max(event.err.RetryAfter, jitter(event.drawn, failures))
				retry.Reset(min(pause, k.remaining()/2))
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
					failures, unanswered = 0, 0
					isAnswered, isAlone = true, false
					needs(false)
					retry.Reset(k.quietFor())
					if former != nil {
						former.letEnd()
						former = nil
					}
				}
			case AtRisk:
				k.say(Event{Kind: AtRisk, Why: event.said.reason})
				if event.from == current {
					isAnswered = true
					// The server answers, and goes on trying, but may fall silent after that.
					retry.Reset(k.quietFor())
					switch event.said.reason {
					case "STORE_UNAVAILABLE", "PRIMARY_UNCONFIRMED":
						// It may be the only one that can't reach the store, so another one is asked before the time runs out. Not at
						// once, and not by all clients at the same moment: in a failover all instances are like this.
						if len(k.channel.seats) > 1 {
							retry.Reset(time.Duration(float64(k.remaining()) / 4 * (0.5 + 0.5*rand.Float64())))
						}
					case "RENEW_FOR": // this process stood still for too long
						reopen("its renew_for is over")
					}
				}
			case Lost:
				isToldOver = true
				k.lost(event.said.reason)
			case draining:
				if event.from == current {
					address, _, _ := leave(current)
					reopen(address + " is shutting down")
				}
			case due:
				if event.from == current && !k.channel.isClosed() {
					reopen("")
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
