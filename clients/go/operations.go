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

// How long one WaitOperation waits before Begin is tried again: the worker may have died.
const joinFor = 10 * time.Second

// Operations are records of long-running work, each run by one worker at a time.
type Operations struct {
	channel *channel
	owner   string
}

// Operations of the client's deployment.
func (c *Client) Operations() *Operations { return &Operations{c.channel, c.owner} }

// Operation says what is to be done.
type Operation struct {
	// Resource is what the work is about, ID names it there, Type is the kind of work. Required.
	Resource, ID, Type string
	// Data is what a worker needs to know: what JSON can say, or a protobuf message.
	Data   any
	Labels map[string]string
	// Heartbeat is how long a running attempt may be silent; 0: the server's default.
	Heartbeat time.Duration
	// TimeToLive ends an operation that isn't finished by then; 0: never.
	TimeToLive time.Duration
	// LockTTL, if it isn't 0, makes every attempt take the exclusive lease of the resource with it.
	LockTTL time.Duration
	// Exclusive: the only open operation of its resource.
	Exclusive   bool
	MaxAttempts int
	// Wait is how long Run waits while another worker runs it; 0: Forever, negative: not at all.
	Wait time.Duration
}

// Record is what is stored of an operation.
type Record struct {
	State                  string
	Data, Progress, Result any
	Attempt                int
	// Whole is everything else.
	Whole *pb.Operation
}

// Work does an operation. Its context ends when the attempt is lost, and when someone asks to cancel it; context.Cause
// is ErrAttemptLost or ErrOperationCancelled.
type Work func(ctx context.Context, attempt *Attempt) (result any, err error)

// Attempt is one run of an operation by this worker.
type Attempt struct {
	Resource, OperationID, Type string
	Data                        any
	// Progress is what an earlier attempt has written last: where to go on.
	Progress     any
	Number       int
	FencingToken int64

	channel   *channel
	claimID   string
	kept      *kept
	ctx       context.Context
	interrupt context.CancelCauseFunc
	cancelled atomic.Bool
	stopping  chan struct{}
}

// Held says whether the attempt is still this worker's, by the clocks.
func (a *Attempt) Held() bool { return a.kept.isHeld() }

// Remaining is the time until the deadline as it stands; 0 when it is over.
func (a *Attempt) Remaining() time.Duration { return a.kept.remaining() }

// CancelRequested says whether someone asked to cancel it.
func (a *Attempt) CancelRequested() bool { return a.cancelled.Load() }

// Stopping is closed when the worker is told to stop: come to an end, or be given back.
func (a *Attempt) Stopping() <-chan struct{} { return a.stopping }

func newAttempt(ctx context.Context, c *channel, operation *pb.Operation, given *pb.Attempt, sent time.Time) *Attempt {
	a := &Attempt{
		Resource: operation.Resource, OperationID: operation.OperationId, Type: operation.Type,
		Data: fromAny(operation.Data), Progress: fromAny(operation.Progress),
		Number: int(given.Number), FencingToken: given.FencingToken,
		channel: c, claimID: given.ClaimId, stopping: make(chan struct{}),
	}
	a.kept = newKept(ctx, c, ErrAttemptLost, a.keepingAlive(), nil)
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
	}
	return func(ctx context.Context, to *seat) (func() (said, error), error) {
		call, err := to.streams.operations.KeepAliveOperation(ctx, request)
		return func() (said, error) {
			message, err := call.Recv()
			if err != nil {
				return said{}, err
			}
			switch event := message.Event.(type) {
			case *pb.KeepAliveOperationResponse_Renewed:
				return said{kind: Renewed, validFor: event.Renewed.ValidFor.AsDuration()}, nil
			case *pb.KeepAliveOperationResponse_AtRisk:
				return said{kind: AtRisk, reason: trimmed("AT_RISK_REASON_", event.AtRisk.Reason)}, nil
			case *pb.KeepAliveOperationResponse_CancelRequested:
				return said{kind: cancelRequested, reason: event.CancelRequested.Reason}, nil
			case *pb.KeepAliveOperationResponse_Lost:
				return said{kind: Lost, reason: trimmed("ATTEMPT_LOST_REASON_", event.Lost.Reason)}, nil
			case *pb.KeepAliveOperationResponse_Moved:
				return said{kind: moved}, nil
			case *pb.KeepAliveOperationResponse_Draining:
				return said{kind: draining}, nil
			}
			return said{kind: unknown}, nil
		}, err
	}
}

// SetProgress writes how far the work is, for those who watch and for the next attempt; a sign of life, too.
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

type rpc[Request, Response any] = func(context.Context, Request, ...grpc.CallOption) (Response, error)

func write[Request, Response any](
	ctx context.Context, a *Attempt, request Request, call func(stubs) rpc[Request, Response],
) (response Response, sent time.Time, err error) {
	if over := a.kept.over(); over != nil {
		if errors.Is(over, errReleased) {
			over = lost(ErrAttemptLost, "it has ended")
		}
		return response, sent, over
	}
	response, sent, err = unary(ctx, a.channel, request, answerWithin, tryFor, call)
	if errors.Is(err, ErrAttemptLost) {
		a.kept.finish(lost(ErrAttemptLost, "SUPERSEDED"))
	}
	return response, sent, err
}

