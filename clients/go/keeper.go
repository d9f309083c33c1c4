package leasehold

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

const (
	// How many leases one KeepAlive takes.
	batchSize = 64
	// How long leases that need a stream wait for one another.
	collectFor = 50 * time.Millisecond
)

// keeper keeps the leases of a client together: up to 64 of them share a KeepAlive. It opens a newer one when a part of
// renew_for is over, and that is how a server knows that the client lives. What happens to one lease is no matter of the
// others, and what it means is for the lease to decide: see kept.
type keeper struct {
	channel *channel

	mu      sync.Mutex
	joining []*member
	timer   *time.Timer
	opensAt time.Time
	batches map[*batch]struct{}
}

// member is a lease in a batch, and the stream as the lease sees it.
type member struct {
	stream
	keeper *keeper
	ref    *pb.LeaseRef
	inbox  *inbox
	alone  bool
	// The mutex of the keeper guards these.
	batch  *batch // nil before its call
	isDue  bool   // it was told to open a newer stream
	isOver bool   // nothing more comes to it
}

type refKey struct{ resource, leaseID string }

// batch is one KeepAlive.
type batch struct {
	keeper *keeper
	to     *seat
	on     *connection
	sent   time.Time
	ctx    context.Context
	stop   context.CancelCauseFunc
	age    *time.Timer
	// The mutex of the keeper guards these. A lease that was acquired twice with the same lease_id has two members.
	members    map[refKey][]*member
	renewed    map[refKey]said // the last renewal of each lease
	isAnswered bool
	isOld      bool
}

// join returns at once a stream that keeps the lease; its call is made when others have had time to join, less if
// little time is left. A lease that is alone gets a call of its own.
func (k *keeper) join(ref *pb.LeaseRef, inbox *inbox, alone bool, left time.Duration) *stream {
	m := &member{keeper: k, ref: ref, inbox: inbox, alone: alone}
	m.ended = make(chan struct{})
	m.cancel = func() { k.leave(m) }
	m.abandon = func() { k.abandon(m) }
	k.mu.Lock()
	defer k.mu.Unlock()
	k.joining = append(k.joining, m)
	wait := min(collectFor, left/8)
	opensAt := time.Now().Add(wait)
	switch {
	case k.timer == nil:
		k.timer, k.opensAt = time.AfterFunc(wait, k.openAll), opensAt
	case opensAt.Before(k.opensAt):
		if k.timer.Stop() {
			k.timer, k.opensAt = time.AfterFunc(wait, k.openAll), opensAt
		}
	}
	return &m.stream
}

// leave takes a lease out of its batch. A batch without leases is over, and gets a moment to end by itself.
func (k *keeper) leave(m *member) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.end(m)
}

// abandon is leave for a lease that a server may still know: it goes on for as long as the call does, so the others get
// a newer one at once.
func (k *keeper) abandon(m *member) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m.isOver {
		return
	}
	k.end(m)
	if m.batch != nil && !m.batch.isOld {
		m.batch.age.Reset(0)
	}
}

// end is leave for a caller that has the mutex.
func (k *keeper) end(m *member) {
	if m.isOver {
		return
	}
	m.isOver = true
	close(m.ended)
	b := m.batch
	if b == nil {
		return
	}
	key := keyOf(m.ref)
	var others []*member
	for _, other := range b.members[key] {
		if other != m {
			others = append(others, other)
		}
	}
	b.members[key] = others
	if len(others) == 0 {
		delete(b.members, key)
	}
	if len(b.members) == 0 {
		b.isOld = true
		b.age.Stop()
		time.AfterFunc(endWithin, func() { b.stop(context.Canceled) })
	}
}

func keyOf(ref *pb.LeaseRef) refKey { return refKey{ref.Resource, ref.LeaseId} }

// openAll makes the calls of the leases that joined.
func (k *keeper) openAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer = nil
	var together []*member
	for _, m := range k.joining {
		switch {
		case m.isOver:
		case m.alone:
			k.open([]*member{m})
		case k.follow(m):
		default:
			together = append(together, m)
		}
	}
	k.joining = nil
	keys := map[refKey]struct{}{}
	from := 0
	for i, m := range together {
		if _, has := keys[keyOf(m.ref)]; !has && len(keys) == batchSize {
			k.open(together[from:i])
			clear(keys)
			from = i
		}
		keys[keyOf(m.ref)] = struct{}{}
	}
	if from < len(together) {
		k.open(together[from:])
	}
}

// follow puts a lease on the call that keeps the same lease for another holder of this client: a call of its own would
// take the lease from that one, which would take it back, without an end. For a caller that has the mutex.
func (k *keeper) follow(m *member) bool {
	key := keyOf(m.ref)
	for b := range k.batches {
		others := b.members[key]
		last, isKept := b.renewed[key]
		isOwn := func(other *member) bool { return other.inbox == m.inbox }
		if !isKept || b.isOld || len(others) == 0 || others[0].isDue || slices.ContainsFunc(others, isOwn) {
			continue
		}
		b.members[key] = append(others, m)
		m.batch = b
		m.sendTo(b.to, b.on, b.sent)
		m.inbox.put(heard{from: &m.stream, said: last})
		return true
	}
	return false
}

