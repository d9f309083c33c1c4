package leasehold

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// How long one WaitOperation waits before the client tries Begin again: the worker may have died.
const joinFor = 10 * time.Second

// Operations are records of long-running work, each run by one worker at a time.
type Operations struct {
	channel *channel
	owner   string
}

// Operations returns the operations of the client's deployment.
func (c *Client) Operations() *Operations { return &Operations{c.channel, c.owner} }

// Operation is the work that a caller asks for.
type Operation struct {
	// Resource is what the work is about, ID names the work there, and Type is its kind, by which workers claim. All
	// three are required. Derive ID from what triggers the work, and the work is done once even if it is triggered twice.
	Resource, ID, Type string
	// Data is what a worker needs to know: JSON data (nil, bool, numbers, string, []any, map[string]any) or a protobuf
	// message.
	Data any
	// Labels are for finding the operation.
	Labels map[string]string
	// Heartbeat is how long a running attempt can be silent before another worker takes over; 0 for the server's default.
	Heartbeat time.Duration
	// TimeToLive is when the server gives the operation up if it isn't finished; 0 for never.
	TimeToLive time.Duration
	// LockTTL, if it isn't 0, makes every attempt also take an exclusive lease on the resource with this TTL.
	LockTTL time.Duration
	// Exclusive makes it the only open operation of its resource.
	Exclusive bool
	// MaxAttempts is how many attempts can go stale before the server gives the operation up, 1 to 1,000; 0 for the
	// server's default.
	MaxAttempts int
	// Wait is how long Run waits while another worker runs the operation. 0 means Forever; NoWait, not at all.
	Wait time.Duration
}

// NoWait is the Operation.Wait of a Run that doesn't wait for another worker.
const NoWait time.Duration = -1

// check refuses numbers that mean nothing, by their fields.
func (wanted *Operation) check() error {
	if err := checkSpan("Heartbeat", wanted.Heartbeat); err != nil {
		return err
	}
	if err := checkSpan("TimeToLive", wanted.TimeToLive); err != nil {
		return err
	}
	if err := checkSpan("LockTTL", wanted.LockTTL); err != nil {
		return err
	}
	if wanted.Wait < 0 && wanted.Wait != NoWait {
		return invalidOption("Wait",
			fmt.Sprintf("must not be negative, but it is %v: give NoWait for not at all", wanted.Wait))
	}
	return checkCount("MaxAttempts", wanted.MaxAttempts, 0)
}

// Record is what the server has stored about an operation.
type Record struct {
	// State is such as RUNNING.
	State string
	// Data, Progress and Result are plain data, the *anypb.Any of a message, or nil.
	Data, Progress, Result any
	// Attempt is the number of the last attempt, from 1; 0 before the first.
	Attempt int
	// Whole is the whole record.
	Whole *pb.Operation
}

// Work does an operation. The client stores its result: JSON data or a protobuf message. Its context ends when the
// attempt is lost and when someone asks to cancel the operation; context.Cause then matches ErrAttemptLost or
// ErrOperationCancelled.
type Work func(ctx context.Context, attempt *Attempt) (result any, err error)

// Attempt is one run of an operation by this worker.
type Attempt struct {
	Resource, OperationID, Type string
	// Data is what the operation was begun with: plain data, the *anypb.Any of a message, or nil.
	Data any
	// Progress is what the attempts before this one wrote last: go on from there. Nil if they wrote nothing.
	Progress any
	// Number counts the attempts at the operation, from 1.
	Number int
	// FencingToken is larger than that of every earlier attempt: send it with every write, and refuse smaller ones there.
	FencingToken int64

	channel   *channel
	claimID   string
	kept      *kept
	ctx       context.Context
	interrupt context.CancelCauseFunc
	cancelled atomic.Bool
	stopping  chan struct{}
}

// Held returns whether the attempt is still this worker's: by the clocks, even if no server has said anything.
func (a *Attempt) Held() bool { return a.kept.isHeld() }

