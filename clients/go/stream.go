package leasehold

import (
	"context"
	"time"
)

const (
	// Servers say something every 15 s.
	silence     = 20 * time.Second
	firstAnswer = 3 * time.Second
	// How old a stream may be.
	reopenAfter = 30 * time.Minute
	// How often the clocks are looked at besides: a suspended machine's timers may have stood still.
	look = time.Second
)

// said is one message of a stream, whichever rpc it came from.
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

// opener makes the call and returns what reads its messages.
type opener func(ctx context.Context, to *seat) (read func() (said, error), err error)

// heard is a message, or with err the end, of a stream.
type heard struct {
	from *stream
	said said
	err  *Error
}

// stream is one call: when it was sent, what it says, and that it has fallen silent. It decides nothing.
type stream struct {
	seat *seat
	sent time.Time
	stop context.CancelCauseFunc
}

// open returns at once; everything that happens is sent to events, the end last, unless the stream was cancelled.
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
		quiet := time.AfterFunc(silence, func() { stop(unavailable("the server said nothing for " + silence.String())) })
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

// cancel ends it; what it still says is ignored by whoever no longer has it for its own.
func (s *stream) cancel() { s.stop(context.Canceled) }
