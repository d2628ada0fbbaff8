package deploy_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stub speaks as a gateway does, as far as a load balancer can see: streams on
// one port, readiness on another. The load balancers' own part in the promise
// is tested with it; the end-to-end tests use the real gateway.
type stub struct {
	name          string
	public, admin *httptest.Server
	heartbeat     atomic.Int64 // of streams that begin now, a time.Duration; 0: none

	notReady  atomic.Bool
	flooding  atomic.Bool  // writes as much as it can, up to floodLimit
	flooded   atomic.Int64 // bytes that were taken from it then
	refusing  atomic.Bool  // has a refusal for the moment, as gateways have
	forwarded atomic.Value

	mu      sync.Mutex
	streams map[chan string]struct{} // guarded by mu; one for each open stream
}

// startStub starts a stub at a host that lasts until the end of the test.
func startStub(t *testing.T, name string, heartbeat time.Duration, host, adminPort string) *stub {
	t.Helper()
	s := &stub{name: name, streams: map[chan string]struct{}{}}
	s.heartbeat.Store(int64(heartbeat))
	s.public = httptest.NewUnstartedServer(http.HandlerFunc(s.serveEvents))
	// So that a stop of the stub ends its streams too.
	ctx, stop := context.WithCancel(context.Background())
	s.public.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	s.admin = httptest.NewUnstartedServer(http.HandlerFunc(s.serveReady))
	for server, port := range map[*httptest.Server]string{s.public: "0", s.admin: adminPort} {
		server.Listener.Close()
		l, err := net.Listen("tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Fatal(err)
		}
		server.Listener = l
		server.Start()
	}
	t.Cleanup(func() {
		stop()
		s.public.Close()
		s.admin.Close()
	})
	return s
}

func (s *stub) serveReady(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/readyz" || s.notReady.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (s *stub) serveEvents(w http.ResponseWriter, r *http.Request) {
	s.forwarded.Store(r.Header.Values("X-Forwarded-For"))
	if s.refusing.Load() && r.Header.Get("Accept") == "text/event-stream" {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		fmt.Fprint(w, "retry: 7000\n")
		return
	}
	if s.refusing.Load() {
		http.Error(w, "refused by "+s.name, http.StatusServiceUnavailable)
		return
	}
	if s.flooding.Load() {
		s.flood(w)
		return
	}
	events := make(chan string, 16)
	s.mu.Lock()
	s.streams[events] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.streams, events)
		s.mu.Unlock()
	}()

	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	out := http.NewResponseController(w)
	fmt.Fprintf(w, "data: %s\n\n", s.name)
	_ = out.Flush()
	var beat <-chan time.Time
	if d := time.Duration(s.heartbeat.Load()); d > 0 {
		ticker := time.NewTicker(d)
		defer ticker.Stop()
		beat = ticker.C
	}
	for {
		select {
		case e := <-events:
			fmt.Fprintf(w, "data: %s\n\n", e)
		case <-beat:
			fmt.Fprint(w, ":\n")
		case <-r.Context().Done():
			return
		}
		_ = out.Flush()
	}
}

// floodLimit is more than what fits into the socket buffers between the gateway
// and a client, in bytes.
const floodLimit = 64 << 20

// flood writes events without a pause, as one that catches up does.
func (s *stub) flood(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	event := []byte("data: " + strings.Repeat("x", 8<<10) + "\n\n")
	for out := http.NewResponseController(w); s.flooded.Load() < floodLimit; {
		if _, err := w.Write(event); err != nil || out.Flush() != nil {
			return
		}
		s.flooded.Add(int64(len(event)))
	}
}

// publish sends an event to every open stream of the stub.
func (s *stub) publish(event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.streams {
		c <- event
	}
}

// open is the number of streams that are open now.
func (s *stub) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}