// Remaining returns the time until the deadline as it stands; 0 when the attempt is over.
func (a *Attempt) Remaining() time.Duration { return a.kept.remaining() }

// CancelRequested returns whether someone asked to cancel the operation.
func (a *Attempt) CancelRequested() bool { return a.cancelled.Load() }

// Stopping returns a channel that is closed when the worker is told to stop: finish soon, or the worker gives the
// operation back.
func (a *Attempt) Stopping() <-chan struct{} { return a.stopping }

func newAttempt(ctx context.Context, c *channel, operation *pb.Operation, given *pb.Attempt, sent time.Time) *Attempt {
	a := &Attempt{
		Resource: operation.Resource, OperationID: operation.OperationId, Type: operation.Type,
		Data: fromAny(operation.Data), Progress: fromAny(operation.Progress),
		Number: int(given.Number), FencingToken: given.FencingToken,
		channel: c, claimID: given.ClaimId, stopping: make(chan struct{}),
	}
	a.kept = newKept(ctx, c, attemptLost(a.Resource, a.OperationID), nil)
	opened := a.keepingAlive()
	a.kept.opened = func(bool) *stream { return open(c, keeping, opened, a.kept.inbox) }
	a.kept.refresh = func() time.Duration { return renewedAfter(c.renewFor) }
	both, interrupt := context.WithCancelCause(ctx)
	a.ctx, a.interrupt = both, interrupt
	context.AfterFunc(a.kept.ctx, func() { interrupt(context.Cause(a.kept.ctx)) })
	a.kept.onCancel = func(string) {
		a.cancelled.Store(true)
		interrupt(ErrOperationCancelled)
	}
	if operation.CancelRequested {
		a.kept.onCancel(operation.CancelReason)
	}
	a.kept.extend(sent, given.ValidFor.AsDuration())
	go a.kept.run(nil)
	return a
}

func (a *Attempt) keepingAlive() opener {
	request := &pb.KeepAliveOperationRequest{
		Resource: a.Resource, OperationId: a.OperationID, ClaimId: a.claimID, FencingToken: a.FencingToken,
		RenewFor: durationpb.New(a.channel.renewFor),
	}
	return opening(func(s stubs) rpc[
		*pb.KeepAliveOperationRequest, grpc.ServerStreamingClient[pb.KeepAliveOperationResponse],
	] {
		return s.operations.KeepAliveOperation
	}, request, func(message *pb.KeepAliveOperationResponse) said {
		switch event := message.Event.(type) {
		case *pb.KeepAliveOperationResponse_Renewed:
			return said{kind: Renewed, validFor: event.Renewed.ValidFor.AsDuration()}
		case *pb.KeepAliveOperationResponse_CancelRequested:
			return said{kind: cancelRequested, reason: event.CancelRequested.Reason}
		case *pb.KeepAliveOperationResponse_Lost:
			return said{kind: Lost, reason: trimmed("ATTEMPT_LOST_REASON_", event.Lost.Reason)}
		}
		return commonEvent(message)
	})
}

// SetProgress writes how far the work is, for people who watch and for the next attempt. The server takes it as a sign
// of life, too. The error matches ErrAttemptLost when the attempt is over.
func (a *Attempt) SetProgress(ctx context.Context, progress any) error {
	packed, err := toAny(progress)
	if err != nil {
		return err
	}
	request := &pb.UpdateOperationRequest{
		Resource: a.Resource, OperationId: a.OperationID, ClaimId: a.claimID, FencingToken: a.FencingToken,
		Progress: packed, RequestId: newID(),
	}
	response, sent, err := write(ctx, a, request,
		func(s stubs) rpc[*pb.UpdateOperationRequest, *pb.UpdateOperationResponse] {
			return s.operations.UpdateOperation
		})
	if err == nil {
		a.kept.extend(sent, response.Attempt.ValidFor.AsDuration())
	}
	return err
}

