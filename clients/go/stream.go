package leasehold

import (
	"context"
	"fmt"
	"time"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

const (
	// How long a stream can be silent before it counts as dead: servers say something every 15 s.
	silence = 20 * time.Second
	// How long the first message of a new stream may take.
	firstAnswer = 3 * time.Second
	// The age at which a stream is opened anew.
	reopenAfter = 30 * time.Minute
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
type opener func(ctx context.Context, to *seat) (read func() (said, error), err error)

// opening is the opener of a call whose messages translate understands.
func opening[Request, Message any, Call interface{ Recv() (Message, error) }](
	method func(*seat) rpc[Request, Call], request Request, translate func(Message) said,
) opener {
	return func(ctx context.Context, to *seat) (func() (said, error), error) {
		call, err := method(to)(ctx, request)
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
}

// stream is one call: when it was sent, what it says, and whether it has fallen silent. It decides nothing.
type stream struct {
	seat *seat
	sent time.Time
	stop context.CancelCauseFunc
}

// open starts a stream and returns at once. The stream sends everything that happens to events, its end last, until
// over is closed.
func open(c *channel, opened opener, events chan<- heard, over <-chan struct{}) *stream {
	ctx, stop := context.WithCancelCause(c.ctx)
	s := &stream{seat: c.seat(), sent: time.Now(), stop: stop}
	go func() {
		defer stop(context.Canceled)
		tell := func(what heard) bool {
			select {
			case events <- what:
				return true
			case <-over:
				return false
			}
		}
		silent := unavailable(fmt.Sprintf("%s said nothing for %.0f s", s.seat.address, silence.Seconds()))
		quiet := time.AfterFunc(silence, func() { stop(silent) })
		defer quiet.Stop()
		read, err := opened(ctx, s.seat)
		for err == nil {
			var message said
			if message, err = read(); err == nil {
				quiet.Reset(silence)
				if !tell(heard{from: s, said: message}) {
					return
				}
			}
		}
		failure := fromRPC(err, s.seat.address)
		if ctx.Err() != nil {
			failure = asError(context.Cause(ctx))
		}
		tell(heard{from: s, err: failure})
	}()
	return s
}

// cancel ends the stream. The receiver of events ignores what a stream still says that it no longer knows.
func (s *stream) cancel() { s.stop(context.Canceled) }
