package leasehold

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// Worker claims operations and runs them. Fill in the fields and call Run.
type Worker struct {
	// Operations are those of the client that the worker uses. Required.
	Operations *Operations
	// Types are the types of operations that the worker claims, 1 to 16. Required.
	Types []string
	// Work does one operation. When it fails, the worker records that and logs it. Required.
	Work Work
	// Concurrency is how many operations the worker runs at a time; 1 if it is 0.
	Concurrency int
	// ResourcePrefix limits the worker to operations on resources whose names begin with it.
	ResourcePrefix string
	// Grace is how long operations have to finish when the worker stops, before it gives them back. 0 means 10 s;
	// NoGrace, no time at all.
	Grace time.Duration
	// Log is where the worker logs; slog.Default() if it is nil.
	Log *slog.Logger
}

// NoGrace is the Worker.Grace of a worker that gives back at once what it runs when it stops.
const NoGrace time.Duration = -1

const graceIfNotGiven = 10 * time.Second

// Run claims operations and runs them until ctx ends or the client is closed. Then it stops claiming, closes
// Attempt.Stopping of the operations that run, and gives back what isn't finished within Grace. It fails, at once, only
// for a number that means nothing.
func (w *Worker) Run(ctx context.Context) error {
	if err := checkCount("Concurrency", w.Concurrency, 0); err != nil {
		return err
	}
	if w.Grace < 0 && w.Grace != NoGrace {
		return invalidOption("Grace",
			fmt.Sprintf("must not be negative, but it is %v: give NoGrace for no time at all", w.Grace))
	}
	free := make(chan struct{}, max(1, w.Concurrency))
	for range cap(free) {
		free <- struct{}{}
	}
	var works sync.WaitGroup
	running := &running{attempts: map[*Attempt]struct{}{}}
	for failures := 0; ctx.Err() == nil; {
		// Wait for one free place, and then take all that are free.
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
			w.log().Warn("claiming operations failed, and is tried again", "error", err)
			sleep(ctx, max(failure.RetryAfter, fullJitter(failures)))
			failures++
			w.Operations.channel.holders.goFirst(ctx, holdersFirst)
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
	return nil
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
		grace = graceIfNotGiven
	}
	select {
	case <-done:
	case <-time.After(grace):
	}
	// Work that ignores its context goes on, but the server refuses what it writes.
	for _, attempt := range running.all() {
		if err := attempt.giveBack(context.Background()); err != nil {
			w.log().Warn(
				"an operation was not given back", "resource", attempt.Resource, "id", attempt.OperationID, "error", err)
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
	response, sent, err := unary(ctx, w.Operations.channel, claim, waitingFor(joinFor),
		func(s stubs) rpc[*pb.ClaimOperationsRequest, *pb.ClaimOperationsResponse] {
			return s.operations.ClaimOperations
		})
	return response.GetClaimed(), sent, err
}

// giveBackUnheard gives back what the last claim got: its answer may have been on its way when the claim was
// cancelled. A repeat of the claim gets the same operations again.
func (w *Worker) giveBackUnheard(claim *pb.ClaimOperationsRequest) {
	claim.WaitTimeout = nil
	claimed, sent, err := w.ask(context.Background(), claim)
	for _, one := range claimed {
		attempt := newAttempt(context.Background(), w.Operations.channel, one.Operation, one.Attempt, sent)
		err = errors.Join(err, attempt.giveBack(context.Background()))
	}
	if err != nil {
		w.log().Warn("what the last claim got was not given back; others get it when it goes stale", "error", err)
	}
}

func (w *Worker) log() *slog.Logger {
	if w.Log == nil {
		return slog.Default()
	}
	return w.Log
}

// running is the set of attempts that run.
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
