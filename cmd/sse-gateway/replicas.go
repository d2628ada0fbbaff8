package main

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
	"github.com/sse-gateway/sse-gateway/gateway/console"
)

const (
	// replicaRestart is how long a killed replica is away.
	replicaRestart = 2 * time.Second
	// replicaRetry bounds SSE_RETRY of the tour's replicas: nobody waits for long to
	// see a browser come back.
	replicaRetry = time.Second
)

// replicas are two more gateways on the Redis of dev, behind a load balancer: what the
// tour of the page kills. Its methods may be called concurrently.
type replicas struct {
	start    func() (*process, error)
	path     string // of event streams
	balancer *httputil.ReverseProxy
	log      *slog.Logger

	ctx      context.Context // ends with close
	cancel   context.CancelFunc
	restarts sync.WaitGroup

	// mu guards the processes of all replicas.
	mu  sync.Mutex
	all []*replica
}

// replica is a place in the balancer's list.
type replica struct {
	name    string
	process *process // nil while it is down
}

// startReplicas starts the replicas.
func startReplicas(cfg *config.Config, polled bool, log *slog.Logger) (*replicas, error) {
	r := &replicas{
		start: func() (*process, error) { return startProcess(cfg, polled) },
		path:  cfg.Path, balancer: newBalancer(), log: log,
		all: []*replica{{name: "A"}, {name: "B"}},
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for _, one := range r.all {
		p, err := r.start()
		if err != nil {
			r.close()
			return nil, err
		}
		one.process = p
	}
	return r, nil
}

// tour is what the page does with the replicas.
func (r *replicas) tour() *console.Tour {
	return &console.Tour{Events: http.HandlerFunc(r.serveEvents), Replicas: r.list, Kill: r.kill}
}

// close ends the replicas and all streams on them. Further calls do nothing.
func (r *replicas) close() {
	r.mu.Lock()
	r.cancel() // kill starts no restart from here on
	r.mu.Unlock()
	r.restarts.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.all {
		if one.process != nil {
			one.process.kill()
			one.process = nil
		}
	}
}

// list returns the state of all replicas.
func (r *replicas) list() []console.Replica {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]console.Replica, len(r.all))
	for i, one := range r.all {
		list[i] = console.Replica{Name: one.name, Up: one.process != nil, Channels: []string{}}
		if one.process != nil {
			list[i].Channels = one.process.channels()
		}
	}
	return list
}

// kill kills the replica that serves a channel, and starts it again later.
func (r *replicas) kill(channel string) (name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.all, func(one *replica) bool {
		return one.process != nil && slices.Contains(one.process.channels(), channel)
	})
	if i < 0 || r.ctx.Err() != nil {
		return ""
	}
	killed := r.all[i]
	killed.process.kill()
	killed.process = nil
	r.log.Info("tour: a replica was killed", "replica", killed.name)
	r.restarts.Go(func() { r.restart(killed) })
	return killed.name
}

// restart starts a replica again after a while.
func (r *replicas) restart(killed *replica) {
	select {
	case <-r.ctx.Done():
		return
	case <-time.After(replicaRestart):
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
func (r *replicas) target() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.all {
		if one.process != nil {
			return one.process.addr
		}
	}
	return ""
}

// serveEvents passes a subscription to a replica that is up.
func (r *replicas) serveEvents(w http.ResponseWriter, req *http.Request) {
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

// resettingListener is a listener whose connections can be reset all at once.
type resettingListener struct {
	net.Listener
	mu    sync.Mutex
	conns map[*resettableConn]struct{}
}

// resettableConn hides the TCP connection, which the gateway would park otherwise.
type resettableConn struct {
	net.Conn
	listener *resettingListener
}

func (l *resettingListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &resettableConn{nc, l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
	return c, nil
}

func (c *resettableConn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// reset closes the listener and resets its connections, as the system does for a
// process that is killed.
func (l *resettingListener) reset() {
	_ = l.Listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset rather than an end
		}
		_ = c.Conn.Close()
	}
}
