package clients

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// fixture is what all clients are tried on at once: a Redis, two gateways, of which the
// first compresses, HAProxy as deploy has it, an application that decides who may
// subscribe and so sees each request, and a publisher of numbers.
type fixture struct {
	t        *testing.T
	redis    *redistest.Server
	gateways [2]*gateway
	balancer string // its address
	app      *application
	sent     atomic.Int64 // the last number that was published
}

// publishEvery is longer than the heartbeat takes to come, so that clients get
// heartbeats between the events.
const publishEvery = 200 * time.Millisecond

// largeEvent is the size of the last event, in bytes: more than the buffer of a
// bufio.Scanner, which two of the clients read with.
const largeEvent = 100 << 10

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, redis: redistest.Start(t), app: newApplication(t)}
	env := []string{
		"SSE_REDIS_URL=" + f.redis.URL(), "SSE_AUTH_URL=" + f.app.URL + "/auth", "SSE_CORS_ORIGINS=" + f.app.URL,
		"SSE_RETRY=200ms", "SSE_HEARTBEAT=50ms", "SSE_DRAIN_DELAY=0s", "SSE_DRAIN_WINDOW=300ms", "SSE_LOG_LEVEL=warn",
	}
	f.gateways[0] = startGateway(t, append(env, "SSE_COMPRESSION=gzip")...)
	f.gateways[1] = startGateway(t, env...)
	f.balancer = startHAProxy(t, f.app.URL, f.gateways[0], f.gateways[1], f.gateways[1])
	return f
}

// startHAProxy starts HAProxy with the configuration that is shipped, for pages of
// an origin: while both gateways are away the browsers must be allowed to read
// what HAProxy itself says, or they do not come back.
func startHAProxy(t *testing.T, origin string, gateways ...*gateway) (addr string) {
	t.Helper()
	const shipped, allow = "../haproxy/haproxy.cfg", "#   http-after-response set-header Access-Control-Allow-Origin "
	config, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	before, after, ok := strings.Cut(string(config), allow+"https://app.example.com")
	if !ok {
		t.Fatalf("%s has no %q", shipped, allow)
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(before+strings.TrimPrefix(allow, "#")+origin+after), 0o600); err != nil {
		t.Fatal(err)
	}
	addr = redistest.FreeAddr(t)
	metrics := redistest.FreeAddr(t)
	env := []string{"SSE_LB_BIND=" + addr, "SSE_LB_METRICS_BIND=" + metrics, "SSE_LB_IDLE_TIMEOUT=30s"}
	for i, g := range gateways {
		_, admin, _ := net.SplitHostPort(g.admin)
		env = append(env, fmt.Sprintf("SSE_GATEWAY_%d=%s", i+1, g.addr), fmt.Sprintf("SSE_GATEWAY_%d_ADMIN=%s", i+1, admin))
	}
	startProcess(t, env, nil, redistest.Command(t, "haproxy", "haproxy"), "-q", "-db", "-f", file)
	awaitReady(t, "http://"+metrics+"/healthz")
	return addr
}

func awaitReady(t *testing.T, url string) {
	t.Helper()
	redistest.Eventually(t, patience, url+" to be 200", func() bool {
		res, err := http.Get(url)
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// publish publishes numbers until stop is called, with heartbeats between. The last
// event is a large one.
func (f *fixture) publish() (stop func()) {
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	add := func(pad string) {
		n := f.sent.Load() + 1
		if err := f.redis.Client().Do(context.Background(), "XADD", "sse:numbers", "*", "data", fmt.Sprintf("%d %s", n, pad)).Err(); err != nil {
			f.t.Errorf("XADD: %v", err)
		}
		f.sent.Store(n)
	}
	go func() {
		defer close(done)
		tick := time.NewTicker(publishEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				add("")
			case <-ctx.Done():
				add(strings.Repeat("x", largeEvent))
				return
			}
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	f.t.Cleanup(stop)
	return stop
}

// application decides who may subscribe: it is the SSE_AUTH_URL of the gateways.
// It also serves the page for browsers, and takes what that reports.
type application struct {
	*httptest.Server
	t *testing.T

	refusing atomic.Bool // nobody is let in, and may try again

	mu      sync.Mutex
	revoked bool             // the channel revoked is answered 401
	asked   map[string]int   // requests, by the client's name
	refused map[string]int   // those that were refused
	pages   map[string]*page // by browser
}

func newApplication(t *testing.T) *application {
	a := &application{t: t, asked: map[string]int{}, refused: map[string]int{}, pages: map[string]*page{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /auth", a.decide)
	mux.HandleFunc("GET /clients", a.serveClients)
	mux.HandleFunc("POST /report", a.report)
	mux.Handle("GET /", http.FileServer(http.Dir("testdata")))
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

// decide answers the gateway. The client's name is in a parameter of the URL that
// the gateway does not know and passes on.
func (a *application) decide(w http.ResponseWriter, r *http.Request) {
	original, err := url.Parse(r.Header.Get("X-Original-Uri"))
	if err != nil {
		a.t.Errorf("X-Original-Uri: %v", err)
		return
	}
	name := original.Query().Get("client")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked[name]++
	if a.revoked && original.Query().Get("channel") == "revoked" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if a.refusing.Load() {
		a.refused[name]++
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (a *application) refusals(name string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused[name]
}
