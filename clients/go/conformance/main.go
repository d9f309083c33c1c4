// Conformance is the runner of the conformance script in Go: it turns verbs into calls of the client, and nothing else.
// clients/conformance/README.md says what the verbs mean.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"leasehold.internal/leasehold"
)

type args struct {
	As, Client, Lease, Run, Worker string
	Addresses                      []string
	Token, CA                      string
	Resource                       string
	Resources                      []string
	TTL, Wait                      *float64
	Timeout                        float64
	Owner                          string
	Shared                         bool
	Permits, Limit                 int
	StreamsPerConnection           int    `json:"streams_per_connection"`
	LeaseID                        string `json:"lease_id"`
	OperationID                    string `json:"operation_id"`
	Type                           string
	Types                          []string
	Data, Value                    any
	Heartbeat                      float64
	LockTTL                        float64 `json:"lock_ttl"`
	Work                           plan
	Concurrency                    int
	Grace                          float64
	Reason                         string
}

// plan is what the function of a run or worker does.
type plan struct {
	Hold, Stubborn bool
	Result         any
	Error          string
}

type answer = map[string]any

type work struct {
	plan
	mayGo   chan struct{}
	once    sync.Once
	attempt atomic.Pointer[leasehold.Attempt]
}

func (w *work) do(ctx context.Context, attempt *leasehold.Attempt) (any, error) {
	w.attempt.Store(attempt)
	if w.Hold && w.Stubborn {
		<-w.mayGo
	} else if w.Hold {
		select {
		case <-w.mayGo:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if w.Error != "" {
		return nil, errors.New(w.Error)
	}
	return w.Result, nil
}

type worker struct {
	worker *leasehold.Worker
	stop   context.CancelFunc
	done   chan struct{}
}

type runner struct {
	mu      sync.Mutex
	clients map[string]*leasehold.Client
	leases  map[string][]*leasehold.Lease
	works   map[string]*work
	workers map[string]*worker
}

func get[T any](r *runner, from map[string]T, name string) T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return from[name]
}

func put[T any](r *runner, to map[string]T, name string, value T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to[name] = value
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (a args) options() []leasehold.Option {
	var options []leasehold.Option
	if a.TTL != nil {
		options = append(options, leasehold.TTL(seconds(*a.TTL)))
	}
	wait := 0.0 // if the scenario doesn't say
	if a.Wait != nil {
		wait = *a.Wait
	}
	options = append(options, leasehold.Wait(seconds(wait)))
	if a.Timeout != 0 {
		options = append(options, leasehold.Timeout(seconds(a.Timeout)))
	}
	if a.Shared {
		options = append(options, leasehold.Shared())
	}
	if a.Permits != 0 {
		options = append(options, leasehold.Permits(a.Permits, a.Limit))
	}
	return append(options, leasehold.Owner(a.Owner), leasehold.LeaseID(a.LeaseID))
}

func (a args) operation() leasehold.Operation {
	operation := leasehold.Operation{
		Resource: a.Resource, ID: a.OperationID, Type: a.Type, Data: a.Data,
		Heartbeat: seconds(a.Heartbeat), LockTTL: seconds(a.LockTTL),
	}
	if a.Wait != nil {
		operation.Wait = seconds(*a.Wait)
		if operation.Wait == 0 {
			operation.Wait = leasehold.NoWait
		}
	}
	return operation
}

func (r *runner) connect(_ context.Context, a args) (answer, error) {
	config := leasehold.Config{Addresses: a.Addresses, Token: a.Token, StreamsPerConnection: a.StreamsPerConnection}
	if a.CA != "" {
		pem, err := os.ReadFile(a.CA)
		if err != nil {
			return nil, err
		}
		config.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
		config.TLS.RootCAs.AppendCertsFromPEM(pem)
	}
	client, err := leasehold.New(config)
	put(r, r.clients, a.As, client)
	return answer{}, err
}

func (r *runner) lock(ctx context.Context, a args) (answer, error) {
	lease, err := get(r, r.clients, a.Client).Lock(ctx, a.Resource, a.options()...)
	if err != nil {
		return nil, err
	}
	put(r, r.leases, a.As, []*leasehold.Lease{lease})
	return answer{
		"fencing_token": lease.FencingToken, "lease_id": lease.LeaseID, "remaining": lease.Remaining().Seconds(),
	}, nil
}

func (r *runner) lockMany(ctx context.Context, a args) (answer, error) {
	leases, err := get(r, r.clients, a.Client).LockMany(ctx, a.Resources, a.options()...)
	put(r, r.leases, a.As, leases)
	return answer{}, err
}

func (r *runner) lease(_ context.Context, a args) (answer, error) {
	held := true
	var lost any
	remaining := time.Duration(1<<63 - 1)
	for _, lease := range get(r, r.leases, a.Lease) {
		held = held && lease.Held()
		remaining = min(remaining, lease.Remaining())
		if why := lease.LostReason(); why != "" {
			lost = why
		}
	}
	return answer{"held": held, "remaining": remaining.Seconds(), "lost": lost}, nil
}

func (r *runner) loss(_ context.Context, a args) (answer, error) {
	asked := time.Now()
	lease := get(r, r.leases, a.Lease)[0]
	<-lease.Context().Done()
	return answer{"lost": lease.LostReason(), "after": time.Since(asked).Seconds()}, nil
}

func (r *runner) check(_ context.Context, a args) (answer, error) {
	return answer{}, get(r, r.leases, a.Lease)[0].Err()
}

func (r *runner) release(ctx context.Context, a args) (answer, error) {
	all := true
	for _, lease := range get(r, r.leases, a.Lease) {
		released, err := lease.Release(ctx)
		if err != nil {
			return nil, err
		}
		all = all && released
	}
	return answer{"released": all}, nil
}

func (r *runner) run(ctx context.Context, a args) (answer, error) {
	w := &work{plan: a.Work, mayGo: make(chan struct{})}
	put(r, r.works, a.As, w)
	result, err := get(r, r.clients, a.Client).Operations().Run(ctx, a.operation(), w.do)
	attempt := w.attempt.Load()
	number := 0
	if attempt != nil {
		number = attempt.Number
	}
	return answer{"result": result, "ran": attempt != nil, "attempt": number}, err
}

func (r *runner) running(name string) (*leasehold.Attempt, error) {
	for range 500 {
		if attempt := get(r, r.works, name).attempt.Load(); attempt != nil {
			return attempt, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, errors.New("the work did not begin within 5 s")
}

func (r *runner) attempt(_ context.Context, a args) (answer, error) {
	attempt, err := r.running(a.Run)
	if err != nil {
		return nil, err
	}
	return answer{
		"number": attempt.Number, "fencing_token": attempt.FencingToken, "cancel_requested": attempt.CancelRequested(),
		"held": attempt.Held(), "data": attempt.Data,
	}, nil
}

func (r *runner) progress(ctx context.Context, a args) (answer, error) {
	attempt, err := r.running(a.Run)
	if err != nil {
		return nil, err
	}
	return answer{}, attempt.SetProgress(ctx, a.Value)
}

func (r *runner) goOn(_ context.Context, a args) (answer, error) {
	w := get(r, r.works, a.Run)
	w.once.Do(func() { close(w.mayGo) })
	return answer{}, nil
}

func (r *runner) startWorker(_ context.Context, a args) (answer, error) {
	w := &work{plan: a.Work, mayGo: make(chan struct{})}
	put(r, r.works, a.As, w)
	ctx, stop := context.WithCancel(context.Background())
	one := &worker{
		worker: &leasehold.Worker{
			Operations: get(r, r.clients, a.Client).Operations(), Types: a.Types, Work: w.do, Concurrency: a.Concurrency,
		},
		stop: stop, done: make(chan struct{}),
	}
	put(r, r.workers, a.As, one)
	go func() {
		defer close(one.done)
		if err := one.worker.Run(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return answer{}, nil
}

func (r *runner) stopWorker(_ context.Context, a args) (answer, error) {
	one := get(r, r.workers, a.Worker)
	one.worker.Grace = seconds(a.Grace)
	if a.Grace == 0 {
		one.worker.Grace = leasehold.NoGrace
	}
	one.stop()
	<-one.done
	return answer{}, nil
}

func (r *runner) beginOperation(ctx context.Context, a args) (answer, error) {
	return answer{}, get(r, r.clients, a.Client).Operations().Begin(ctx, a.operation())
}

func (r *runner) getOperation(ctx context.Context, a args) (answer, error) {
	record, err := get(r, r.clients, a.Client).Operations().Get(ctx, a.Resource, a.OperationID)
	if err != nil {
		return nil, err
	}
	return answer{
		"state": record.State, "result": record.Result, "progress": record.Progress, "attempt": record.Attempt,
	}, nil
}

func (r *runner) cancelOperation(ctx context.Context, a args) (answer, error) {
	return answer{}, get(r, r.clients, a.Client).Operations().Cancel(ctx, a.Resource, a.OperationID, a.Reason)
}

func (r *runner) close(_ context.Context, a args) (answer, error) {
	return answer{}, get(r, r.clients, a.Client).Close()
}

func told(err error) answer {
	var ours *leasehold.Error
	if !errors.As(err, &ours) {
		return answer{"code": "UNKNOWN", "message": err.Error()}
	}
	return answer{
		"code": codeName(ours.Code), "reason": ours.Reason, "message": ours.Message,
		"holders": ours.Holders, "fields": ours.Fields,
	}
}

// codeName returns the name of a code as the contract spells it; Go's names are like DeadlineExceeded and Canceled.
func codeName(code codes.Code) string {
	if code == codes.Canceled {
		return "CANCELLED"
	}
	var name strings.Builder
	for i, letter := range code.String() {
		if i > 0 && letter >= 'A' && letter <= 'Z' {
			name.WriteByte('_')
		}
		name.WriteRune(letter)
	}
	return strings.ToUpper(name.String())
}

func main() {
	r := &runner{
		clients: map[string]*leasehold.Client{}, leases: map[string][]*leasehold.Lease{},
		works: map[string]*work{}, workers: map[string]*worker{},
	}
	verbs := map[string]func(context.Context, args) (answer, error){
		"connect": r.connect, "lock": r.lock, "lock_many": r.lockMany, "lease": r.lease, "loss": r.loss, "check": r.check,
		"release": r.release, "run": r.run, "attempt": r.attempt, "progress": r.progress, "go_on": r.goOn,
		"worker": r.startWorker, "stop_worker": r.stopWorker, "begin_operation": r.beginOperation,
		"get_operation": r.getOperation, "cancel_operation": r.cancelOperation, "close": r.close,
	}
	var output sync.Mutex
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		line := append([]byte(nil), lines.Bytes()...)
		go func() {
			var command struct {
				ID   int
				Verb string
				Args args
			}
			err := json.Unmarshal(line, &command)
			var ok answer
			if err == nil && command.Verb == "verbs" {
				var names []string
				for name := range verbs {
					names = append(names, name)
				}
				ok = answer{"verbs": names}
			} else if err == nil {
				ok, err = verbs[command.Verb](context.Background(), command.Args)
			}
			said := answer{"id": command.ID, "ok": ok}
			if err != nil {
				said = answer{"id": command.ID, "error": told(err)}
			}
			encoded, err := json.Marshal(said)
			if err != nil {
				encoded = fmt.Appendf(nil, `{"id":%d,"error":{"code":"UNKNOWN","message":%q}}`, command.ID, err.Error())
			}
			output.Lock()
			defer output.Unlock()
			fmt.Println(string(encoded))
		}()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, client := range r.clients {
		_ = client.Close()
	}
}
