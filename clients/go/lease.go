package leasehold

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// Forever is a wait without an end.
const Forever time.Duration = math.MaxInt64

const (
	// How long a caller waits for the release of what it no longer waits for.
	giveBack = time.Second
	// The longest wait that a server takes.
	mostWait = 365 * 24 * time.Hour
)

// Lease is a lease that the client keeps alive until it is released, lost, or its deadline passes. The client never
// acquires it again by itself.
type Lease struct {
	// Resource is what is leased.
	Resource string
	// LeaseID names the acquisition. It is a secret: anyone who knows it can release the lease.
	LeaseID string
	// FencingToken is larger than that of every earlier grant: send it with every write, and refuse smaller ones there.
	FencingToken int64

	kept *kept
}

// Context returns a context that ends when the lease is over: released, lost, or past its deadline. Stop then at the
// latest; context.Cause tells why. The context has the values of the one given to Lock, but doesn't end with it.
func (l *Lease) Context() context.Context { return l.kept.ctx }

// Remaining returns the time until the deadline as it stands; 0 when the lease is over.
func (l *Lease) Remaining() time.Duration { return l.kept.remaining() }

// Held returns whether the lease is held: by the clocks, even if no server has said anything.
func (l *Lease) Held() bool { return l.kept.isHeld() }

// Err returns nil while the lease is held, and an error that matches ErrLeaseLost once it is over.
func (l *Lease) Err() error {
	over := l.kept.over()
	if errors.Is(over, errReleased) {
		return leaseLost(l.Resource)("it was released")
	}
	return over
}

// LostReason returns why the lease was lost: a LostReason such as FORCE_RELEASED, or DEADLINE when the deadline passed
// here. It is empty if the lease isn't lost.
func (l *Lease) LostReason() string {
	var ours *Error
	if errors.As(l.kept.over(), &ours) {
		return ours.Why
	}
	return ""
}

// Release releases the lease, and returns whether that ended a live one. A repeat does no harm. It fails when no server
// answers within 10 s; the lease then ends with its TTL.
func (l *Lease) Release(ctx context.Context) (bool, error) {
	l.kept.finish(errReleased)
	released, err := release(ctx, l.kept.channel, l.Resource, l.LeaseID)
	// The server ends the stream of what it released. Where it released nothing, it has nothing to say.
	l.kept.endStreams(ctx, released)
	return released, err
}

func release(ctx context.Context, c *channel, resource, leaseID string) (bool, error) {
	request := &pb.ReleaseRequest{Resource: resource, LeaseId: leaseID}
	response, _, err := unary(ctx, c, request, atOnce,
		func(s stubs) rpc[*pb.ReleaseRequest, *pb.ReleaseResponse] {
			return s.locks.Release
		})
	return response.GetReleased(), err
}

// tryGiveBack releases what its caller gave up, and waits for that for a second, or for less. The releases go on after
// that. A failure is of no use to a caller that gets no lease: what was granted ends with its TTL.
func tryGiveBack(ctx context.Context, c *channel, wait time.Duration, specs ...*pb.LeaseSpec) {
	var all sync.WaitGroup
	for _, spec := range specs {
		all.Add(1)
		go func() {
			defer all.Done()
			_, _ = release(context.WithoutCancel(ctx), c, spec.Resource, spec.LeaseId)
		}()
	}
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(min(wait, giveBack)):
	}
}

// answerShare is the part of a bound on a whole call that its wait at the server leaves for the answer.
func answerShare(whole time.Duration) time.Duration { return min(time.Second, whole/4) }

// hold takes a lease by one Hold stream after the other, until one grants it or time is over.
func (c *Client) hold(ctx context.Context, resource string, o options) (*Lease, error) {
	spec := o.spec(resource)
	began := time.Now()
	wait := min(o.wait, mostWait)
	giveUp, waitUntil, wholeEnd := began.Add(wait), began.Add(wait), began.Add(2*mostWait)
	if o.timeout != nil {
		wholeEnd = began.Add(*o.timeout)
		giveUp = wholeEnd
		// The server says that the wait is over before the caller stops listening.
		waitUntil = earlier(waitUntil, wholeEnd.Add(-answerShare(*o.timeout)))
	} else if wait == 0 {
		giveUp = began.Add(answerWithin)
	}
	patience := firstAnswer
	for tries := 0; ; tries++ {
		if c.channel.isClosed() {
			return nil, ErrClosed
		}
		request := &pb.HoldRequest{Spec: spec, RenewFor: durationpb.New(c.channel.renewFor)}
		inQueue := time.Duration(0)
		switch {
		case o.wait == Forever && o.timeout == nil:
			request.Wait = &pb.HoldRequest_WaitForever{WaitForever: true}
			inQueue = mostWait
		case o.wait > 0:
			inQueue = max(time.Millisecond, time.Until(waitUntil))
			request.Wait = &pb.HoldRequest_WaitTimeout{WaitTimeout: durationpb.New(inQueue)}
		}
		endsAfter := min(inQueue+patience, time.Until(wholeEnd))
		lease, from, err := c.granted(ctx, request, patience, endsAfter, o.observer)
		if err == nil {
			return lease, nil
		}
		failure := asError(err)
		if errors.Is(err, errSilent) {
			patience *= 2
		}
		if o.wait == 0 && o.timeout == nil && tries+1 >= len(c.channel.seats) {
			giveUp = earlier(giveUp, began.Add(hurry)) // each instance was asked
		}
		pause := max(failure.RetryAfter, fullJitter(tries))
		canPass := failure.passes() || failure.Reason == reasonMoved
		if ctx.Err() == nil && canPass && time.Now().Add(pause).Before(giveUp) {
			c.channel.leave(from)
			o.say(Event{Kind: Reopened, Why: failure.Message})
			if sleep(ctx, pause) {
				if o.wait > 0 {
					c.channel.holders.goFirst(ctx, time.Until(giveUp))
				}
				continue
			}
		}
		if ctx.Err() != nil {
			err = ended(ctx)
		} else {
			err = failure
		}
		// It may be queued or even granted at a server whose answer never arrived.
		if failure.Reason != ReasonLockContended && failure.Code != codes.InvalidArgument &&
			failure.Code != codes.Unauthenticated {
			tryGiveBack(ctx, c.channel, time.Until(wholeEnd), spec)
		}
		return nil, err
	}
}

