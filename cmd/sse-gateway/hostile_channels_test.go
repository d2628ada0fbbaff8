package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// A client that comes again and again with other channels has the replica follow no more
// than Redis has: those that exist linger, those that do not are let go with the client.
func TestHostileChannels(t *testing.T) {
	t.Parallel()
	const requests, each, existing = 80, 32, 128
	name := func(kind string, i int) string { return fmt.Sprintf("%s-%s-%d", kind, strings.Repeat("c", 180), i) }
	r := redistest.Start(t)
	p := startPlain(t, 0, append(gatewayEnv(r.URL()), "SSE_WINDOW_LINGER=1h")...)
	p.awaitReady()
	for i := range existing {
		r.XAdd("sse:"+name("real", i), "data", "x")
	}
	h := startHonest(t, r, p, true)
	base := p.memory("VmRSS")
	lingering := 0
	for request := range requests {
		kind, from := "madeup", request*each
		if request%8 == 7 { // the second half of them is of those that linger
			kind, from = "real", request/8*each%existing
			lingering = min(lingering+each, existing)
		}
		var q strings.Builder
		for i := from; i < from+each; i++ {
			fmt.Fprintf(&q, "channel=%s&", name(kind, i))
		}
		c := dialSmall(t, p.public)
		_, _ = c.Write([]byte(get(q.String())))
		if code := status(c); code != 200 {
			t.Fatalf("the answer is %d", code)
		}
		c.Close()
		if kind == "real" {
			p.awaitMetric(patience, float64(1+lingering), "sse_gateway_channels_active")
		}
	}
	t.Logf("%d channels that do not exist and %d that do: %s more", requests*7/8*each, existing, mib(p.memory("VmHWM")-base))
	h.requireUndisturbed()
}
