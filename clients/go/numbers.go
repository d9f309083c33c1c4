package leasehold

import (
	"fmt"
	"math"
	"time"

	"google.golang.org/grpc/codes"
)

// Every number that users give goes through here: one that means nothing is refused by the name of its option, before
// anything is sent. How large a span may be is the server's business; optionOf names the option in its refusal.

const toDefault = "leave it out to get the default"

// checkAboveZero is for options whose zero would be no lease at all.
func checkAboveZero(option string, span time.Duration) error {
	if span > 0 {
		return nil
	}
	return invalidOption(option, fmt.Sprintf("must be longer than 0, but it is %v: %s", span, toDefault))
}

func checkSpan(option string, span time.Duration) error {
	if span >= 0 {
		return nil
	}
	return invalidOption(option, fmt.Sprintf("must not be negative, but it is %v: %s", span, toDefault))
}

func checkCount(option string, count, least int) error {
	if count >= least && count <= math.MaxInt32 {
		return nil
	}
	return invalidOption(option, fmt.Sprintf("must be a number from %d to %d, but it is %d", least, math.MaxInt32, count))
}

func invalidOption(option, message string) *Error {
	return &Error{
		Code: codes.InvalidArgument, Reason: ReasonInvalidArgument, Message: option + " " + message,
		Options: []string{option},
	}
}
