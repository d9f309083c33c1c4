package leasehold

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// Option says more about the lease that a call asks for.
type Option func(*options)

type options struct {
	ttl, wait, timeout, minHold, maxHold time.Duration
	owner, leaseID                       string
	shared                               bool
	permits, limit                       int
	metadata                             map[string]string
	observer                             func(Event)
}

// TTL is how long the lease outlives a dead holder; the server's default if not given.
func TTL(ttl time.Duration) Option { return func(o *options) { o.ttl = ttl } }

// Wait is how long to queue for the lease, Forever for ever. Without it, Lock doesn't queue.
func Wait(wait time.Duration) Option { return func(o *options) { o.wait = wait } }

// Timeout is how long the client asks servers when there is no wait; 10 s if not given.
func Timeout(timeout time.Duration) Option { return func(o *options) { o.timeout = timeout } }

// Owner tells people who holds the lease; Config.Owner if not given.
func Owner(owner string) Option { return func(o *options) { o.owner = owner } }

// Shared asks for a lease that others can share, instead of an exclusive one.
func Shared() Option { return func(o *options) { o.shared = true } }

// Permits takes some of the limit permits of the resource, at least 1, instead of an exclusive lease.
func Permits(permits, limit int) Option {
	return func(o *options) { o.permits, o.limit = permits, limit }
}

// LeaseID repeats an earlier acquisition; a new random UUID if not given.
func LeaseID(id string) Option { return func(o *options) { o.leaseID = id } }

// Metadata is for people who look at the lock.
func Metadata(metadata map[string]string) Option { return func(o *options) { o.metadata = metadata } }

// MinHold keeps the resource taken for at least this long, even if the lease is released sooner.
func MinHold(span time.Duration) Option { return func(o *options) { o.minHold = span } }

// MaxHold ends the lease after this time, however often it is renewed.
func MaxHold(span time.Duration) Option { return func(o *options) { o.maxHold = span } }

// Observe calls observer with what happens to the lease, in order, from the lease's own goroutine: it must not block.
func Observe(observer func(Event)) Option { return func(o *options) { o.observer = observer } }

func (o *options) say(event Event) {
	if o.observer != nil {
		o.observer(event)
	}
}

func (o *options) spec(resource string) *pb.LeaseSpec {
	spec := &pb.LeaseSpec{Resource: resource, LeaseId: o.leaseID, Owner: o.owner, Metadata: o.metadata}
	spec.Ttl, spec.MinHold, spec.MaxHold = span(o.ttl), span(o.minHold), span(o.maxHold)
	if spec.LeaseId == "" {
		spec.LeaseId = newID()
	}
	if o.shared {
		spec.Mode = &pb.LeaseSpec_Shared{Shared: &pb.Shared{}}
	} else if o.permits != 0 || o.limit != 0 {
		spec.Mode = &pb.LeaseSpec_Permits{Permits: &pb.Permits{Permits: int32(o.permits), Limit: int32(o.limit)}}
	}
	return spec
}

// span leaves out a zero duration, so that the server takes its default.
func span(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}
