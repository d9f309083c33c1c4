package leasehold

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

const (
	// How long a stream can be silent before it counts as dead: servers say something every 15 s.
	silence = 20 * time.Second
	// How long the first message of a new stream may take; twice as long after each that nobody answered.
	firstAnswer = 3 * time.Second
	// The least that a stream gets, also when a deadline is near.
	leastPatience = 100 * time.Millisecond
	// How long a server may keep a lease or an attempt without a newer stream. A process that is dead or frozen opens none,
	// and a proxy can keep its streams for long.
	renewFor = 20 * time.Second
	// How long the client waits for the server to end the stream of what is over: a stream that it cancels counts as
	// CANCELLED, and a trace shows it as an error.
	endWithin = 500 * time.Millisecond
	// How often the client looks at the clocks in any case: a suspended machine's timers may have stood still.
	look = time.Second
)

// said is one message of a stream, of any rpc.
type said struct {
	kind     EventKind
	position int
	lease    leaseMessage
	validFor time.Duration
	reason   string
}

type leaseMessage interface {
	GetResource() string
	GetLeaseId() string
	GetFencingToken() int64
}

// opener makes the call and returns a function that reads its messages.
type opener func(ctx context.Context, on *connection) (read func() (said, error), err error)

// opening is the opener of a call whose messages translate understands.
func opening[Request, Message any, Call interface{ Recv() (Message, error) }](
	method func(stubs) rpc[Request, Call], request Request, translate func(Message) said,
) opener {
	return func(ctx context.Context, on *connection) (func() (said, error), error) {
		call, err := method(on.stubs)(ctx, request)
		return func() (said, error) {
			message, err := call.Recv()
			if err != nil {
				return said{}, err
			}
			return translate(message), nil
		}, err
	}
}

// commonEvents are what the streams of leases and of attempts say alike.
type commonEvents interface {
	GetAtRisk() *pb.AtRisk
	GetMoved() *pb.Moved
	GetDraining() *pb.Draining
}

func commonEvent(message commonEvents) said {
	switch {
	case message.GetAtRisk() != nil:
		return said{kind: AtRisk, reason: trimmed("AT_RISK_REASON_", message.GetAtRisk().Reason)}
	case message.GetMoved() != nil:
		return said{kind: moved}
	case message.GetDraining() != nil:
		return said{kind: draining}
	}
	return said{kind: unknown}
}

// heard is a message of a stream or, with err, its end.
type heard struct {
	from *stream
	said said
	err  *Error
	// A random number from 0 to 1, the same for all leases of a stream that broke, so that they come back together.
	drawn float64
	// Whether the lease asks alone from now on: a server refused the leases of a call, and didn't say which one it meant.
	isAlone bool
}

// inbox has what streams said and their lease has not heard yet. It takes everything at once: a lease whose observer
// blocks doesn't hold up the others that share its stream.
type inbox struct {
	mu      sync.Mutex
	waiting []heard
	ready   chan struct{}
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

func (i *inbox) put(event heard) {
	i.mu.Lock()
	i.waiting = append(i.waiting, event)
	i.mu.Unlock()
	i.wake()
}

func (i *inbox) wake() {
	select {
	case i.ready <- struct{}{}:
	default:
	}
}

// next takes the oldest one; ready says that there is one.
func (i *inbox) next() (heard, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.waiting) == 0 {
		return heard{}, false
	}
	event := i.waiting[0]
	i.waiting = i.waiting[1:]
	if len(i.waiting) > 0 {
		i.wake()
	}
	return event, true
}

// stream is a call as one lease or attempt sees it: when it was sent, and how it is cancelled. Leases share the calls of
// the keeper. It decides nothing.
type stream struct {
	// sent is set before the stream says anything; before that, only at may read it.
	sent   time.Time
	cancel func()
	// abandon is cancel for what a server may go on keeping.
	abandon func()
	// ended is closed when nothing more comes from it.
	ended chan struct{}

	mu   sync.Mutex
	seat *seat // nil until the call is made
	on   *connection
}

// at returns where and when the call was made, nil before it is made.
func (s *stream) at() (*seat, *connection, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seat, s.on, s.sent
}

func (s *stream) sendTo(to *seat, on *connection, sent time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seat, s.on, s.sent = to, on, sent
}

// letEnd cancels the stream if the server doesn't end it soon.
func (s *stream) letEnd() { time.AfterFunc(endWithin, s.cancel) }

// open starts a stream of its own and returns at once. The stream puts everything that happens into the inbox, its end
// last.
func open(c *channel, kind kind, opened opener, inbox *inbox) *stream {
	ctx, stop := context.WithCancelCause(c.ctx)
	cancel := func() { stop(context.Canceled) }
	s := &stream{cancel: cancel, abandon: cancel, ended: make(chan struct{})}
	to := c.seat()
	on, err := to.pools[kind].take()
	s.sendTo(to, on, time.Now())
	end := func(err *Error) {
		stop(context.Canceled)
		close(s.ended)
		inbox.put(heard{from: s, err: err, drawn: rand.Float64()})
	}
	if err != nil {
		end(asError(err))
		return s
	}
	go func() {
		silent := unavailable(fmt.Sprintf("%s said nothing for %.0f s", to.address, silence.Seconds()))
		quiet := time.AfterFunc(silence, func() { stop(silent) })
		defer quiet.Stop()
		hasMoved := false
		read, err := opened(ctx, on)
		for err == nil {
			var message said
			if message, err = read(); err == nil {
				quiet.Reset(silence)
				hasMoved = hasMoved || message.kind == moved
				inbox.put(heard{from: s, said: message})
			}
		}
		on.giveBack()
		failure := fromRPC(err, to.address)
		if ctx.Err() != nil {
			failure = asError(context.Cause(ctx))
		}
		if hasMoved { // with renew_for its end is OK
			failure = movedAway(to.address)
		}
		end(failure)
	}()
	return s
}

func movedAway(address string) *Error {
	return &Error{Code: codes.Aborted, Reason: reasonMoved, Message: "a newer call took over from the one to " + address}
}
