package leasehold

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// Worker claims operations and runs them.
type Worker struct {
	Operations *Operations
	// Types of work that it does, 1 to 16. Required.
	Types []string
	// Work is called for each, at most Concurrency (1, if it is 0) at a time. An error is recorded as the operation's
	// failure, and logged.
	Work        Work
	Concurrency int
	// ResourcePrefix: only operations of resources whose name begins with it.
	ResourcePrefix string
	// Grace is how long works may go on when the worker stops, before they are given back; 10 s, if it is 0.
	Grace time.Duration
	// Log is slog.Default(), if it is nil.
	Log *slog.Logger
}

// Run claims until ctx ends. Then it claims no more, tells the works that run (Attempt.Stopping), and gives back what
// isn't finished within Grace. It returns when the client is closed, too.
func (w *Worker) Run(ctx context.Context) {
	free := make(chan struct{}, max(1, w.Concurrency))
	for range cap(free) {
		free <- struct{}{}
	}
	var works sync.WaitGroup
	running := &running{attempts: map[*Attempt]struct{}{}}
	for failures := 0; ctx.Err() == nil; {
		// A place for one at least; then for as many as there are.
		places := 0
		select {
		case <-free:
			places++
		case <-ctx.Done():
			continue
		}
		for len(free) > 0 && places < 32 {
			<-free
			places++
		}
		claim := w.newClaim(places)
		claimed, sent, err := w.ask(ctx, claim)
		for range places - len(claimed) {
			free <- struct{}{}
		}
		if errors.Is(err, ErrClosed) {
			break
		}
		if err != nil && ctx.Err() != nil {
			w.giveBackUnheard(claim)
			break
		}
		if err != nil {
			failure := asError(err)
			w.log().Warn("no operation could be claimed", "error", err)
			sleep(ctx, max(failure.RetryAfter, fullJitter(failures)))
			failures++
			continue
		}
		failures = 0
		for _, one := range claimed {
			attempt := newAttempt(context.WithoutCancel(ctx), w.Operations.channel, one.Operation, one.Attempt, sent)
			running.add(attempt)
			works.Add(1)
			go func() {
				defer works.Done()
				defer func() { free <- struct{}{} }()
				defer running.remove(attempt)
				if _, err := attempt.perform(w.Work); err != nil {
					w.log().Warn("an operation failed", "resource", attempt.Resource, "id", attempt.OperationID, "error", err)
				}
			}()
		}
	}
	w.stop(running, &works)
}

func (w *Worker) stop(running *running, works *sync.WaitGroup) {
	for _, attempt := range running.all() {
		close(attempt.stopping)
	}
	done := make(chan struct{})
	go func() {
		works.Wait()
		close(done)
	}()
	grace := w.Grace
	if grace == 0 {
		grace = 10 * time.Second
	}
	select {
	case <-done:
	case <-time.After(grace):
	}
	// A work that ignores its context goes on; what it writes is refused.
	for _, attempt := range running.all() {
		if err := attempt.giveBack(context.Background()); err != nil {
			w.log().Warn("not given back", "resource", attempt.Resource, "id", attempt.OperationID, "error", err)
		}
	}
}

func (w *Worker) newClaim(places int) *pb.ClaimOperationsRequest {
	return &pb.ClaimOperationsRequest{
		Types: w.Types, ResourcePrefix: w.ResourcePrefix, ClaimId: newID(), Owner: w.Operations.owner,
		MaxOperations: int32(places), WaitTimeout: durationpb.New(joinFor),
	}
}

func (w *Worker) ask(ctx context.Context, claim *pb.ClaimOperationsRequest) ([]*pb.ClaimedOperation, time.Time, error) {
	response, sent, err := unary(ctx, w.Operations.channel, claim, joinFor+answerWithin, joinFor+tryFor,
		func(s stubs) rpc[*pb.ClaimOperationsRequest, *pb.ClaimOperationsResponse] {
			return s.operations.ClaimOperations
		})
	return response.GetClaimed(), sent, err
}

// giveBackUnheard: the answer of a claim may have been on its way when it was cancelled. What it got, a repeat gets again,
// and it would be nobody's.
func (w *Worker) giveBackUnheard(claim *pb.ClaimOperationsRequest) {
	claim.WaitTimeout = nil
	claimed, sent, err := w.ask(context.Background(), claim)
	for _, one := range claimed {
		attempt := newAttempt(context.Background(), w.Operations.channel, one.Operation, one.Attempt, sent)
		err = errors.Join(err, attempt.giveBack(context.Background()))
	}
	if err != nil {
		w.log().Warn("what the last claim got is given to others when it goes stale", "error", err)
	}
}

func (w *Worker) log() *slog.Logger {
	if w.Log == nil {
		return slog.Default()
	}
	return w.Log
}

type running struct {
	mu       sync.Mutex
	attempts map[*Attempt]struct{}
}

func (r *running) add(a *Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts[a] = struct{}{}
}

func (r *running) remove(a *Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.attempts, a)
}

func (r *running) all() []*Attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*Attempt
	for a := range r.attempts {
		all = append(all, a)
	}
	return all
}
