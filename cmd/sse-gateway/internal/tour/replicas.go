package tour

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/console"
)

// restartDelay is how long a killed replica is away.
const restartDelay = 2 * time.Second

// Process is a replica that runs: a whole gateway, as a process of its own has it.
type Process interface {
	// Addr is where it listens, as host:port.
	Addr() string
	// Channels returns the channels of the tour that have subscribers.
	Channels() []string
	// Kill resets its connections and releases everything. No stream is ended in order.
	Kill()
}

// Replicas are two gateways behind a load balancer: what the tour of the page kills.
// Its methods may be called concurrently.
type Replicas struct {
	start    func() (Process, error)
	path     string // of event streams
	balancer *httputil.ReverseProxy
	log      *slog.Logger

	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	restarts sync.WaitGroup

	// mu guards the processes of all replicas.
	mu  sync.Mutex
	all []*replica
}

// replica is a place in the balancer's list.
type replica struct {
	name    string
	process Process // nil while it is down
}

// Start starts the replicas, each with start; so is one that was killed. path is that
// of event streams.
func Start(start func() (Process, error), path string, log *slog.Logger) (*Replicas, error) {
	r := &Replicas{
		start: start, path: path, balancer: newBalancer(), log: log,
		all: []*replica{{name: "A"}, {name: "B"}},
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for _, one := range r.all {
		p, err := r.start()
		if err != nil {
			r.Close()
			return nil, err
		}
		one.process = p
	}
	return r, nil
}

// Tour is what the page does with the replicas.
func (r *Replicas) Tour() *console.Tour {
	return &console.Tour{Events: http.HandlerFunc(r.serveEvents), Replicas: r.list, Kill: r.kill}
}

// Close ends the replicas and all streams on them. Further calls do nothing.
func (r *Replicas) Close() {
	r.mu.Lock()
	r.cancel() // kill starts no restart from here on
	r.mu.Unlock()
	r.restarts.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.all {
		if one.process != nil {
			one.process.Kill()
			one.process = nil
		}
	}
}

// list returns the state of all replicas.
func (r *Replicas) list() []console.Replica {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]console.Replica, len(r.all))
	for i, one := range r.all {
		list[i] = console.Replica{Name: one.name, Up: one.process != nil, Channels: []string{}}
		if one.process != nil {
			list[i].Channels = one.process.Channels()
		}
	}
	return list
}

// kill kills the replica that serves a channel, and starts it again later.
func (r *Replicas) kill(channel string) (name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.all, func(one *replica) bool {
		return one.process != nil && slices.Contains(one.process.Channels(), channel)
	})
	if i < 0 || r.ctx.Err() != nil {
		return ""
	}
	killed := r.all[i]
	killed.process.Kill()
	killed.process = nil
	r.log.Info("tour: a replica was killed", "replica", killed.name)
	r.restarts.Go(func() { r.restart(killed) })
	return killed.name
}

// restart starts a replica again after a while.
func (r *Replicas) restart(killed *replica) {
	select {
	case <-r.ctx.Done():
		return
	case <-time.After(restartDelay):
	}
	p, err := r.start()
	if err != nil {
		r.log.Error("tour: a replica does not start again", "replica", killed.name, "error", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	killed.process = p
	r.log.Info("tour: a replica is back", "replica", killed.name)
}

// target is the address of the first replica that is up, "" if none is.
func (r *Replicas) target() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.all {
		if one.process != nil {
			return one.process.Addr()
		}
	}
	return ""
}

// serveEvents passes a subscription to a replica that is up.
func (r *Replicas) serveEvents(w http.ResponseWriter, req *http.Request) {
	clear(w.Header()) // those of the page; the replica has its own
	addr := r.target()
	if addr == "" {
		refuseForNow(w)
		return
	}
	if s, ok := w.(interface{ BeginStream() }); ok {
		s.BeginStream() // no deadline for the answer
	}
	out := req.Clone(req.Context())
	out.URL = &url.URL{Scheme: "http", Host: addr, Path: r.path, RawQuery: req.URL.RawQuery}
	r.balancer.ServeHTTP(w, out)
}

// newBalancer makes the proxy of requests whose URL is that of a replica. A replica that
// dies amid an answer breaks the client's connection off as well.
func newBalancer() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(pr *httputil.ProxyRequest) { pr.Out.Host = "" },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			refuseForNow(w)
		},
	}
}

// refuseForNow answers what has an EventSource come back. A 502 would close it for good.
func refuseForNow(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "retry: 500\n\n")
}