// write makes a call of an attempt, and ends the attempt if the server says that it is stale.
func write[Request, Response any](
	ctx context.Context, a *Attempt, request Request, call func(stubs) rpc[Request, Response],
) (response Response, sent time.Time, err error) {
	if over := a.kept.over(); over != nil {
		if errors.Is(over, errReleased) {
			over = a.kept.loss("it has ended")
		}
		return response, sent, over
	}
	response, sent, err = unary(ctx, a.channel, request, atOnce, call)
	if errors.Is(err, ErrAttemptLost) {
		a.kept.finish(a.kept.loss("SUPERSEDED"))
	}
	return response, sent, err
}

// end makes the last call of an attempt.
func end[Request, Response any](
	ctx context.Context, a *Attempt, request Request, call func(stubs) rpc[Request, Response],
) error {
	a.kept.ending()
	_, _, err := write(ctx, a, request, call)
	a.kept.finish(errReleased)
	a.kept.endStreams(ctx, err == nil)
	return err
}

// complete stores the outcome of the work, and ends the attempt.
func (a *Attempt) complete(ctx context.Context, result any, failure error) error {
	request := &pb.CompleteOperationRequest{
		Resource: a.Resource, OperationId: a.OperationID, ClaimId: a.claimID, FencingToken: a.FencingToken,
		ReleaseLease: true, RequestId: newID(),
	}
	switch {
	case failure == nil:
		packed, err := toAny(result)
		if err != nil { // a result that can't be stored is a failure, and recorded as one
			return errors.Join(err, a.complete(ctx, nil, err))
		}
		request.Outcome = &pb.CompleteOperationRequest_Result{Result: packed}
	case a.CancelRequested() && (errors.Is(failure, ErrOperationCancelled) || errors.Is(failure, context.Canceled)):
		request.Outcome = &pb.CompleteOperationRequest_Cancelled{Cancelled: &pb.Cancelled{Message: clipped(failure, 1_000)}}
	default:
		request.Outcome = &pb.CompleteOperationRequest_Error{
			Error: &rpcstatus.Status{Code: int32(codes.Unknown), Message: clipped(failure, 8_000)},
		}
	}
	return end(ctx, a, request, func(s stubs) rpc[*pb.CompleteOperationRequest, *pb.CompleteOperationResponse] {
		return s.operations.CompleteOperation
	})
}

// clipped is the text of an error in valid UTF-8, of at most length bytes.
func clipped(err error, length int) string {
	text := strings.ToValidUTF8(err.Error(), "?")
	if len(text) > length {
		text = strings.ToValidUTF8(text[:length], "")
	}
	return text
}

// giveBack gives the operation back for another worker, and ends the attempt.
func (a *Attempt) giveBack(ctx context.Context) error {
	request := &pb.YieldOperationRequest{
		Resource: a.Resource, OperationId: a.OperationID, ClaimId: a.claimID, FencingToken: a.FencingToken,
		RequestId: newID(),
	}
	return end(ctx, a, request, func(s stubs) rpc[*pb.YieldOperationRequest, *pb.YieldOperationResponse] {
		return s.operations.YieldOperation
	})
}

// perform does the work and stores its outcome; an attempt that was lost meanwhile stores nothing.
func (a *Attempt) perform(work Work) (any, error) {
	defer a.interrupt(nil)
	after := context.WithoutCancel(a.ctx)
	defer func() { // work that panics keeps nothing alive
		a.kept.finish(errReleased)
		a.kept.endStreams(after, false)
	}()
	result, failure := work(a.ctx, a)
	if failure == nil {
		if err := a.complete(after, result, nil); err != nil {
			return nil, err
		}
		return result, nil
	}
	if a.kept.isHeld() {
		if a.CancelRequested() && errors.Is(failure, context.Canceled) {
			failure = fmt.Errorf("%w: %w", ErrOperationCancelled, failure)
		}
		// The caller gets the work's own error, even if it can't be stored: then the attempt goes stale, and another worker
		// takes the operation over.
		_ = a.complete(after, nil, failure)
		return nil, failure
	}
	return nil, fmt.Errorf("%w (%w)", a.kept.over(), failure)
}

