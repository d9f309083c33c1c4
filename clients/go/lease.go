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

const giveBack = time.Second

// Lease is kept alive until it is released, lost, or its deadline passes. It is never acquired again by itself.
type Lease struct {
	// Resource is what is leased.
	Resource string
	// LeaseID names the acquisition. Whoever knows it can release the lease.
	LeaseID string
	// FencingToken is larger than that of every earlier grant: send it with every write, and refuse smaller ones there.
	FencingToken int64

	kept *kept
}

// Context ends when the lease is over: lost, or its deadline passed, or released. Then, at the latest, stop;
// context.Cause tells why. It has the values of the context that the lease was acquired with, and doesn't end with it.
func (l *Lease) Context() context.Context { return l.kept.ctx }

// Remaining is the time until the deadline as it stands; 0 when it is over.
func (l *Lease) Remaining() time.Duration { return l.kept.remaining() }

// Held says whether it is held, by the clocks, also where nothing has been heard.
func (l *Lease) Held() bool { return l.kept.isHeld() }

// Err is nil while the lease is held, and matches ErrLeaseLost once it is over.
func (l *Lease) Err() error {
	over := l.kept.over()
	if errors.Is(over, errReleased) {
		return lost(ErrLeaseLost, "it was released")
	}
	return over
}

// LostReason says why it was lost: a LostReason such as FORCE_RELEASED, or DEADLINE. Empty while it isn't.
func (l *Lease) LostReason() string {
	var ours *Error
	if errors.As(l.kept.over(), &ours) {
		return ours.Why
	}
	return ""
}

// Release gives it back, and says whether a live lease was ended. A repeat does no harm.
func (l *Lease) Release(ctx context.Context) (bool, error) {
	l.kept.finish(errReleased)
	return release(ctx, l.kept.channel, l.Resource, l.LeaseID)
}

func release(ctx context.Context, c *channel, resource, leaseID string) (bool, error) {
	request := &pb.ReleaseRequest{Resource: resource, LeaseId: leaseID}
	response, _, err := unary(ctx, c, request, answerWithin, tryFor,
		func(s stubs) func(context.Context, *pb.ReleaseRequest, ...grpc.CallOption) (*pb.ReleaseResponse, error) {
			return s.locks.Release
		})
	return response.GetReleased(), err
}

// tryGiveBack ends what nobody will hear of any more. That it didn't work is no news to whoever gets no lease: it ends
// with its TTL.
func tryGiveBack(ctx context.Context, c *channel, resource, leaseID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBack)
	defer cancel()
	_, _ = release(ctx, c, resource, leaseID)
}

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
		canPass := failure.Code == codes.Unavailable || failure.Reason == "MOVED"
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
		// It may be queued, or even granted, where we don't hear of it any more.
		if failure.Reason != ReasonLockContended && failure.Code != codes.InvalidArgument &&
			failure.Code != codes.Unauthenticated {
			tryGiveBack(ctx, c.channel, spec.Resource, spec.LeaseId)
		}
		return nil, err
	}
}

// granted is one Hold stream until it grants or ends; after the grant it is the first stream that keeps the lease.
func (c *Client) granted(
	ctx context.Context, request *pb.HoldRequest, giveUp time.Time, observer func(Event),
) (*Lease, *seat, error) {
	k := newKept(ctx, c.channel, ErrLeaseLost, nil, observer)
	from := open(c.channel, holding(request), k.events, k.done)
	fail := func(err error) (*Lease, *seat, error) {
		from.cancel()
		k.stop(err)
		close(k.done)
		return nil, from.seat, err
	}
	// An instance that accepts and says nothing is not waited for. (One that queues says so every 15 s.)
	answerIn := firstAnswer
	if request.Wait != nil {
		answerIn = silence
	}
	answer := time.NewTimer(answerIn)
	defer answer.Stop()
	// Where the caller's time ends before a silent server's; a queued call is ended by the server, a little earlier.
	end := time.NewTimer(time.Until(giveUp) + firstAnswer)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return fail(ended(ctx))
		case <-answer.C:
			return fail(unavailable(from.seat.address + " does not answer"))
		case <-end.C:
			return fail(unavailable("no server answered in time"))
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
	return func(ctx context.Context, to *seat) (func() (said, error), error) {
		call, err := to.streams.locks.Hold(ctx, request)
		return func() (said, error) {
			message, err := call.Recv()
			if err != nil {
				return said{}, err
			}
			switch event := message.Event.(type) {
			case *pb.HoldResponse_Queued:
				return said{kind: Queued, position: int(event.Queued.Position)}, nil
			case *pb.HoldResponse_Granted:
				return said{kind: Granted, lease: event.Granted, validFor: event.Granted.ValidFor.AsDuration()}, nil
			case *pb.HoldResponse_Renewed:
				return said{kind: Renewed, validFor: event.Renewed.ValidFor.AsDuration()}, nil
			case *pb.HoldResponse_AtRisk:
				return said{kind: AtRisk, reason: trimmed("AT_RISK_REASON_", event.AtRisk.Reason)}, nil
			case *pb.HoldResponse_Lost:
				return said{kind: Lost, reason: trimmed("LOST_REASON_", event.Lost.Reason)}, nil
			case *pb.HoldResponse_Moved:
				return said{kind: moved}, nil
			case *pb.HoldResponse_Draining:
				return said{kind: draining}, nil
			}
			return said{kind: unknown}, nil
		}, err
	}
}

func keepingAlive(lease *Lease) opener {
	request := &pb.KeepAliveRequest{Leases: []*pb.LeaseRef{
		{Resource: lease.Resource, LeaseId: lease.LeaseID, FencingToken: lease.FencingToken},
	}}
	return func(ctx context.Context, to *seat) (func() (said, error), error) {
		call, err := to.streams.locks.KeepAlive(ctx, request)
		return func() (said, error) {
			message, err := call.Recv()
			if err != nil {
				return said{}, err
			}
			switch event := message.Event.(type) {
			case *pb.KeepAliveResponse_Renewed:
				return said{kind: Renewed, validFor: event.Renewed.ValidFor.AsDuration()}, nil
			case *pb.KeepAliveResponse_AtRisk:
				return said{kind: AtRisk, reason: trimmed("AT_RISK_REASON_", event.AtRisk.Reason)}, nil
			case *pb.KeepAliveResponse_Lost:
				return said{kind: Lost, reason: trimmed("LOST_REASON_", event.Lost.Reason)}, nil
			case *pb.KeepAliveResponse_Moved:
				return said{kind: moved}, nil
			case *pb.KeepAliveResponse_Draining:
				return said{kind: draining}, nil
			}
			return said{kind: unknown}, nil
		}, err
	}
}

func trimmed(prefix string, name fmt.Stringer) string {
	return strings.TrimPrefix(name.String(), prefix)
}

// newID is a random UUID, as the contract wants them.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