// complete stores how the work ended, even if the context of the work has ended.
func (a *Attempt) complete(ctx context.Context, result any, failure error) error {
	request := &pb.CompleteOperationRequest{
		Resource: a.Resource, OperationId: a.OperationID, ClaimId: a.claimID, FencingToken: a.FencingToken,
		ReleaseLease: true, RequestId: newID(),
	}
	switch {
	case failure == nil:
		packed, err := toAny(result)
		if err != nil { // recorded as the failure that it is
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
	a.kept.ending()
	_, _, err := write(ctx, a, request, func(s stubs) rpc[*pb.CompleteOperationRequest, *pb.CompleteOperationResponse] {
		return s.operations.CompleteOperation
	})
	a.kept.finish(errReleased)
	return err
}

func clipped(err error, length int) string {
	text := strings.ToValidUTF8(err.Error(), "?")
	if len(text) > length {
		text = strings.ToValidUTF8(text[:length], "")
	}
	return text
}

func (a *Attempt) giveBack(ctx context.Context) error {
	request := &pb.YieldOperationRequest{
		Resource: a.Resource, OperationId: a.OperationID, ClaimId: a.claimID, FencingToken: a.FencingToken,
		RequestId: newID(),
	}
	a.kept.ending()
	_, _, err := write(ctx, a, request, func(s stubs) rpc[*pb.YieldOperationRequest, *pb.YieldOperationResponse] {
		return s.operations.YieldOperation
	})
	a.kept.finish(errReleased)
	return err
}

// perform does the work and stores what comes of it; an attempt that was lost meanwhile stores nothing.
func (a *Attempt) perform(work Work) (any, error) {
	defer a.interrupt(nil)
	defer a.kept.finish(errReleased) // a work that panics keeps nothing alive
	after := context.WithoutCancel(a.ctx)
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
		// The work's own error is what the caller hears; unstored, the attempt goes stale and another worker takes it.
		_ = a.complete(after, nil, failure)
		return nil, failure
	}
	return nil, fmt.Errorf("%w (%w)", a.kept.over(), failure)
}

// Run does the work once, whoever asks how often: it begins the operation, or takes it over from a worker that fell
// silent, or waits for the worker that does it, and returns the result, also of a run before. What work returns is
// stored; so is its error, as the operation's failure, and returned to repeats as ErrOperationFailed. ErrAttemptLost:
// it was lost in between, and nothing was stored.
//
// What a repeat gets is read back from the record: JSON's types, or the *anypb.Any of a message.
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
		response, sent, err := unary(ctx, o.channel, request, answerWithin, tryFor, beginOperation)
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

func (o *Operations) waitFor(ctx context.Context, key Operation, wait time.Duration) (*pb.Operation, bool, error) {
	request := &pb.WaitOperationRequest{
		Resource: key.Resource, OperationId: key.ID, WaitTimeout: durationpb.New(wait),
	}
	response, _, err := unary(ctx, o.channel, request, wait+answerWithin, wait+tryFor,
		func(s stubs) rpc[*pb.WaitOperationRequest, *pb.WaitOperationResponse] {
			return s.operations.WaitOperation
		})
	return response.GetOperation(), response.GetDone(), err
}

// outcome is the result of a finished operation, or what it ended with instead.
func outcome(record *pb.Operation) (any, error) {
	message := record.GetError().GetMessage()
	if message == "" {
		message = "the operation is " + stateName(record)
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

// Begin records an operation for a worker to claim. Again is no error, unless type, data or labels are others.
func (o *Operations) Begin(ctx context.Context, wanted Operation) error {
	request, err := o.begin(wanted)
	if err != nil {
		return err
	}
	_, _, err = unary(ctx, o.channel, request, answerWithin, tryFor, beginOperation)
	return err
}

// Get reads a record.
func (o *Operations) Get(ctx context.Context, resource, id string) (*Record, error) {
	request := &pb.GetOperationRequest{Resource: resource, OperationId: id}
	response, _, err := unary(ctx, o.channel, request, answerWithin, tryFor,
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

// Cancel asks for it: pending, it is cancelled at once; of a running one the worker is told, and decides.
func (o *Operations) Cancel(ctx context.Context, resource, id, reason string) error {
	request := &pb.CancelOperationRequest{Resource: resource, OperationId: id, Reason: reason}
	_, _, err := unary(ctx, o.channel, request, answerWithin, tryFor,
		func(s stubs) rpc[*pb.CancelOperationRequest, *pb.CancelOperationResponse] {
			return s.operations.CancelOperation
		})
	return err
}

// toAny packs plain data as google.protobuf.Value, so that a worker in another language reads it, and messages as they
// are.
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
		return nil, fmt.Errorf("leasehold: a payload is what JSON can say (map[string]any, []any, …) or a message: %w", err)
	}
	return packed(value)
}

// packed is deterministic: by the bytes of its data the server tells whether a Begin is a repeat, and a map has no order.
func packed(message proto.Message) (*anypb.Any, error) {
	var payload anypb.Any
	err := anypb.MarshalFrom(&payload, message, proto.MarshalOptions{Deterministic: true})
	return &payload, err
}

// fromAny is plain data if it is a Value, nil if it is empty; else the Any, for the caller to unpack.
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