// open makes one call, for a caller that has the mutex.
func (k *keeper) open(members []*member) {
	to := k.channel.seat()
	on, err := to.pools[keeping].take()
	b := &batch{
		keeper: k, to: to, on: on, sent: time.Now(), members: map[refKey][]*member{}, renewed: map[refKey]said{},
	}
	b.ctx, b.stop = context.WithCancelCause(k.channel.ctx)
	request := &pb.KeepAliveRequest{RenewFor: durationpb.New(k.channel.renewFor)}
	for _, m := range members {
		key := keyOf(m.ref)
		if b.members[key] == nil {
			request.Leases = append(request.Leases, m.ref)
		}
		b.members[key] = append(b.members[key], m)
		m.batch = b
		m.sendTo(to, on, b.sent)
	}
	b.age = time.AfterFunc(renewedAfter(k.channel.renewFor), b.makeDue)
	if err != nil {
		b.endAll(asError(err))
		return
	}
	k.batches[b] = struct{}{}
	go b.run(request)
}

// renewedAfter is the age at which a newer stream follows one with this renew_for: up to half of it. The random part
// spreads out streams that were opened together.
func renewedAfter(renewFor time.Duration) time.Duration {
	return time.Duration(float64(renewFor) * (0.4 + 0.1*rand.Float64()))
}

func (b *batch) run(request *pb.KeepAliveRequest) {
	silent := unavailable(fmt.Sprintf("%s said nothing for %.0f s", b.to.address, silence.Seconds()))
	quiet := time.AfterFunc(silence, func() { b.stop(silent) })
	defer quiet.Stop()
	call, err := b.on.locks.KeepAlive(b.ctx, request)
	for err == nil {
		var message *pb.KeepAliveResponse
		if message, err = call.Recv(); err == nil {
			quiet.Reset(silence)
			b.tell(message)
		}
	}
	b.on.giveBack()
	failure := fromRPC(err, b.to.address)
	if b.ctx.Err() != nil {
		failure = asError(context.Cause(b.ctx))
	}
	b.stop(context.Canceled)
	b.keeper.mu.Lock()
	defer b.keeper.mu.Unlock()
	b.endAll(failure)
}

// tell hands a message to the lease that it is about, or to all of them.
func (b *batch) tell(message *pb.KeepAliveResponse) {
	event := leaseEvent(message)
	b.keeper.mu.Lock()
	defer b.keeper.mu.Unlock()
	b.isAnswered = true
	if event.kind == draining {
		for _, members := range b.members {
			for _, m := range members {
				m.inbox.put(heard{from: &m.stream, said: event})
			}
		}
		return
	}
	key := refKey{message.Resource, message.LeaseId}
	if event.kind == Renewed {
		b.renewed[key] = event
	}
	for _, m := range b.members[key] {
		m.inbox.put(heard{from: &m.stream, said: event})
		switch event.kind {
		case Lost:
			b.keeper.end(m)
		case moved:
			// The last that this call says about the lease, so it has ended for the lease.
			m.inbox.put(heard{from: &m.stream, err: movedAway(b.to.address), drawn: rand.Float64()})
			b.keeper.end(m)
		}
	}
}

// endAll tells all leases that are left that their stream has ended, for a caller that has the mutex of the keeper.
func (b *batch) endAll(failure *Error) {
	b.isOld = true
	b.age.Stop()
	delete(b.keeper.batches, b)
	// One of them may be what the server refuses, and must not cost the others.
	isAlone := !failure.passes() && failure != ErrClosed && len(b.members) > 1
	drawn := rand.Float64()
	for _, members := range b.members {
		for _, m := range members {
			m.inbox.put(heard{from: &m.stream, err: failure, drawn: drawn, isAlone: isAlone})
			m.isOver = true
			close(m.ended)
		}
	}
	clear(b.members)
}

// makeDue tells the leases of a batch to open a newer stream, and as many leases of batches that are less than half full
// as fit in, so that few batches stay when many leases have ended.
func (b *batch) makeDue() {
	k := b.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	if b.isOld {
		return
	}
	b.isOld = true
	room := batchSize - b.tellDue(batchSize)
	for other := range k.batches {
		if !b.isAlone() && !other.isAlone() && !other.isOld && other.isAnswered && len(other.members) < batchSize/2 {
			room -= other.tellDue(room)
		}
	}
}

func (b *batch) isAlone() bool {
	for _, members := range b.members {
		return members[0].alone
	}
	return false
}

// tellDue tells it to at most this many leases of the batch, and returns to how many.
func (b *batch) tellDue(most int) int {
	told := 0
	for _, members := range b.members {
		if told == most {
			break
		}
		if members[0].isDue {
			continue
		}
		told++
		for _, m := range members {
			m.isDue = true
			m.inbox.put(heard{from: &m.stream, said: said{kind: due}})
		}
	}
	return told
}
