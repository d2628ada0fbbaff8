package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// enginePatience is how long a test of the engine waits for what should take
// moments: a loaded machine is slow, and a quick one never waits it out.
const enginePatience = 20 * time.Second

// never stands for a period that no test lives to see the end of.
const never = time.Hour

// grantAll is an Authorizer that lets everybody in, for a while or, if that is
// 0, for good.
type grantAll time.Duration

func (d grantAll) Authorize(*http.Request, []string) (access.Grant, error) {
	if d == 0 {
		return access.Grant{}, nil
	}
	return access.Grant{Expires: time.Now().Add(time.Duration(d))}, nil
}

// engineSetup is what a test wants of its gateway.
type engineSetup struct {
	gateway func(*Config)
	store   func(*store.Config)
	gzip    bool
	netHTTP bool // net/http has every connection
	sendBuf int  // SO_SNDBUF of the server's sockets; 0: what the system gives
}

// harness is a gateway with a store and a server, over a Redis that may serve
// others as well. It ends with the test.
type harness struct {
	t     testing.TB
	g     *Gateway
	m     *metrics.Metrics
	store *store.Store
	redis *redistest.Server
	addr  string // of the HTTP server
	stop  func()
	gzip  bool // clients accept it

	published atomic.Int64 // events so far, of all channels
}

func startEngine(t testing.TB, redis *redistest.Server, setup engineSetup) *harness {
	t.Helper()
	e := &harness{t: t, redis: redis, m: metrics.New(prometheus.NewRegistry(), metrics.Build{}), gzip: setup.gzip}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	sc := store.Config{
		RedisURL: redis.URL(), KeyPrefix: "sse:", MaxEventBytes: 1 << 20,
		WindowEvents: 256, WindowMemory: 64 << 20, WindowLinger: time.Minute,
		PollInterval: 20 * time.Millisecond, SweepInterval: never,
		Encoder: sse.Encoder{}, Metrics: &e.m.Store, Log: log,
	}
	if setup.store != nil {
		setup.store(&sc)
	}
	var err error
	if e.store, err = store.Open(sc); err != nil {
		t.Fatal(err)
	}
	gc := Config{
		Heartbeat: never, Retry: time.Second, WriteTimeout: 30 * time.Second,
		MaxChannels: 8, MaxConnections: 10000, DrainWindow: 100 * time.Millisecond,
		Store: e.store, Access: grantAll(0), Metrics: &e.m.Gateway, Log: log,
	}
	if setup.gateway != nil {
		setup.gateway(&gc)
	}
	if setup.gzip {
		gc.GzipMemory = 1 << 20
	}
	e.g = New(gc)
	e.serve(setup.sendBuf, setup.netHTTP || isNetHTTP(t))
	t.Cleanup(func() { e.stop() })
	redistest.Eventually(t, enginePatience, "the store to be healthy", func() bool { ok, _ := e.store.Health(); return ok })
	return e
}

// serve runs the store, the gateway and a server for it.
func (e *harness) serve(sendBuf int, netHTTP bool) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if sendBuf > 0 {
			cerr := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, sendBuf) })
			err = errors.Join(err, cerr)
		}
		return err
	}}
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(e.g.Handler())
	_ = server.Listener.Close()
	server.Listener = guard(l, e.g, server.Config, slog.New(slog.DiscardHandler), netHTTP)
	server.Start()
	e.addr = l.Addr().String()

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- e.store.Run(ctx) }()
	go func() { ended <- e.g.Run(ctx) }()
	stopped := false
	e.stop = func() {
		if stopped {
			return
		}
		stopped = true
		e.g.Stop()
		server.Close()
		cancel()
		if err := errors.Join(<-ended, <-ended, e.store.Close()); err != nil {
			e.t.Error(err)
		}
	}
}

// publish appends events to a channel.
func (e *harness) publish(channel string, data ...string) {
	e.t.Helper()
	pipe := e.redis.Client().Pipeline()
	for _, d := range data {
		pipe.Do(context.Background(), "XADD", "sse:"+channel, "*", "data", d)
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		e.t.Fatal(err)
	}
	e.published.Add(int64(len(data)))
}

// publishNumbers appends events that say from, from+1, … with padding behind.
func (e *harness) publishNumbers(channel string, from, n int, padding string) {
	e.t.Helper()
	for n > 0 {
		data := make([]string, min(n, 50))
		for i := range data {
			data[i] = strconv.Itoa(from+i) + " " + padding
		}
		e.publish(channel, data...)
		from, n = from+len(data), n-len(data)
	}
}

// valueOfMetric returns the value of a counter or gauge.
func valueOfMetric(m prometheus.Metric) int {
	var d dto.Metric
	if err := m.Write(&d); err != nil {
		panic(err)
	}
	return int(d.GetCounter().GetValue() + d.GetGauge().GetValue())
}

// latencies returns how many deliveries have had their latency measured.
func (e *harness) latencies() int {
	_, _, n := e.m.Gateway.Namespaces.Of("").DeliveryLatency.Cumulative()
	return int(n)
}

func (e *harness) connections() int { return valueOfMetric(e.m.Gateway.Namespaces.Of("").Connections) }
func (e *harness) parked() int      { return valueOfMetric(e.m.Gateway.ConnectionsParked) }
func (e *harness) ended(reason string) int {
	return valueOfMetric(e.m.Gateway.Disconnects.WithLabelValues(reason))
}

// parks reports whether streams are parked here.
func (e *harness) parks() bool { return runtime.GOOS == "linux" && !e.g.cfg.noParking }

// awaitConnections waits until n streams are open, and parked if they are to
// be.
func (e *harness) awaitConnections(n int) {
	e.t.Helper()
	redistest.Eventually(e.t, enginePatience, strconv.Itoa(n)+" connections", func() bool {
		return e.connections() == n && (!e.parks() || e.parked() == n)
	})
}

// awaitEnded waits until as many streams have ended for the reason.
func (e *harness) awaitEnded(reason string, n int) {
	e.t.Helper()
	redistest.Eventually(e.t, enginePatience, strconv.Itoa(n)+" streams to end: "+reason, func() bool { return e.ended(reason) >= n })
	if got := e.ended(reason); got != n {
		e.t.Fatalf("%d streams ended for the reason %s, want %d", got, reason, n)
	}
}
