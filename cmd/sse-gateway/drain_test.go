package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/gatewaytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// patience is how long a test waits for what should take moments: a loaded
// machine is slow, and a quick one never waits it out.
const patience = time.Minute

// publishing adds an entry of size bytes to a channel every 20 ms
// until the test ends or stop is called.
func publishing(t *testing.T, r *redistest.Server, channel string, size int) (stop func()) {
	t.Helper()
	client := r.Client()
	done, stopped := make(chan struct{}), make(chan struct{})
	data := strings.Repeat("x", size)
	go func() {
		defer close(stopped)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				_ = client.Do(t.Context(), "XADD", "sse:"+channel, "MAXLEN", "~", 2000, "*", "data", data).Err()
			}
		}
	}()
	stop = func() {
		select {
		case <-done:
		default:
			close(done)
		}
		<-stopped
	}
	t.Cleanup(stop)
	return stop
}

func TestDrain(t *testing.T) {
	t.Parallel()
	const delay, window, n = 6 * time.Second, 4 * time.Second, 60
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_DRAIN_DELAY="+delay.String(), "SSE_DRAIN_WINDOW="+window.String(), "SSE_RETRY=1s")...)
	p.awaitReady()
	http1, http2 := transport(t, 1, nil), transport(t, 2, nil)
	var clients []*client
	for i := range n {
		rt := []http.RoundTripper{http1, http2}[i%2]
		clients = append(clients, subscribe(t, rt, p.eventsURL("channel=a")).ready(t))
	}
	publishing(t, r, "a", 2000)

	at := p.terminate()
	redistest.Eventually(t, patience, "the replica is not ready", func() bool {
		status, reason := p.ready()
		return status == http.StatusServiceUnavailable && reason == "draining"
	})
	// The load balancer does not know yet, and still sends clients. One that a slow
	// machine delays until the delay is over may be refused.
	for _, rt := range []http.RoundTripper{http1, http2} {
		c := subscribe(t, rt, p.eventsURL("channel=a"))
		if e, ok := <-c.events; ok && e.name == "gateway.ready" {
			clients = append(clients, c)
		} else if d := time.Since(at); d < delay {
			t.Fatalf("a client is refused %v after the signal, within the delay", d)
		}
	}
	if status, _ := fetch(t, "http://"+p.admin+"/healthz", nil); status != http.StatusOK {
		t.Errorf("/healthz answers %d while draining", status)
	}
	if v := p.metric("sse_gateway_draining"); v != 1 {
		t.Errorf("sse_gateway_draining is %v", v)
	}
	redistest.Eventually(t, patience, "the window to begin", func() bool { return p.metric("sse_gateway_connections") < float64(len(clients)) })
	requirePassingRefusal(t, http1, p.eventsURL("channel=a"))
	requirePassingRefusal(t, http2, p.eventsURL("channel=a"))
	requireEvenEnds(t, clients, at.Add(delay), window)
	p.requireExit(patience)
	requireFarewells(t, clients)
}

// requireEvenEnds checks that streams end over a window, in no order, and none
// before its turn. A machine that stands still for a while has them end late, so
// how late is not checked here: TestEndEvenly has the gateway's own schedule.
func requireEvenEnds(t *testing.T, clients []*client, start time.Time, window time.Duration) {
	t.Helper()
	var ends []time.Duration
	for _, c := range clients {
		ends = append(ends, c.awaitEnd(t, patience).Sub(start))
	}
	if slices.IsSorted(ends) {
		t.Error("the streams end in the order in which they were opened")
	}
	slices.Sort(ends)
	for i, d := range ends {
		// Those that are due within a few milliseconds end together.
		if due := window*time.Duration(i)/time.Duration(len(ends)) - 10*time.Millisecond; d < due {
			t.Errorf("%d of %d streams have ended %v after the delay, before %v", i+1, len(ends), d, due)
		}
	}
}

// requireFarewells checks that streams that ended did so in order, after a
// whole event and with another retry for each.
func requireFarewells(t *testing.T, clients []*client) {
	t.Helper()
	seen := map[time.Duration]bool{}
	for i, c := range clients {
		if c.partial != "" || c.endErr != io.EOF {
			t.Errorf("stream %d ends with %.60q, %v", i, c.partial, c.endErr)
		}
		if len(c.retries) != 2 || c.retries[1] < time.Second || c.retries[1] > 2*time.Second {
			t.Errorf("stream %d was told retry %v, want two of 1 to 2 s", i, c.retries)
			continue
		}
		seen[c.retries[1]] = true
	}
	if len(seen) < len(clients)/2 {
		t.Errorf("%d streams were told only %d different times", len(clients), len(seen))
	}
}

