package leasehold

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// The reasons of google.rpc.ErrorInfo that a caller most often decides by; docs/errors.md of the project has all of
// them.
const (
	ReasonLockContended    = "LOCK_CONTENDED"
	ReasonLeaseLost        = "LEASE_LOST"
	ReasonAttemptHeld      = "ATTEMPT_HELD"
	ReasonStaleAttempt     = "STALE_ATTEMPT"
	ReasonInvalidArgument  = "INVALID_ARGUMENT"
	ReasonUnauthenticated  = "UNAUTHENTICATED"
	ReasonPermissionDenied = "PERMISSION_DENIED"
	// Made here: the stored outcome of an operation that was asked for again.
	ReasonOperationFailed    = "OPERATION_FAILED"
	ReasonOperationCancelled = "OPERATION_CANCELLED"
)

// Error is an error status. Decide by Reason, never by Message; ErrContended and the others match by reason with
// errors.Is.
type Error struct {
	Code codes.Code
	// Reason is empty where no server of ours has answered.
	Reason  string
	Message string
	// RetryAfter is how long the server asks to wait; 0 if it doesn't say.
	RetryAfter time.Duration
	// Holders are the owners of the leases that stood in the way.
	Holders []string
	// Fields are the fields that are wrong.
	Fields []string
	// Why says more of a loss: a LostReason such as FORCE_RELEASED, or DEADLINE: it passed here, whatever servers know.
	Why string
}

// To match with errors.Is.
var (
	ErrContended   = &Error{Reason: ReasonLockContended, Code: codes.Aborted, Message: "someone else has it"}
	ErrLeaseLost   = &Error{Reason: ReasonLeaseLost, Code: codes.Aborted, Message: "the lease is over"}
	ErrAttemptHeld = &Error{
		Reason: ReasonAttemptHeld, Code: codes.Aborted, Message: "someone else runs the operation",
	}
	ErrAttemptLost = &Error{
		Reason: ReasonStaleAttempt, Code: codes.FailedPrecondition, Message: "the attempt is over",
	}
	ErrOperationFailed = &Error{
		Reason: ReasonOperationFailed, Code: codes.Unknown, Message: "the operation failed",
	}
	ErrOperationCancelled = &Error{
		Reason: ReasonOperationCancelled, Code: codes.Canceled, Message: "the operation was cancelled",
	}
	ErrClosed = &Error{Code: codes.Canceled, Message: "the client is closed"}

	errReleased = errors.New("the lease was released")
)

func (e *Error) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("leasehold: %s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("leasehold: %s: %s", e.Reason, e.Message)
}

// Is matches errors of the same reason; without one, of the same code and message.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	if !ok || other.Reason != e.Reason {
		return false
	}
	return e.Reason != "" || (other.Code == e.Code && other.Message == e.Message)
}

// passes: the same call may succeed a little later, or elsewhere.
func (e *Error) passes() bool {
	return e.Code == codes.Unavailable || e.Code == codes.DeadlineExceeded
}

func lost(kind *Error, why string) *Error {
	return &Error{Code: kind.Code, Reason: kind.Reason, Message: kind.Message + ": " + why, Why: why}
}

func unavailable(message string) *Error {
	return &Error{Code: codes.Unavailable, Message: message}
}

// fromRPC takes what the server said, with its details.
func fromRPC(err error, address string) *Error {
	said := status.Convert(err)
	found := &Error{Code: said.Code(), Message: said.Message()}
	for _, detail := range said.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			found.Reason = detail.Reason
		case *errdetails.RetryInfo:
			found.RetryAfter = detail.RetryDelay.AsDuration()
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				found.Fields = append(found.Fields, violation.Field)
			}
		case *pb.Contention:
			for _, holder := range detail.Holders {
				found.Holders = append(found.Holders, holder.Owner)
			}
		}
	}
	if found.Code == codes.Unavailable && found.Reason == "" {
		found.Message = fmt.Sprintf(
			"no answer from %s: %s. Check that a server runs there, and that both sides use TLS "+
				"(with an authority that the client trusts) or neither does", address, found.Message)
	}
	return found
}

// asError finds our error in err; anything else is one of the caller's context.
func asError(err error) *Error {
	var ours *Error
	if errors.As(err, &ours) {
		return ours
	}
	return &Error{Code: status.FromContextError(err).Code(), Message: err.Error()}
}