// errSilent is in the chain of the error of a stream that said nothing.
var errSilent = errors.New("nobody answered")

// granted waits until one Hold stream grants the lease or ends. After the grant that stream is the first that keeps the
// lease.
func (c *Client) granted(
	ctx context.Context, request *pb.HoldRequest, patience, endsAfter time.Duration, observer func(Event),
) (*Lease, *seat, error) {
	k := newKept(ctx, c.channel, leaseLost(request.Spec.Resource), observer)
	from := open(c.channel, waiting, holding(request), k.inbox)
	to, on, sent := from.at()
	fail := func(err error) (*Lease, *seat, error) {
		from.cancel()
		k.stop(err)
		close(k.done)
		return nil, to, err
	}
	silent := func() (*Lease, *seat, error) {
		open := 0
		if on != nil {
			open = on.openCalls()
		}
		return fail(fmt.Errorf("%w (%w)", noAnswer(to.address, time.Since(sent), open), errSilent))
	}
	// An instance that accepts the call and says nothing gets no more time. (One that queues it says so every 15 s.)
	answerIn := patience
	if request.Wait != nil {
		answerIn = silence
	}
	answer := time.NewTimer(answerIn)
	defer answer.Stop()
	// This bounds the wait for a silent server; a server that queues the call ends it a little earlier.
	end := time.NewTimer(endsAfter)
	defer end.Stop()
	wasHeard := false
	for {
		select {
		case <-ctx.Done():
			return fail(ended(ctx))
		case <-answer.C:
			return silent()
		case <-end.C:
			if !wasHeard {
				return silent()
			}
			return fail(unavailable("no server granted or refused it in time (the last try was at " + to.address +
				"): check that a Leasehold server runs there, or give the call more time"))
		case <-k.inbox.ready:
			event, isThere := k.inbox.next()
			if !isThere {
				continue
			}
			if event.err != nil {
				return fail(event.err)
			}
			answer.Stop()
			wasHeard = true
			switch event.said.kind {
			case Queued:
				k.say(Event{Kind: Queued, Position: event.said.position})
			case Granted:
				lease := c.keep(k, event.said.lease, from.sent, event.said.validFor)
				go k.run(from)
				return lease, to, nil
			}
		}
	}
}

// keep makes the lease that a server granted; sent is when its call was sent.
func (c *Client) keep(k *kept, granted leaseMessage, sent time.Time, validFor time.Duration) *Lease {
	lease := &Lease{
		Resource: granted.GetResource(), LeaseID: granted.GetLeaseId(), FencingToken: granted.GetFencingToken(), kept: k,
	}
	ref := &pb.LeaseRef{Resource: lease.Resource, LeaseId: lease.LeaseID, FencingToken: lease.FencingToken}
	k.opened = func(alone bool) *stream { return c.channel.keeper.join(ref, k.inbox, alone, k.remaining()) }
	// The keeper says earlier when a newer stream is due, to all leases of one call.
	k.refresh = func() time.Duration { return c.channel.renewFor * 3 / 4 }
	if k.extend(sent, validFor) {
		k.say(Event{Kind: Granted})
	}
	return lease
}

func holding(request *pb.HoldRequest) opener {
	return opening(func(s stubs) rpc[*pb.HoldRequest, grpc.ServerStreamingClient[pb.HoldResponse]] {
		return s.locks.Hold
	}, request, func(message *pb.HoldResponse) said {
		switch event := message.Event.(type) {
		case *pb.HoldResponse_Queued:
			return said{kind: Queued, position: int(event.Queued.Position)}
		case *pb.HoldResponse_Granted:
			return said{kind: Granted, lease: event.Granted, validFor: event.Granted.ValidFor.AsDuration()}
		}
		return leaseEvent(message)
	})
}

// leaseEvents are what Hold and KeepAlive say alike about a lease that is held.
type leaseEvents interface {
	commonEvents
	GetRenewed() *pb.Lease
	GetLost() *pb.Lost
}

func leaseEvent(message leaseEvents) said {
	switch {
	case message.GetRenewed() != nil:
		return said{kind: Renewed, validFor: message.GetRenewed().ValidFor.AsDuration()}
	case message.GetLost() != nil:
		return said{kind: Lost, reason: trimmed("LOST_REASON_", message.GetLost().Reason)}
	}
	return commonEvent(message)
}

// trimmed is the name of an enum's value without the name of the enum.
func trimmed(prefix string, name fmt.Stringer) string {
	return strings.TrimPrefix(name.String(), prefix)
}

// newID returns a random UUID: the form that the contract asks for.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
