package leasehold

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// The reasons of google.rpc.ErrorInfo by which a caller most often decides; docs/errors.md of the project lists all of
// them.
const (
	ReasonLockContended    = "LOCK_CONTENDED"
	ReasonLeaseLost        = "LEASE_LOST"
	ReasonAttemptHeld      = "ATTEMPT_HELD"
	ReasonStaleAttempt     = "STALE_ATTEMPT"
	ReasonInvalidArgument  = "INVALID_ARGUMENT"
	ReasonUnauthenticated  = "UNAUTHENTICATED"
	ReasonPermissionDenied = "PERMISSION_DENIED"
	// The client gives these two itself: they tell a repeat how its operation ended.
	ReasonOperationFailed    = "OPERATION_FAILED"
	ReasonOperationCancelled = "OPERATION_CANCELLED"

	reasonMoved = "MOVED"
)

// Error is the error of a call. Decide by Reason, or by errors.Is with ErrContended and the others, which match by
// reason; never by Message.
type Error struct {
	// Code is the gRPC code; Unavailable for all that means no more than that no answer came.
	Code codes.Code
	// Reason is that of google.rpc.ErrorInfo; empty where no Leasehold server answered.
	Reason string
	// Message is for people.
	Message string
	// RetryAfter is how long the server asks to wait before the next try; 0 if it doesn't say.
	RetryAfter time.Duration
	// Holders are the owners of the leases that stand in the way (LOCK_CONTENDED); at most 4.
	Holders []string
	// Options names what is wrong as the user wrote it (INVALID_ARGUMENT), such as "TTL".
	Options []string
	// Fields names the same as fields of the contract, such as "spec.ttl", where a server refused it.
	Fields []string
	// Why says more about a loss: a LostReason such as FORCE_RELEASED; or DEADLINE, when the deadline passed here and no
	// server had said anything.
	Why string
}

// The errors to match with errors.Is.
var (
	ErrContended = &Error{Reason: ReasonLockContended, Code: codes.Aborted, Message: "someone else has the resource"}
	// ErrInvalidArgument is an option that means nothing, or that the server refuses: Error.Options names it.
	ErrInvalidArgument = &Error{
		Reason: ReasonInvalidArgument, Code: codes.InvalidArgument, Message: "an option is wrong",
	}
	ErrLeaseLost   = &Error{Reason: ReasonLeaseLost, Code: codes.Aborted, Message: "the lease is over"}
	ErrAttemptHeld = &Error{
		Reason: ReasonAttemptHeld, Code: codes.Aborted, Message: "another worker runs the operation",
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
	ErrClosed = &Error{
		Code: codes.Canceled, Message: "the client is closed: make calls before Close, or make a new client",
	}

	errReleased = errors.New("the lease was released")
)

func (e *Error) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("leasehold: %s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("leasehold: %s: %s", e.Reason, e.Message)
}

// Is matches errors of the same reason, or of the same code and message where they have no reason.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	if !ok || other.Reason != e.Reason {
		return false
	}
	return e.Reason != "" || (other.Code == e.Code && other.Message == e.Message)
}

// passes says whether the same call may succeed a little later or at another server.
func (e *Error) passes() bool {
	return e.Code == codes.Unavailable || e.Code == codes.DeadlineExceeded
}

// loss makes the error that tells why a lease or an attempt is over.
type loss func(why string) *Error

func leaseLost(resource string) loss {
	return func(why string) *Error {
		message := fmt.Sprintf("the lease on %s is over (%s): stop what it protects, and acquire it again", resource, why)
		return &Error{Code: ErrLeaseLost.Code, Reason: ErrLeaseLost.Reason, Message: message, Why: why}
	}
}

func attemptLost(resource, operationID string) loss {
	return func(why string) *Error {
		message := fmt.Sprintf("the attempt at the operation %s on %s is over (%s): stop the work, and write nothing more",
			operationID, resource, why)
		return &Error{Code: ErrAttemptLost.Code, Reason: ErrAttemptLost.Reason, Message: message, Why: why}
	}
}

func unavailable(message string) *Error {
	return &Error{Code: codes.Unavailable, Message: message}
}

// noAnswer is the error of a call that a server left without an answer. A connection that allows fewer calls than are
// open on it holds them back without a word, so the error says how many there were.
func noAnswer(address string, within time.Duration, open int) *Error {
	return unavailable(fmt.Sprintf("%s did not answer within %v (calls open on the connection: %d): check that a Leasehold "+
		"server runs there; where a proxy allows fewer calls on a connection, set Config.StreamsPerConnection",
		address, within.Round(time.Second/10), open))
}

// The statuses that pass where no ErrorInfo comes with them. Leasehold gives a reason with every error, so that such a
// status is the word of a proxy, or how the gRPC library calls what happened to the connection. docs/clients.md of the
// project has the list, and each client has it.
var passingWithoutReason = []codes.Code{
	codes.Unavailable, // no connection; one that broke; HTTP 429, 502, 503 and 504; a stream that was refused
	codes.Canceled,    // a stream that was reset with CANCEL: a server that was killed, in some libraries
	codes.Unknown,     // a connection that broke, in other libraries; another status of HTTP; a stream that just ended
	// The time-out of a proxy, or that of one try of this client.
	codes.DeadlineExceeded,
	codes.Internal, // a stream that was reset with another code, by the time-out of a route in a proxy for example
}

// fromRPC makes the error of what a server said, with its details.
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
			var told []string
			for _, violation := range detail.FieldViolations {
				option := optionOf(violation.Field)
				found.Fields = append(found.Fields, violation.Field)
				found.Options = append(found.Options, option)
				told = append(told, option+": "+violation.Description)
			}
			if len(told) > 0 {
				found.Message = strings.Join(told, "; ")
			}
		case *pb.Contention:
			for _, holder := range detail.Holders {
				found.Holders = append(found.Holders, holder.Owner)
			}
		}
	}
	if slices.Contains(passingWithoutReason, found.Code) && found.Reason == "" {
		found.Code = codes.Unavailable
		found.Message = fmt.Sprintf(
			"no answer from %s: %s: %s. Check that a server runs there, and that both sides use TLS "+
				"(with an authority that the client trusts) or neither does", address, said.Code(), found.Message)
	}
	return found
}

// asError finds an *Error in err; anything else is the error of a context.
func asError(err error) *Error {
	var ours *Error
	if errors.As(err, &ours) {
		return ours
	}
	return &Error{Code: status.FromContextError(err).Code(), Message: err.Error()}
}