// A replica without streams goes as soon as nobody can think that it is ready.
func TestDrainWithoutStreams(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_DRAIN_DELAY=500ms", "SSE_DRAIN_WINDOW=1m")...)
	at := p.terminate()
	p.requireExit(patience / 2) // and not after the window
	if d := time.Since(at); d < 500*time.Millisecond {
		t.Errorf("the process was gone after %v, before the delay was over", d)
	}
}

func TestSecondSignal(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := startGateway(t, gatewayEnv(r.URL(), "SSE_DRAIN_DELAY=10m", "SSE_DRAIN_WINDOW=10m")...)
		p.awaitReady() // that it is not must be the drain's doing
		rt, stopper := stoppableTransport(t, 1)
		c := subscribe(t, rt, p.eventsURL("channel=a")).ready(t)
		stopper.stop()
		p.terminate()
		redistest.Eventually(t, patience, "the replica drains", func() bool { status, _ := p.ready(); return status == http.StatusServiceUnavailable })
		if err := p.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		p.requireExit(patience)
		stopper.resume()
		c.awaitEnd(t, patience)
	}
}

// The process ends soon after the window, and not with SSE_WRITE_TIMEOUT, whatever its
// clients do.
func TestDrainWithClientsThatDoNotRead(t *testing.T) {
	t.Parallel()
	const delay, window = 500 * time.Millisecond, time.Second
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_DRAIN_DELAY="+delay.String(), "SSE_DRAIN_WINDOW="+window.String(), "SSE_WRITE_TIMEOUT=10m")...)
	var reading []*client
	for i := range 24 {
		rt, stopper := stoppableTransport(t, 1+i%2)
		c := subscribe(t, rt, p.eventsURL("channel=a")).ready(t)
		if i < 4 {
			reading = append(reading, c)
		} else {
			stopper.stop()
		}
	}
	stop := publishing(t, r, "a", 200_000) // 5 MB
	// The readers see more than fits into the others' buffers.
	for _, c := range reading {
		for range 25 {
			c.next(t)
		}
	}
	stop()
	at := p.terminate()
	p.requireExit(patience)
	t.Logf("gone after %v", time.Since(at))
	for _, c := range reading {
		c.awaitEnd(t, patience)
		if c.partial != "" {
			t.Errorf("a stream that is read ends with %.60q", c.partial)
		}
	}
}

// Nor does a Redis that does not answer hold it up.
func TestDrainWithFrozenRedis(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL())...)
	c := subscribe(t, transport(t, 1, nil), p.eventsURL("channel=a")).ready(t)
	r.Pause()
	defer r.Resume()
	// A request that waits for Redis.
	waiting := make(chan error, 1)
	go func() {
		_, _, err := fetchResponse(p.eventsURL("channel=b"), nil)
		waiting <- err
	}()
	redistest.Eventually(t, patience, "the request waits", func() bool { return p.metric("sse_gateway_connections") == 2 })
	p.terminate()
	p.requireExit(patience)
	c.awaitEnd(t, patience)
	<-waiting
}

// The same through run: the end of its contexts is what signals are.
func TestRunDrainsAndEnds(t *testing.T) {
	leaveNothing(t)
	r := redistest.Start(t)
	gatewaytest.SetEnv(t, gatewayEnv(r.URL(), "SSE_DRAIN_DELAY=10m", "SSE_DRAIN_WINDOW=10m")...)
	p := startRun(t)
	c := subscribe(t, transport(t, 1, nil), "http://"+p.public+"/events?channel=a").ready(t)
	p.drain()
	redistest.Eventually(t, patience, "the replica is not ready", func() bool {
		status, _ := fetch(t, fmt.Sprintf("http://%s/readyz", p.admin), nil)
		return status == http.StatusServiceUnavailable
	})
	if !c.isOpen() {
		t.Error("a stream ended before the delay was over")
	}
	p.end()
	p.stop(t) // which has less patience than the delay takes
	c.awaitEnd(t, patience)
}
