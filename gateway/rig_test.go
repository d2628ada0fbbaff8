package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/access/cors"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// patience is how long a test waits for what has to happen. It is long because
// the machine may be loaded; a quick one never waits it out.
const patience = time.Minute

// rig is a gateway as users have it: a listener on the loopback, HTTP/1 and
// HTTP/2, the real store and a real Redis.
type rig struct {
	t        testing.TB
	redis    *redistest.Server
	store    *store.Store
	g        *Gateway
	registry *prometheus.Registry
	addr     string
	log      *logBook
	h2       *http.Transport
	gzip     bool         // clients accept compression, and the gateway compresses
	accepted atomic.Int64 // connections that net/http had
}

// setup is what a test may change before the rig starts.
type setup struct {
	gateway Config
	store   store.Config
	access  access.Config
	cors    []string
	server  *http.Server
}

func newRig(t testing.TB, change ...func(*setup)) *rig {
	t.Helper()
	r := &rig{t: t, redis: redistest.Start(t), registry: prometheus.NewRegistry(), log: &logBook{}, gzip: isCompressed(t)}
	m := metrics.New(r.registry, metrics.Build{})
	logger := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := &setup{
		gateway: Config{
			Heartbeat: time.Minute, Retry: 2 * time.Second, WriteTimeout: 30 * time.Second,
			MaxChannels: 32, MaxConnections: 10_000, DrainWindow: 50 * time.Millisecond, Metrics: &m.Gateway, Log: logger,
		},
		store: store.Config{
			RedisURL: r.redis.URL(), KeyPrefix: "sse:", MaxEventBytes: 1 << 20, WindowEvents: 256, WindowMemory: 64 << 20,
			WindowLinger: time.Minute, PollInterval: 50 * time.Millisecond, SweepInterval: time.Hour,
			Encoder: sse.Encoder{}, Metrics: &m.Store, Log: logger,
		},
		access: access.Config{PublicChannels: []string{"**"}},
		// As cmd/sse-gateway has it.
		server: &http.Server{MaxHeaderBytes: 32 << 10, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
			ErrorLog: log.New(r.log, "", 0), Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000}},
	}
	if r.gzip {
		s.gateway.GzipMemory = 1 << 20
	}
	for _, c := range change {
		c(s)
	}
	r.start(s, logger)
	return r
}

// start starts what newRig has put together; it ends with the test.
func (r *rig) start(s *setup, logger *slog.Logger) {
	r.t.Helper()
	var err error
	must := func() {
		r.t.Helper()
		if err != nil {
			r.t.Fatal(err)
		}
	}
	r.store, err = store.Open(s.store)
	must()
	authorizer, err := access.New(s.access, logger)
	must()
	s.gateway.CORS, err = cors.New(s.cors)
	must()
	s.gateway.Store, s.gateway.Access = r.store, authorizer
	r.g = New(s.gateway)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	must()
	r.addr = tcp.Addr().String()
	public := guard(tcp, r.g, s.server, logger, isNetHTTP(r.t))
	s.server.Protocols.SetHTTP1(true)
	s.server.Protocols.SetUnencryptedHTTP2(true)
	connState := s.server.ConnState
	s.server.ConnState = func(c net.Conn, state http.ConnState) {
		connState(c, state)
		if state == http.StateNew {
			r.accepted.Add(1)
		}
	}
	r.h2 = newH2Transport()

	ctx, cancel := context.WithCancel(context.Background())
	var feeds errgroup.Group
	feeds.Go(func() error { return r.store.Run(ctx) })
	feeds.Go(func() error { return r.g.Run(ctx) })
	feeds.Go(func() error { authorizer.Run(ctx); return nil })
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.server.Serve(public) })
	r.t.Cleanup(func() {
		// The clients of the test are gone by now.
		r.await(0, "connections")
		r.h2.CloseIdleConnections()
		r.g.Stop()
		_ = s.server.Close()
		serving.Wait()
		cancel()
		if err := feeds.Wait(); err != nil {
			r.t.Errorf("the store or the gateway ended with: %v", err)
		}
		_ = r.store.Close()
		r.noPanics(r.t)
	})
}

// noPanics says that no handler has panicked.
func (r *rig) noPanics(t testing.TB) {
	t.Helper()
	if r.log.panicked.Load() {
		t.Errorf("the server panicked:\n%s", r.log)
	}
}

// key returns the key of a channel's stream.
func key(channel string) string { return "sse:" + channel }

// publish adds an event and returns its id.
func (r *rig) publish(channel, data string) string {
	r.t.Helper()
	return r.redis.XAdd(key(channel), "data", data)
}

// value returns the sum of the series of a metric whose labels have the values.
func (r *rig) value(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "sse_gateway_"+name {
			continue
		}
		sum := 0.0
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if strings.Join(labels, " ") == "" || strings.Join(values, " ") == strings.Join(labels, " ") {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		return sum
	}
	r.t.Fatalf("there is no metric %s", name)
	return 0
}

// await waits until a metric has a value.
func (r *rig) await(want float64, name string, labels ...string) {
	r.t.Helper()
	redistest.Eventually(r.t, patience, fmt.Sprintf("%s%v to be %v", name, labels, want), func() bool { return r.value(name, labels...) == want })
}

// send writes raw bytes to the gateway over a connection of their own.
func (r *rig) send(raw string) net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, raw); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// logBook is a log that can be read while it is written.
type logBook struct {
	panicked atomic.Bool // net/http logs the panics of handlers

	mu sync.Mutex
	b  bytes.Buffer // guarded by mu; the first maxLog bytes
}

// maxLog bounds what is kept, for fuzzing goes on for long.
const maxLog = 8 << 20

func (l *logBook) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("panic")) {
		l.panicked.Store(true)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() < maxLog || l.panicked.Load() {
		l.b.Write(p)
	}
	return len(p), nil
}

// linesAbove counts the lines of a higher level.
func (l *logBook) linesAbove(level slog.Level) int {
	return strings.Count(l.String(), "\n") - strings.Count(l.String(), "level="+level.String())
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
