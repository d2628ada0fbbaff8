package main

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/deploy/proxytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// forEachProxy runs a test behind each proxy with the configuration in deploy.
func forEachProxy(t *testing.T, test func(t *testing.T, start proxytest.Starter)) {
	for name, start := range proxytest.Starters() {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, start) })
	}
}

// behind returns the addresses of gateways as a proxy is told them.
func behind(gateways ...*gatewayProcess) (addrs []proxytest.Gateway) {
	for _, p := range gateways {
		addrs = append(addrs, proxytest.Gateway{Public: p.public, Admin: p.admin})
	}
	return addrs
}

// startPair starts two gateways on one Redis. They have an address each, and the
// same admin port.
func startPair(t *testing.T, env ...string) (*redistest.Server, []*gatewayProcess) {
	t.Helper()
	r := redistest.Start(t)
	admin := strconv.Itoa(redistest.FreePort(t))
	var pair []*gatewayProcess
	for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
		p := startGateway(t, gatewayEnv(r.URL(), append([]string{"SSE_TRUSTED_PROXIES=127.0.0.1", "SSE_ADDR=" + host + ":0", "SSE_ADMIN_ADDR=" + host + ":" + admin}, env...)...)...)
		p.awaitReady()
		pair = append(pair, p)
	}
	return r, pair
}

// subscribeUntil opens a stream through a proxy, coming back until it is one:
// a proxy that has just started may not have found the gateways yet, and one
// that does not ask for readiness still knows a draining one.
func subscribeUntil(t *testing.T, rt http.RoundTripper, url string, headers ...string) *client {
	t.Helper()
	var c *client
	redistest.Eventually(t, patience, "a stream", func() bool {
		var err error
		if c, err = trySubscribe(t, rt, url, headers...); err != nil {
			return false
		}
		select {
		case e, ok := <-c.events:
			if ok && e.name == "gateway.ready" {
				return true
			}
		case <-time.After(patience):
			t.Fatalf("neither a stream nor its end within %v", patience)
		}
		c.close()
		return false
	})
	return c
}

// A proxy holds nothing back, compressed or not, and heartbeats keep an idle stream for
// longer than the proxy's time-out.
func TestStreamsThroughProxies(t *testing.T) {
	t.Parallel()
	forEachProxy(t, func(t *testing.T, start proxytest.Starter) {
		const idle = 6 * time.Second // the proxy's; a slow machine may be seconds late with a heartbeat
		r, pair := startPair(t, "SSE_HEARTBEAT=400ms", "SSE_COMPRESSION=gzip")
		lb := start(t, idle, behind(pair...)...)
		var clients []*client
		for version, url := range map[int]string{1: lb.HTTP1, 2: lb.HTTP2} {
			tr := transport(t, version, nil)
			for i := range 4 {
				coding := codings[i%2]
				c := subscribeUntil(t, tr, url+"/events?channel=a", acceptCoding(coding)...)
				if c.proto != version || !strings.HasPrefix(c.header.Get("Content-Type"), "text/event-stream") || c.gzip != (coding == "gzip") {
					t.Errorf("HTTP/%d, %s: got HTTP/%d, %v, compressed %v", version, coding, c.proto, c.header, c.gzip)
				}
				clients = append(clients, c)
			}
		}
		if a, b := pair[0].metric("sse_gateway_connections"), pair[1].metric("sse_gateway_connections"); a+b != 8 || a < 2 || b < 2 {
			t.Errorf("streams per gateway: %v and %v", a, b)
		}
		opened := time.Now()
		for _, c := range clients {
			redistest.Eventually(t, patience, "a stream outlives the proxy's time-out", func() bool {
				return !c.isOpen() || c.comments.Load() > 3 && time.Since(opened) > idle*3/2
			})
			if !c.isOpen() {
				t.Fatalf("a stream ended %v after it was opened", time.Since(opened))
			}
		}
		// Each event comes although nothing but heartbeats follows it.
		for i := range 3 {
			r.XAdd("sse:a", "data", numbered(i, 500*i)) // small: stored; large: compressed
			for _, c := range clients {
				requireNumbered(t, c, i)
			}
		}
	})
}

// A replica that drains gets no new clients, keeps those it has until their turn comes,
// and they resume on the other, compressed or not.
func TestDrainBehindProxies(t *testing.T) {
	t.Parallel()
	forEachProxy(t, func(t *testing.T, start proxytest.Starter) {
		// The delay is long enough for a slow machine to come as far as to its end.
		const delay, window = 12 * time.Second, 2 * time.Second
		r, pair := startPair(t, "SSE_DRAIN_DELAY="+delay.String(), "SSE_DRAIN_WINDOW="+window.String(), "SSE_COMPRESSION=gzip")
		lb := start(t, time.Minute, behind(pair...)...)
		tr := transport(t, 1, nil)
		url := lb.HTTP1 + "/events?channel=a"
		var clients []*client
		for i := range 8 {
			clients = append(clients, subscribeUntil(t, tr, url, acceptCoding(codings[i/2%2])...))
		}
		old, other := pair[0], pair[1]
		had, otherHad := old.metric("sse_gateway_connections"), other.metric("sse_gateway_connections")
		if had == 0 {
			t.Fatal("no stream on the first gateway")
		}

		signalled := old.terminate()
		// The pool knows before the delay is over, by readiness or by the first
		// refusal: then nobody is refused, although the draining replica has the
		// fewest streams by then.
		redistest.Eventually(t, patience, "the draining replica is out of the pool", func() bool {
			for range int(otherHad) + 2 {
				if e, ok := <-subscribe(t, tr, url).events; !ok || e.name != "gateway.ready" {
					return false
				}
			}
			return true
		})
		r.XAdd("sse:a", "data", "to all")
		for _, c := range clients {
			c.requireData(t, "to all")
		}
		// More than it had are fine: a stream may be let in until the signal is
		// taken notice of. After the delay the process may be gone.
		if time.Since(signalled) < delay {
			if left, d := old.metric("sse_gateway_connections"), time.Since(signalled); d < delay && left < had {
				t.Errorf("%v after the signal %v of %v streams are left", d, left, had)
			}
		}

		old.requireExit(patience)
		open := func() (n int) {
			for _, c := range clients {
				if c.isOpen() {
					n++
				}
			}
			return n
		}
		// The end of the last may still be on its way through the proxy.
		redistest.Poll(patience, func() bool { return open() == len(clients)-int(had) })
		r.XAdd("sse:a", "data", "missed")
		ended := 0
		for _, c := range clients {
			if c.isOpen() {
				c.requireData(t, "missed")
				continue
			}
			ended++
			if c.partial != "" || c.endErr != io.EOF {
				t.Errorf("a stream ended with %.60q, %v", c.partial, c.endErr)
			}
			subscribeUntil(t, tr, url, "Last-Event-ID", c.position()).requireData(t, "missed")
		}
		if ended != int(had) {
			t.Errorf("%d streams ended, the first gateway had %v (the second %v)", ended, had, otherHad)
		}
	})
}
