package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestClientsLeave(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *setup) { s.store.WindowLinger = 500 * time.Millisecond })
	var clients []*client
	for _, proto := range []string{http10, http11, h2c} {
		for range 5 {
			for _, query := range []string{"channel=a", "channel=b&channel=a"} {
				c := r.do(proto, r.request(query))
				c.next()
				clients = append(clients, c)
			}
		}
	}
	r.await(30, "connections")
	r.await(30, "connections_opened_total")
	r.await(2, "channels_active")
	for _, c := range clients {
		c.stop()
	}
	r.await(0, "connections")
	r.await(30, "disconnects_total", metrics.EndClient)
	r.await(0, "channels_active")
	redistest.Eventually(t, patience, "the topics to be dropped", func() bool {
		return r.g.ListChannels(func(string) bool { return true }, 1).Total == 0
	})
	if n := r.value("disconnects_total"); n != 30 {
		t.Errorf("%v disconnects", n)
	}
}

// A client that has reset its connection, or only closed its half of it, is
// gone too.
func TestClientsLeaveRudely(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	half := r.send("GET /events?channel=a HTTP/1.1\r\nHost: x\r\n\r\n")
	reset := r.send("GET /events?channel=a HTTP/1.1\r\nHost: x\r\n\r\n")
	r.await(2, "connections_opened_total")
	type tcp interface {
		SetLinger(int) error
		CloseWrite() error
	}
	if err := half.(tcp).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	r.await(1, "connections")
	_ = reset.(tcp).SetLinger(0)
	reset.Close()
	r.await(0, "connections")
	if r.await(2, "disconnects_total"); r.value("disconnects_total", metrics.EndClient) != 2 {
		t.Errorf("they have not ended because of the client")
	}
}

// The gauge is what is open, whoever comes and goes at the same time.
func TestConnectionsGauge(t *testing.T) {
	t.Parallel()
	m := metrics.New(prometheus.NewRegistry(), metrics.Build{})
	limits := newLimits(100, 0, nil, &m.Gateway)
	for range 300 {
		var busy sync.WaitGroup
		for range 8 {
			busy.Go(func() {
				for range 10 {
					slot, err := limits.acquire(&http.Request{RemoteAddr: "192.0.2.1:1"}, nil)
					if err != nil {
						t.Error(err)
						return
					}
					slot.Release()
				}
			})
		}
		busy.Wait()
		if n := valueOfMetric(m.Gateway.Namespaces.Of("").Connections); n != 0 {
			t.Fatalf("%d connections are shown, and there are none", n)
		}
	}
}

// No goroutine is left of clients that have gone, whatever they were doing.
func TestNothingIsLeftOfClients(t *testing.T) { // not parallel: it counts goroutines
	r := newRig(t, small)
	r.publishN("a", 20)
	c := r.subscribe("channel=a&replay=all")
	c.expect(numbered("a", 0, 20)...) // now there is a connection for history
	c.stop()
	r.await(0, "connections")
	redistest.Eventually(t, patience, "no request under way", func() bool { return r.value("history_reads_in_flight") == 0 })
	there := goleak.IgnoreCurrent()
	for _, proto := range []string{http10, http11, h2c} {
		for _, query := range []string{"channel=a", "channel=a&channel=b", "channel=a&replay=all", "channel=junk,", "channel=a&envelope=json&since=0"} {
			clients := []*client{r.do(proto, r.request(query)), r.do(proto, r.request(query, "Last-Event-ID", "1-1")), r.do(proto, r.request(query, "Accept", "*/*"))}
			for _, c := range clients {
				c.stop()
				c.until(patience, func() bool { return c.ended != nil })
			}
		}
	}
	r.await(0, "connections")
	r.h2.CloseIdleConnections()
	if err := redistest.Goroutines(there, lingering); err != nil {
		t.Error(err)
	}
}

func TestDrainTellsClientsToComeBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *setup) { s.gateway.DrainWindow = 300 * time.Millisecond })
	var clients []*client
	for _, proto := range []string{http11, http11, http11, h2c, h2c} {
		c := r.do(proto, r.request("channel=a"))
		c.next()
		clients = append(clients, c)
	}
	redistest.Eventually(t, patience, "it is ready before the drain", func() bool {
		ready, _ := r.ready(t)
		return ready
	})
	begin := time.Now()
	r.g.Drain(t.Context())
	if ready, reason := r.ready(t); ready || reason != "draining" {
		t.Errorf("ready %v, %q", ready, reason)
	}
	for _, c := range clients {
		if c.end(); !strings.HasSuffix(c.tail(), "\n\nretry: "+c.retries()[len(c.retries())-1]+"\n") || len(c.retries()) != 2 {
			t.Errorf("it ends with %q", c.tail())
		}
		c.nothingElse()
	}
	if d := time.Since(begin); d < 200*time.Millisecond {
		t.Errorf("all ended within %v, not over the window", d)
	}
	r.await(5, "disconnects_total", metrics.EndDrain)
}

// A stream that has just been opened, or is being opened, is ended like others.
func TestStopWhileStreamsOpen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var opening sync.WaitGroup
	for range 20 {
		opening.Go(func() {
			conn, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, get("channel=a", "Accept: text/event-stream"))
			_ = conn.SetDeadline(time.Now().Add(patience))
			if all, err := io.ReadAll(conn); err != nil || !bytes.HasPrefix(all, []byte("HTTP/1.1 200 OK")) {
				t.Errorf("%q, %v", all, err)
			}
		})
	}
	redistest.Eventually(t, patience, "a first stream", func() bool { return r.value("connections_opened_total") > 0 })
	r.g.Stop()
	opening.Wait()
}

// ready asks the admin handler.
func (r *rig) ready(t *testing.T) (ready bool, reason string) {
	t.Helper()
	resp := r.admin(t, http.MethodGet, "/readyz")
	var v struct {
		Ready  bool
		Reason string
	}
	if err := json.Unmarshal(resp.body, &v); err != nil {
		t.Fatal(err)
	}
	if want := map[bool]int{true: 200, false: 503}[v.Ready]; resp.status != want || resp.header.Get("Content-Type") != "application/json" || resp.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v with %s", resp.status, resp.header, resp.body)
	}
	return v.Ready, v.Reason
}
