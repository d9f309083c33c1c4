package leasehold

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	firstBackoff = 100 * time.Millisecond
	mostBackoff  = 2 * time.Second
	// How long the first try can take: an instance that hangs must not use up all the time. Each try that wasn't answered
	// doubles it, or no call would ever succeed over a slow link.
	tryFor = 3 * time.Second
	// How long the client tries a call that it can repeat.
	answerWithin = 10 * time.Second
	// How long a call that asks each instance once tries at least: for so long the library fails calls by what it knows of
	// its last attempt to connect.
	hurry = time.Second
)

// bounds say where a unary call goes, and how long it may take.
type bounds struct {
	kind kind
	// How long the client tries in all, and how long the first try may take.
	within, each time.Duration
	// Whether it gives up when each instance was asked once.
	asksOnce bool
}

var atOnce = bounds{kind: calls, within: answerWithin, each: tryFor}

// rpc is one call of the contract.
type rpc[Request, Response any] = func(context.Context, Request, ...grpc.CallOption) (Response, error)

// channel holds the connections to a deployment. All instances are alike: calls stay with one while it answers, and go
// on to the next when it doesn't.
type channel struct {
	seats []*seat
	// ctx ends with the client, and ends every call with it.
	ctx   context.Context
	close context.CancelCauseFunc

	holders holders
	keeper  *keeper
	// How long a server trusts a stream that keeps a lease or an attempt.
	renewFor time.Duration

	mu sync.Mutex
	at int
}

// dial makes the connections, which connect with the first call. It fails for an address that isn't one.
func dial(addresses []string, secure *tls.Config, token string, limit int) (*channel, error) {
	if len(addresses) == 0 {
		return nil, errors.New(`leasehold: Config.Addresses is empty: give the "host:port" of at least one instance`)
	}
	options := []grpc.DialOption{
		// This client repeats calls itself: the library knows neither the deadline of a lease nor RetryInfo.
		grpc.WithDisableRetry(),
		grpc.WithConnectParams(grpc.ConnectParams{
			// The library's default is two minutes, longer than any lease lives.
			Backoff:           backoff.Config{BaseDelay: firstBackoff, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
	}
	if secure != nil {
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(secure)))
	}
	if token != "" {
		checked, err := checkToken(token)
		if err != nil {
			return nil, err
		}
		bearer := func(ctx context.Context) context.Context {
			return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+checked)
		}
		options = append(options,
			grpc.WithUnaryInterceptor(func(ctx context.Context, method string, request, reply any,
				conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
				return invoke(bearer(ctx), method, request, reply, conn, options...)
			}),
			grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn,
				method string, stream grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
				return stream(bearer(ctx), desc, conn, method, options...)
			}))
	}
	c := &channel{at: rand.IntN(len(addresses)), renewFor: renewFor}
	c.keeper = &keeper{channel: c, batches: map[*batch]struct{}{}}
	c.ctx, c.close = context.WithCancelCause(context.Background())
	for _, address := range addresses {
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
			return nil, fmt.Errorf(`leasehold: %q is not an address: give "host:port", for example "127.0.0.1:50051"`, address)
		}
		connect := func() (*grpc.ClientConn, error) { return grpc.NewClient(address, options...) }
		one := newSeat(address, limit, connect)
		// It connects with its first call, but a wrong address is told now.
		first, err := one.pools[calls].take()
		if err != nil {
			return nil, fmt.Errorf("leasehold: %w", err)
		}
		first.giveBack()
		c.seats = append(c.seats, one)
	}
	return c, nil
}

// checkToken returns the token without the white space around it: secrets often end in a newline. No header can carry
// what it refuses, and the error doesn't show it.
func checkToken(token string) (string, error) {
	token = strings.TrimSpace(token)
	isWrong := func(r rune) bool { return r < '!' || r > '~' }
	if token == "" || strings.ContainsFunc(token, isWrong) {
		return "", invalidOption("Config.Token", "must be printable ASCII without spaces (it is not shown here): "+
			`give the token alone, without "Bearer", or leave it empty for none`)
	}
	return token, nil
}