// Run does the work once, however often and from wherever it is called, and returns the result. It begins the
// operation, or takes it over from a worker that fell silent, or waits for the worker that runs it. A repeat returns
// the stored result, read back from the record: JSON's types, or the *anypb.Any of a message.
//
// The client stores what work returns. An error of work is stored as the operation's failure and returned as it is.
// The error matches ErrAttemptLost when the attempt was lost meanwhile, and then nothing is stored; ErrAttemptHeld
// when another worker still runs the operation after Wait; ErrOperationFailed or ErrOperationCancelled when it ended
// so in an earlier call.
func (o *Operations) Run(ctx context.Context, wanted Operation, work Work) (any, error) {
	request, err := o.begin(wanted)
	if err != nil {
		return nil, err
	}
	request.ClaimId = newID()
	giveUp := time.Now().Add(max(0, wanted.Wait))
	if wanted.Wait == 0 || wanted.Wait == Forever {
		giveUp = time.Now().Add(365 * 24 * time.Hour)
	}
	for tries := 0; ; tries++ {
		response, sent, err := unary(ctx, o.channel, request, atOnce, beginOperation)
		left := time.Until(giveUp)
		var failure *Error
		if errors.As(err, &failure) && stillTaken(failure) && left > 0 && ctx.Err() == nil {
			pause := min(left, max(failure.RetryAfter, fullJitter(tries)))
			if failure.Reason != ReasonAttemptHeld {
				sleep(ctx, pause)
				continue
			}
			record, done, err := o.waitFor(ctx, wanted, min(left, max(time.Second, pause), joinFor))
			if err != nil {
				return nil, err
			}
			if done {
				return outcome(record)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if response.Attempt != nil {
			return newAttempt(ctx, o.channel, response.Operation, response.Attempt, sent).perform(work)
		}
		if response.Operation.FinishTime != nil {
			return outcome(response.Operation)
		}
	}
}

// stillTaken says whether waiting helps.
func stillTaken(failure *Error) bool {
	switch failure.Reason {
	case ReasonAttemptHeld, ReasonLockContended, "OPERATION_OPEN":
		return true
	}
	return false
}

func beginOperation(s stubs) rpc[*pb.BeginOperationRequest, *pb.BeginOperationResponse] {
	return s.operations.BeginOperation
}

func (o *Operations) begin(wanted Operation) (*pb.BeginOperationRequest, error) {
	if err := wanted.check(); err != nil {
		return nil, err
	}
	request := &pb.BeginOperationRequest{
		Resource: wanted.Resource, OperationId: wanted.ID, Type: wanted.Type, Labels: wanted.Labels, Owner: o.owner,
		HeartbeatTimeout: span(wanted.Heartbeat), TimeToLive: span(wanted.TimeToLive),
		Exclusive: wanted.Exclusive, MaxAttempts: int32(wanted.MaxAttempts),
	}
	if wanted.LockTTL != 0 {
		request.Lock = &pb.LeaseSpec{Ttl: span(wanted.LockTTL)}
	}
	if wanted.Data == nil {
		return request, nil
	}
	var err error
	request.Data, err = toAny(wanted.Data)
	return request, err
}

// waitingFor are the bounds of a unary call that waits at the server.
func waitingFor(wait time.Duration) bounds {
	return bounds{kind: waiting, within: wait + answerWithin, each: wait + tryFor}
}

func (o *Operations) waitFor(ctx context.Context, key Operation, wait time.Duration) (*pb.Operation, bool, error) {
	request := &pb.WaitOperationRequest{
		Resource: key.Resource, OperationId: key.ID, WaitTimeout: durationpb.New(wait),
	}
	response, _, err := unary(ctx, o.channel, request, waitingFor(wait),
		func(s stubs) rpc[*pb.WaitOperationRequest, *pb.WaitOperationResponse] {
			return s.operations.WaitOperation
		})
	return response.GetOperation(), response.GetDone(), err
}

// outcome returns the result of a finished operation, or the error that it ended with.
func outcome(record *pb.Operation) (any, error) {
	message := record.GetError().GetMessage()
	if message == "" {
		message = fmt.Sprintf("the operation %s on %s is %s: see why its workers failed or were lost",
			record.OperationId, record.Resource, stateName(record))
	}
	switch record.State {
	case pb.OperationState_OPERATION_STATE_SUCCEEDED:
		return fromAny(record.GetResult()), nil
	case pb.OperationState_OPERATION_STATE_CANCELLED:
		return nil, &Error{Code: codes.Canceled, Reason: ReasonOperationCancelled, Message: message}
	default:
		return nil, &Error{
			Code: codes.Code(record.GetError().GetCode()), Reason: ReasonOperationFailed, Message: message,
			Why: code.Code(record.GetError().GetCode()).String(),
		}
	}
}

func stateName(record *pb.Operation) string { return trimmed("OPERATION_STATE_", record.State) }

// Begin records an operation for a worker to claim. A repeat has no second effect. It fails with the reason
// OPERATION_EXISTS if the operation exists with another type, other data or other labels.
func (o *Operations) Begin(ctx context.Context, wanted Operation) error {
	request, err := o.begin(wanted)
	if err != nil {
		return err
	}
	_, _, err = unary(ctx, o.channel, request, atOnce, beginOperation)
	return err
}

// Get reads the record of an operation. It fails with the reason OPERATION_NOT_FOUND if there is no such operation.
func (o *Operations) Get(ctx context.Context, resource, id string) (*Record, error) {
	request := &pb.GetOperationRequest{Resource: resource, OperationId: id}
	response, _, err := unary(ctx, o.channel, request, atOnce,
		func(s stubs) rpc[*pb.GetOperationRequest, *pb.GetOperationResponse] { return s.operations.GetOperation })
	if err != nil {
		return nil, err
	}
	whole := response.Operation
	return &Record{
		State: stateName(whole), Data: fromAny(whole.Data), Progress: fromAny(whole.Progress),
		Result: fromAny(whole.GetResult()), Attempt: int(whole.AttemptNumber), Whole: whole,
	}, nil
}

// Cancel asks to cancel an operation. A pending one is cancelled at once; the worker of a running one is told, and
// decides.
func (o *Operations) Cancel(ctx context.Context, resource, id, reason string) error {
	request := &pb.CancelOperationRequest{Resource: resource, OperationId: id, Reason: reason}
	_, _, err := unary(ctx, o.channel, request, atOnce,
		func(s stubs) rpc[*pb.CancelOperationRequest, *pb.CancelOperationResponse] {
			return s.operations.CancelOperation
		})
	return err
}

// toAny packs plain data as google.protobuf.Value, so that a worker in another language can read it, and messages as
// they are.
func toAny(payload any) (*anypb.Any, error) {
	switch payload := payload.(type) {
	case nil:
		return &anypb.Any{}, nil
	case *anypb.Any:
		return payload, nil
	case proto.Message:
		return packed(payload)
	}
	value, err := structpb.NewValue(payload)
	if err != nil {
		return nil, fmt.Errorf(
			"leasehold: data, progress and results must be JSON data (nil, bool, numbers, string, []any, map[string]any) "+
				"or a protobuf message, not %T: %w", payload, err)
	}
	return packed(value)
}

// packed packs a message into deterministic bytes: by them the server tells whether a Begin is a repeat, and a map has
// no order.
func packed(message proto.Message) (*anypb.Any, error) {
	var payload anypb.Any
	err := anypb.MarshalFrom(&payload, message, proto.MarshalOptions{Deterministic: true})
	return &payload, err
}

// fromAny returns plain data for a Value, nil for an empty Any, else the Any itself, for the caller to unpack.
func fromAny(packed *anypb.Any) any {
	if packed.GetTypeUrl() == "" {
		return nil
	}
	var value structpb.Value
	if packed.UnmarshalTo(&value) != nil {
		return packed
	}
	return value.AsInterface()
}
