package leasehold

import (
	"sync"
	"time"

	"google.golang.org/grpc"

	pb "leasehold.internal/leasehold/leaseholdpb"
)

// kind is what a call is for. Each kind has connections of its own, so that nothing that waits takes the place of what
// keeps a lease or gives one back: a call beyond what a connection allows waits without a word.
type kind int

const (
	// Unary calls that are answered at once.
	calls kind = iota
	// KeepAlive and KeepAliveOperation.
	keeping
	// What may take long: Hold, and unary calls that wait.
	waiting

	kinds = iota
)

const (
	// How many calls are open on a connection at most, if Config.StreamsPerConnection doesn't say.
	callsPerConnection = 100
	// How long one of several connections has no calls before it is closed.
	idleFor = time.Minute
)

// stubs are the calls of one connection.
type stubs struct {
	locks      pb.LockServiceClient
	operations pb.OperationStoreServiceClient
}

// connection is one connection to an instance.
type connection struct {
	stubs
	address string

	conn *grpc.ClientConn
	pool *pool
	// Both are guarded by the mutex of the pool.
	open      int
	idleSince time.Time
}

// pool has the connections of one kind to one instance: one from the first call on, and more when they are full.
type pool struct {
	address string
	dial    func() (*grpc.ClientConn, error)
	limit   int
	idleFor time.Duration

	mu          sync.Mutex
	connections []*connection
	isClosed    bool
}

// take returns a connection that has room for one more call, which the caller gives back when the call is over.
func (p *pool) take() (*connection, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed {
		return nil, ErrClosed
	}
	for _, one := range p.connections {
		if one.open < p.limit {
			one.open++
			return one, nil
		}
	}
	conn, err := p.dial()
	if err != nil {
		return nil, unavailable("no connection to " + p.address + " can be set up: " + err.Error())
	}
	one := &connection{
		stubs:   stubs{pb.NewLockServiceClient(conn), pb.NewOperationStoreServiceClient(conn)},
		address: p.address, conn: conn, pool: p, open: 1,
	}
	p.connections = append(p.connections, one)
	return one, nil
}

func (c *connection) giveBack() {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.open--
	if c.open == 0 && len(c.pool.connections) > 1 {
		c.idleSince = time.Now()
		time.AfterFunc(c.pool.idleFor, c.pool.closeIdle)
	}
}

// openCalls is how many calls are open on the connection.
func (c *connection) openCalls() int {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	return c.open
}

// closeIdle closes connections that have had no calls for a while, but keeps one.
func (p *pool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var kept []*connection
	left := len(p.connections)
	for _, one := range p.connections {
		if one.open == 0 && left > 1 && time.Since(one.idleSince) >= p.idleFor {
			left--
			_ = one.conn.Close()
		} else {
			kept = append(kept, one)
		}
	}
	p.connections = kept
}

// shut closes all of them, for good.
func (p *pool) shut() []error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isClosed = true
	var failures []error
	for _, one := range p.connections {
		failures = append(failures, one.conn.Close())
	}
	p.connections = nil
	return failures
}

// seat is one instance.
type seat struct {
	address string
	pools   [kinds]*pool
}

func newSeat(address string, limit int, dial func() (*grpc.ClientConn, error)) *seat {
	one := &seat{address: address}
	for i := range one.pools {
		one.pools[i] = &pool{address: address, dial: dial, limit: limit, idleFor: idleFor}
	}
	return one
}
