// Package leasehold is the client of Leasehold: distributed locks and long-running operations.
//
// A [Client] takes leases and keeps them alive; its [Operations] run work that survives the worker.
//
//	lease, err := client.Lock(ctx, "invoice:42", leasehold.Wait(30*time.Second))
//	if err != nil { … }
//	defer lease.Release(context.Background())
//	work(lease.Context(), lease.FencingToken)
package leasehold

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// How long Lock and LockMany queue without the option Wait: docs/clients.md of the project has the table of defaults.
const waitIfNotGiven = 30 * time.Second

// The longest wait of one unary call.
const mostUnaryWait = 30 * time.Minute

// Client has the connections to a deployment. Make one and share it: all goroutines can use it.
type Client struct {
	channel *channel
	owner   string
}

// Config says how to reach a deployment.
type Config struct {
	// Addresses are the "host:port" of one instance or of several. Required.
	Addresses []string
	// TLS is how to reach the servers by TLS; nil for plain text.
	TLS *tls.Config
	// Token goes with every call, if it isn't empty. White space around it is left out.
	Token string
	// Owner tells people who holds a lease or runs an operation; "pid@host" if it is empty. The option of the same name
	// replaces it for one lease.
	Owner string
	// StreamsPerConnection is how many calls are open on a connection at most, before the client opens another one; 100 if
	// it is 0. Set it where a proxy allows fewer: calls beyond what it allows wait without a word.
	StreamsPerConnection int
}

// configFields is a Config without its methods.
type configFields Config

// withoutToken is for logs.
func (c Config) withoutToken() configFields {
	if c.Token != "" {
		c.Token = "(not shown)"
	}
	return configFields(c)
}

// Format prints the fields without the token, with every verb: configurations end up in logs.
func (c Config) Format(to fmt.State, verb rune) {
	fmt.Fprintf(to, fmt.FormatString(to, verb), c.withoutToken())
}

// LogValue is what log/slog shows: the fields without the token.
func (c Config) LogValue() slog.Value {
	return slog.StringValue(fmt.Sprintf("%+v", c))
}

// New makes a client, which connects with the first call. It fails for an address or a token that isn't one.
func New(config Config) (*Client, error) {
	limit := config.StreamsPerConnection
	if err := checkCount("Config.StreamsPerConnection", limit, 0); err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = callsPerConnection
	}
	c, err := dial(config.Addresses, config.TLS, config.Token, limit)
	if err != nil {
		return nil, err
	}
	owner := config.Owner
	if owner == "" {
		owner = pidAtHost()
	}
	return &Client{channel: c, owner: owner}, nil
}

func pidAtHost() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%d@%s", os.Getpid(), host)
}

// Close ends all calls and connections. Nothing renews the leases that are held: they end with their deadlines.
func (c *Client) Close() error { return c.channel.shut() }

// Lock takes a lease and keeps it alive. ctx bounds only the taking. The error matches ErrContended when someone else
// has the resource and the wait is over: 30 s without the option Wait. A Lock that fails leaves nothing in a queue, as
// far as a server answers.
func (c *Client) Lock(ctx context.Context, resource string, opts ...Option) (*Lease, error) {
	o, err := c.options(opts)
	if err != nil {
		return nil, err
	}
	return c.hold(ctx, resource, o)
}

// TryLock is Lock without a wait. It returns nil without an error when someone else has the resource.
func (c *Client) TryLock(ctx context.Context, resource string, opts ...Option) (*Lease, error) {
	lease, err := c.Lock(ctx, resource, append(slices.Clip(opts), Wait(0))...)
	if errors.Is(err, ErrContended) {
		return nil, nil
	}
	return lease, err
}

// WithLock calls work while it holds a lease, and then releases it. The context of work ends when ctx does, and when
// the lease is over. The error is that of work; if work has none but the lease was lost meanwhile, it matches
// ErrLeaseLost.
func (c *Client) WithLock(
	ctx context.Context, resource string, work func(context.Context, *Lease) error, opts ...Option,
) error {
	lease, err := c.Lock(ctx, resource, opts...)
	if err != nil {
		return err
	}
	// A release that fails is not an error of the work: the lease ends with its TTL.
	defer func() { _, _ = lease.Release(context.WithoutCancel(ctx)) }()
	inside, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(lease.Context(), func() { cancel(context.Cause(lease.Context())) })()
	if err := work(inside, lease); err != nil {
		return err
	}
	return lease.Err()
}

// LockMany takes leases on up to 32 resources, all or none, and keeps them alive. Release each of them. One call waits
// at most 30 minutes, even with a longer Wait.
func (c *Client) LockMany(ctx context.Context, resources []string, opts ...Option) ([]*Lease, error) {
	o, err := c.options(opts)
	if err != nil {
		return nil, err
	}
	request := &pb.AcquireManyRequest{}
	for _, resource := range resources {
		o.leaseID = newID()
		request.Specs = append(request.Specs, o.spec(resource))
	}
	bounds, wait := o.unaryBounds()
	if wait > 0 {
		request.Wait = &pb.AcquireManyRequest_WaitTimeout{WaitTimeout: durationpb.New(wait)}
	}
	began := time.Now()
	tries := 0
	response, sent, err := unary(ctx, c.channel, request, bounds,
		func(s stubs) rpc[*pb.AcquireManyRequest, *pb.AcquireManyResponse] {
			tries++
			return s.locks.AcquireMany
		})
	if err != nil {
		// A refused try leaves what an earlier try was granted, if the answer to that one was lost.
		leavesNothing := errors.Is(err, ErrContended) && tries == 1
		if !leavesNothing {
			left := giveBack
			if o.timeout != nil {
				left = time.Until(began.Add(*o.timeout))
			}
			tryGiveBack(ctx, c.channel, left, request.Specs...)
		}
		return nil, err
	}
	var leases []*Lease
	for _, granted := range response.Leases {
		k := newKept(ctx, c.channel, leaseLost(granted.Resource), o.observer)
		leases = append(leases, c.keep(k, granted, sent, granted.ValidFor.AsDuration()))
		go k.run(nil)
	}
	return leases, nil
}

// unaryBounds returns the bounds of a unary call that may wait, and how long it waits at the server: in one try, since a
// wait that is cut into pieces loses its place in the queue.
func (o *options) unaryBounds() (bounds, time.Duration) {
	wait := min(o.wait, mostUnaryWait)
	if o.timeout == nil {
		if wait == 0 {
			return bounds{kind: calls, within: answerWithin, each: tryFor, asksOnce: true}, 0
		}
		return bounds{kind: waiting, within: wait + tryFor, each: wait + tryFor}, wait
	}
	wait = min(wait, *o.timeout-answerShare(*o.timeout))
	if wait == 0 {
		return bounds{kind: calls, within: *o.timeout, each: tryFor}, 0
	}
	return bounds{kind: waiting, within: *o.timeout, each: wait + tryFor}, wait
}

func (c *Client) options(opts []Option) (options, error) {
	o := options{owner: c.owner, wait: waitIfNotGiven}
	for _, option := range opts {
		option(&o)
	}
	return o, o.refused
}
