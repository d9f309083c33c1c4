package leasehold

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// Option says more about the lease that a call asks for.
type Option func(*options)

type options struct {
	// Nil where the user has given none: the server takes its default.
	ttl, minHold, maxHold *time.Duration
	wait                  time.Duration
	timeout               *time.Duration
	owner, leaseID        string
	shared                bool
	permits               *pb.Permits
	metadata              map[string]string
	observer              func(Event)
	// refused is why the first option that means nothing does so.
	refused error
}

// takes keeps the first refusal, and returns whether the option can be taken.
func (o *options) takes(refusal error) bool {
	if o.refused == nil {
		o.refused = refusal
	}
	return refusal == nil
}

// TTL is how long the lease outlives a dead holder; the server's default if not given.
func TTL(ttl time.Duration) Option {
	return func(o *options) {
		if o.takes(checkAboveZero("TTL", ttl)) {
			o.ttl = &ttl
		}
	}
}

// Wait is how long to queue for the lease: 0 for not at all, Forever for ever; 30 s if not given.
func Wait(wait time.Duration) Option {
	return func(o *options) {
		if o.takes(checkSpan("Wait", wait)) {
			o.wait = wait
		}
	}
}

// Timeout bounds the whole call, its wait included. If not given, a call that waits takes as long as Wait says, and one
// that doesn't wait asks each server once, for 10 s in all at most.
func Timeout(timeout time.Duration) Option {
	return func(o *options) {
		if o.takes(checkSpan("Timeout", timeout)) {
			o.timeout = &timeout
		}
	}
}

// Owner tells people who holds the lease; Config.Owner if not given.
func Owner(owner string) Option { return func(o *options) { o.owner = owner } }

// Shared asks for a lease that others can share, instead of an exclusive one.
func Shared() Option { return func(o *options) { o.shared = true } }

// Permits takes some of the limit permits of the resource, at least 1, instead of an exclusive lease.
func Permits(permits, limit int) Option {
	return func(o *options) {
		if o.takes(checkCount("Permits(permits)", permits, 1)) && o.takes(checkCount("Permits(limit)", limit, 1)) {
			o.permits = &pb.Permits{Permits: int32(permits), Limit: int32(limit)}
		}
	}
}

// LeaseID repeats an earlier acquisition; a new random UUID if not given.
func LeaseID(id string) Option { return func(o *options) { o.leaseID = id } }

// Metadata is for people who look at the lock.
func Metadata(metadata map[string]string) Option { return func(o *options) { o.metadata = metadata } }

// MinHold keeps the resource taken for at least this long, even if the lease is released sooner.
func MinHold(span time.Duration) Option {
	return func(o *options) {
		if o.takes(checkSpan("MinHold", span)) {
			o.minHold = &span
		}
	}
}

// MaxHold ends the lease after this time, however often it is renewed.
func MaxHold(span time.Duration) Option {
	return func(o *options) {
		if o.takes(checkAboveZero("MaxHold", span)) {
			o.maxHold = &span
		}
	}
}

// Observe calls observer with what happens to the lease, in order, from the lease's own goroutine: it must not block.
func Observe(observer func(Event)) Option { return func(o *options) { o.observer = observer } }

func (o *options) say(event Event) {
	if o.observer != nil {
		o.observer(event)
	}
}

func (o *options) spec(resource string) *pb.LeaseSpec {
	spec := &pb.LeaseSpec{Resource: resource, LeaseId: o.leaseID, Owner: o.owner, Metadata: o.metadata}
	spec.Ttl, spec.MinHold, spec.MaxHold = given(o.ttl), given(o.minHold), given(o.maxHold)
	if spec.LeaseId == "" {
		spec.LeaseId = newID()
	}
	if o.shared {
		spec.Mode = &pb.LeaseSpec_Shared{Shared: &pb.Shared{}}
	} else if o.permits != nil {
		spec.Mode = &pb.LeaseSpec_Permits{Permits: o.permits}
	}
	return spec
}

func given(span *time.Duration) *durationpb.Duration {
	if span == nil {
		return nil
	}
	return durationpb.New(*span)
}

// span leaves out the zero of a field that nobody filled in, so that the server takes its default.
func span(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}
