package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// A client that comes again and again with other channels has each of them
// followed, for the linger, and what they take is given back.
func TestHostileChannels(t *testing.T) {
	t.Parallel()
	const channels, each = 10_000, 32
	r := redistest.Start(t)
	p := startPlain(t, 0, append(gatewayEnv(r.URL()), "SSE_WINDOW_LINGER=3s")...)
	p.awaitReady()
	h := startHonest(t, r, p, true)
	base := p.memory("VmRSS")
	most := 0.0
	for from := 0; from < channels; from += each {
		var q strings.Builder
		for i := from; i < from+each; i++ {
			fmt.Fprintf(&q, "channel=%s-%d&", strings.Repeat("c", 190), i)
		}
		c := dialSmall(t, p.public)
		_, _ = c.Write([]byte(get(q.String())))
		if code := status(c); code != 200 {
			t.Fatalf("the answer is %d", code)
		}
		c.Close()
		if from%(each*16) == 0 {
			most = max(most, p.metric("sse_gateway_channels_active"))
		}
	}
	most = max(most, p.metric("sse_gateway_channels_active"))
	grown := p.memory("VmHWM") - base
	t.Logf("%d channels that do not exist, at most %v followed at once: %s more, %.0f bytes each", channels, most, mib(grown), float64(grown)/most)
	redistest.Eventually(t, 15*time.Second, "they are let go", func() bool { return p.metric("sse_gateway_channels_active") == 1 })
	h.requireUndisturbed(5 * time.Second)
}