func (c *channel) isClosed() bool { return c.ctx.Err() != nil }

// seat returns the instance that calls go to now.
func (c *channel) seat() *seat {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seats[c.at]
}

// leave sends calls to the next instance, if they still go to this one.
func (c *channel) leave(left *seat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seats[c.at] == left {
		c.at = (c.at + 1) % len(c.seats)
	}
}

// shut ends all calls and connections.
func (c *channel) shut() error {
	c.close(ErrClosed)
	var failures []error
	for _, one := range c.seats {
		for _, pool := range one.pools {
			failures = append(failures, pool.shut()...)
		}
	}
	return errors.Join(failures...)
}

// joined returns a context that ends with ctx and with the channel.
func (c *channel) joined(ctx context.Context) (context.Context, context.CancelFunc) {
	both, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(ErrClosed) })
	return both, func() {
		stop()
		cancel(context.Canceled)
	}
}

// unary repeats a call with the same ids until a server answers it: a repeat has no second effect. sent is the moment
// before the answered try was sent: valid_for counts from there.
func unary[Request, Response any](
	ctx context.Context, c *channel, request Request, bounds bounds, call func(stubs) rpc[Request, Response],
) (response Response, sent time.Time, err error) {
	ctx, cancel := c.joined(ctx)
	defer cancel()
	began := time.Now()
	giveUp := began.Add(bounds.within)
	patience := bounds.each
	for tries := 0; ; tries++ {
		if c.isClosed() {
			return response, sent, ErrClosed
		}
		to := c.seat()
		on, err := to.pools[bounds.kind].take()
		if err != nil {
			return response, sent, err
		}
		trial, done := context.WithTimeout(ctx, min(patience, time.Until(giveUp)))
		sent = time.Now()
		response, err = call(on.stubs)(trial, request)
		// A server, which knows when the try ends, may have said so first.
		isUnanswered := err != nil && (trial.Err() != nil || status.Code(err) == codes.DeadlineExceeded)
		done()
		open := on.openCalls()
		on.giveBack()
		if err == nil {
			return response, sent, nil
		}
		if ctx.Err() != nil {
			return response, sent, ended(ctx)
		}
		failure := fromRPC(err, to.address)
		if isUnanswered {
			failure = noAnswer(to.address, time.Since(sent), open)
			patience *= 2
		}
		if !failure.passes() {
			return response, sent, failure
		}
		c.leave(to)
		if bounds.asksOnce && tries+1 >= len(c.seats) {
			giveUp = earlier(giveUp, began.Add(hurry))
		}
		pause := max(failure.RetryAfter, fullJitter(tries))
		if time.Now().Add(pause).After(giveUp) {
			return response, sent, failure
		}
		if !sleep(ctx, pause) {
			return response, sent, ended(ctx)
		}
		if bounds.kind == waiting {
			c.holders.goFirst(ctx, time.Until(giveUp))
		}
	}
}

func earlier(one, other time.Time) time.Time {
	if other.Before(one) {
		return other
	}
	return one
}

// ended returns why a context has ended: the client was closed, or its owner ended it.
func ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	var ours *Error
	if errors.As(cause, &ours) {
		return ours
	}
	code := codes.Canceled
	if errors.Is(cause, context.DeadlineExceeded) {
		code = codes.DeadlineExceeded
	}
	return fmt.Errorf("%w (%w)", &Error{Code: code, Message: "the context of the call ended"}, cause)
}

// sleep waits, and returns false if ctx ended before.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// fullJitter draws from the whole span below a bound that doubles, so that callers that failed together don't come back
// together.
func fullJitter(tries int) time.Duration { return jitter(rand.Float64(), tries) }

// jitter is fullJitter for those that drew together, from 0 to 1.
func jitter(drawn float64, tries int) time.Duration {
	return time.Duration(drawn * float64(min(mostBackoff, firstBackoff<<min(tries, 10))))
}
