package leasehold

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// Forever is a wait without an end.
const Forever time.Duration = math.MaxInt64

// How long the client tries to give back what it no longer waits for.
const giveBack = time.Second

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
	return release(ctx, l.kept.channel, l.Resource, l.LeaseID)
}

func release(ctx context.Context, c *channel, resource, leaseID string) (bool, error) {
	request := &pb.ReleaseRequest{Resource: resource, LeaseId: leaseID}
	response, _, err := unary(ctx, c, request, answerWithin, tryFor,
		func(s stubs) rpc[*pb.ReleaseRequest, *pb.ReleaseResponse] {
			return s.locks.Release
		})
	return response.GetReleased(), err
}

// tryGiveBack releases what its caller gave up. A failure is of no use to a caller that gets no lease: what was granted
// ends with its TTL.
func tryGiveBack(ctx context.Context, c *channel, resource, leaseID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBack)
	defer cancel()
	_, _ = release(ctx, c, resource, leaseID)
}

// hold takes a lease by one Hold stream after the other, until one grants it or time is over.
func (c *Client) hold(ctx context.Context, resource string, o options) (*Lease, error) {
	spec := o.spec(resource)
	giveUp := time.Now().Add(o.timeout)
	if o.wait > 0 {
		giveUp = time.Now().Add(min(o.wait, 365*24*time.Hour))
	}
	for tries := 0; ; tries++ {
		if c.channel.isClosed() {
			return nil, ErrClosed
		}
		request := &pb.HoldRequest{Spec: spec}
		switch {
		case o.wait == Forever:
			request.Wait = &pb.HoldRequest_WaitForever{WaitForever: true}
		case o.wait > 0:
			left := max(time.Millisecond, time.Until(giveUp))
			request.Wait = &pb.HoldRequest_WaitTimeout{WaitTimeout: durationpb.New(left)}
		}
		lease, from, err := c.granted(ctx, request, giveUp, o.observer)
		if err == nil {
			return lease, nil
		}
		failure := asError(err)
		pause := max(failure.RetryAfter, fullJitter(tries))
		canPass := failure.passes() || failure.Reason == "MOVED"
		if ctx.Err() == nil && canPass && time.Now().Add(pause).Before(giveUp) {
			c.channel.leave(from)
			o.say(Event{Kind: Reopened, Why: failure.Message})
			if sleep(ctx, pause) {
				continue
			}
		}
		if ctx.Err() != nil {
			err = ended(ctx)
		}
		// It may be queued or even granted at a server whose answer never arrived.
		if failure.Reason != ReasonLockContended && failure.Code != codes.InvalidArgument &&
			failure.Code != codes.Unauthenticated {
			tryGiveBack(ctx, c.channel, spec.Resource, spec.LeaseId)
		}
		return nil, err
	}
}

// granted waits until one Hold stream grants the lease or ends. After the grant that stream is the first that keeps the
// lease.
func (c *Client) granted(
	ctx context.Context, request *pb.HoldRequest, giveUp time.Time, observer func(Event),
) (*Lease, *seat, error) {
	k := newKept(ctx, c.channel, leaseLost(request.Spec.Resource), nil, observer)
	from := open(c.channel, holding(request), k.events, k.done)
	fail := func(err error) (*Lease, *seat, error) {
		from.cancel()
		k.stop(err)
		close(k.done)
		return nil, from.seat, err
	}
	// An instance that accepts the call and says nothing gets no more time. (One that queues it says so every 15 s.)
	answerIn := firstAnswer
	if request.Wait != nil {
		answerIn = silence
	}
	answer := time.NewTimer(answerIn)
	defer answer.Stop()
	// This bounds the wait for a silent server; a server that queues the call ends it a little earlier.
	end := time.NewTimer(time.Until(giveUp) + firstAnswer)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return fail(ended(ctx))
		case <-answer.C:
			return fail(noFirstAnswer(from.seat.address, answerIn))
		case <-end.C:
			return fail(unavailable("no server answered in time (the last try was at " + from.seat.address +
				"): check that a Leasehold server runs there, or give the call more time"))
		case event := <-k.events:
			if event.err != nil {
				return fail(event.err)
			}
			answer.Stop()
			switch event.said.kind {
			case Queued:
				k.say(Event{Kind: Queued, Position: event.said.position})
			case Granted:
				lease := c.keep(k, event.said.lease, from.sent, event.said.validFor)
				go k.run(from)
				return lease, from.seat, nil
			}
		}
	}
}

// keep makes the lease that a server granted; sent is when its call was sent.
func (c *Client) keep(k *kept, granted leaseMessage, sent time.Time, validFor time.Duration) *Lease {
	lease := &Lease{
		Resource: granted.GetResource(), LeaseID: granted.GetLeaseId(), FencingToken: granted.GetFencingToken(), kept: k,
	}
	k.opened = keepingAlive(lease)
	if k.extend(sent, validFor) {
		k.say(Event{Kind: Granted})
	}
	return lease
}

func holding(request *pb.HoldRequest) opener {
	return opening(func(to *seat) rpc[*pb.HoldRequest, grpc.ServerStreamingClient[pb.HoldResponse]] {
		return to.streams.locks.Hold
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

func keepingAlive(lease *Lease) opener {
	request := &pb.KeepAliveRequest{Leases: []*pb.LeaseRef{
		{Resource: lease.Resource, LeaseId: lease.LeaseID, FencingToken: lease.FencingToken},
	}}
	return opening(func(to *seat) rpc[*pb.KeepAliveRequest, grpc.ServerStreamingClient[pb.KeepAliveResponse]] {
		return to.streams.locks.KeepAlive
	}, request, func(message *pb.KeepAliveResponse) said { return leaseEvent(message) })
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
