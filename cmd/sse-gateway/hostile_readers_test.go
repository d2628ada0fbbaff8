package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// What a client that does not read may hold, in bytes: a batch of events that is
// being written to it (64 KiB, in a buffer of 80), with the event that made it
// full, and the page of history that the batch came from. See Memory ceiling in
// gateway/access/SECURITY.md.
const (
	heldBatch = 80 << 10
	heldPage  = 128 << 10
)

// requireMemory checks that the process never had more than bound, and that it
// gives back what is more than after, once the attack is over.
func (p *gatewayProcess) requireMemory(base, bound, after int) {
	p.t.Helper()
	peak := p.memory("VmHWM")
	p.t.Logf("resident before %s, at most %s (bound %s)", mib(base), mib(peak), mib(bound))
	if peak > bound {
		p.t.Errorf("the gateway had %s, want at most %s", mib(peak), mib(bound))
	}
	redistest.Eventually(p.t, 30*time.Second, "the memory is given back", func() bool { return p.memory("VmRSS") <= after })
	p.t.Logf("resident afterwards %s", mib(p.memory("VmRSS")))
}

// Clients that never read hold what they are being sent, and no more, until
// they are cut.
func TestHostileReadersOfBusyChannel(t *testing.T) {
	t.Parallel()
	const clients, size, events = 500, 900_000, 30
	const window = 8 << 20
	r := redistest.Start(t)
	p := startPlain(t, 0, append(gatewayEnv(r.URL()), "SSE_WRITE_TIMEOUT=4s", "SSE_WINDOW_MEMORY=8MiB")...)
	p.awaitReady()
	h := startHonest(t, r, p, true)
	base := p.memory("VmRSS")
	cs := attack(t, p.public)
	for i := range clients {
		// In an envelope the events have six times the size.
		cs.open(get([]string{"channel=busy", "channel=busy&envelope=json"}[i%2]))
	}
	redistest.Eventually(t, 10*time.Second, "all are subscribed", func() bool { return p.metric("sse_gateway_connections") > clients })
	for range events {
		r.XAdd("sse:busy", "data", strings.Repeat("\x01", size))
	}
	redistest.Eventually(t, 20*time.Second, "they are cut", func() bool {
		return p.metric("sse_gateway_disconnects_total", "write_timeout") == clients
	})
	h.requireUndisturbed()
	// Large events are shared by those who are sent them, in an envelope or not.
	bound := base + (window+clients*heldBatch+events*size)*3/2 + 16<<20
	p.requireMemory(base, bound, base+window*3/2+24<<20)
}

// The same for clients that ask for all of a huge stream, each at its own
// position.
func TestHostileReadersOfHistory(t *testing.T) {
	t.Parallel()
	const clients, window = 500, 8 << 20
	r := redistest.Start(t)
	p := startPlain(t, 0, append(gatewayEnv(r.URL()), "SSE_WRITE_TIMEOUT=6s", "SSE_WINDOW_MEMORY=8MiB")...)
	p.awaitReady()
	fillStream(t, r, "sse:huge", 40_000, 1000)
	h := startHonest(t, r, p, true)
	base := p.memory("VmRSS")
	cs := attack(t, p.public)
	for i := range clients {
		cs.open(get(fmt.Sprintf("channel=huge&last_event_id=0-%d", i+1)))
	}
	redistest.Eventually(t, 30*time.Second, "they are cut", func() bool {
		return p.metric("sse_gateway_disconnects_total", "write_timeout") == clients
	})
	h.requireUndisturbed()
	p.requireMemory(base, base+(window+clients*(heldBatch+heldPage))*3/2+16<<20, base+window*3/2+24<<20)
}

// Clients that ask for all of a huge stream, or for it from some place on, again
// and again, and read slowly or not at all, do not starve the others.
func TestHostileReplays(t *testing.T) {
	t.Parallel()
	const clients = 20
	r := redistest.Start(t)
	// A window so small that honest clients need history too.
	p := startPlain(t, 0, append(gatewayEnv(r.URL()), "SSE_WINDOW_EVENTS=2")...)
	p.awaitReady()
	fillStream(t, r, "sse:huge", 100_000, 200)
	base := p.memory("VmRSS")
	h := startHonest(t, r, p, true)
	ctx, stop := context.WithCancel(t.Context())
	var asked atomic.Int64
	var attackers sync.WaitGroup
	for i := range clients {
		attackers.Go(func() { replayAgainAndAgain(ctx, t, p.public, i, &asked) })
	}
	reads := 0.0 // at a time
	redistest.Eventually(t, time.Minute, "the replays", func() bool {
		reads = max(reads, p.metric("sse_gateway_history_reads_in_flight"))
		return asked.Load() >= clients*5 && h.resumed.Load() > 1 || h.failed.Load() != nil
	})
	stop()
	attackers.Wait()
	h.requireUndisturbed()
	t.Logf("%d replays were asked for; %v reads of history, %v at a time, %v shared, %v refused; the gateway had %s more at most", asked.Load(),
		p.metric("sse_gateway_history_reads_total", "read"), reads, p.metric("sse_gateway_history_reads_total", "shared"),
		p.metric("sse_gateway_history_reads_total", "refused"), mib(p.memory("VmHWM")-base))
	if reads > 8 {
		t.Errorf("%v reads of history at a time", reads)
	}
	// A read is refused while Redis does not answer for a moment, and tried again; for
	// want of room none is.
	if n := p.metric("sse_gateway_history_reads_total", "refused"); n > p.metric("sse_gateway_history_reads_total", "read")/50 {
		t.Errorf("%v reads of history were refused", n)
	}
}

// replayAgainAndAgain connects until ctx ends, and counts how often. Every third
// client does not read, every third reads slowly.
func replayAgainAndAgain(ctx context.Context, t *testing.T, addr string, i int, total *atomic.Int64) {
	cs := &connections{t: t, addr: addr}
	defer cs.close()
	for asked := 0; ctx.Err() == nil; asked++ {
		query := []string{ // of the last two, no two alike
			"channel=huge&replay=all",
			fmt.Sprintf("channel=huge&last_event_id=1-%d", 10_000*i+asked),
			fmt.Sprintf("channel=huge&replay=%d", 90_000+100*i+asked%100),
		}[asked%3]
		c, err := cs.dial()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = c.Write([]byte(get(query)))
		b := make([]byte, 4<<10)
		for range 1 + 10*(i%3) {
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
			if _, err := c.Read(b); err != nil {
				break
			}
			if i%3 == 1 {
				select {
				case <-ctx.Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		}
		_ = c.Close()
		total.Add(1)
	}
}

// The head of a request is not kept for as long as its stream.
func TestHostileCookies(t *testing.T) {
	t.Parallel()
	const clients, size = 1000, 16 << 10
	r := redistest.Start(t)
	p := startPlain(t, 0, gatewayEnv(r.URL())...)
	p.awaitReady()
	base := p.memory("VmRSS")
	cs := attack(t, p.public)
	for i := range clients {
		cs.open(get("channel=a", "Cookie: c="+strings.Repeat("c", size)))
		if i%100 == 99 {
			p.awaitMetric(10*time.Second, float64(i+1), "sse_gateway_connections")
		}
	}
	// Half of them is far more than the streams take, and all of what the heap
	// has grown by in between need not go back to the system at once.
	redistest.Eventually(t, 60*time.Second, "the cookies are forgotten", func() bool {
		fetch(t, "http://"+p.admin+"/debug/pprof/heap?gc=1", nil) // a collection would come by itself within minutes
		return p.memory("VmRSS")-base < clients*size/2
	})
	t.Logf("%d streams whose cookies had %d bytes: %s more at most, then %d bytes each", clients, size,
		mib(p.memory("VmHWM")-base), (p.memory("VmRSS")-base)/clients)
	if code := status(cs.open(get("channel=a", "Cookie: c="+strings.Repeat("c", 2*maxHeaderBytes)))); code != 431 {
		t.Errorf("a head of twice the limit is answered with %d", code)
	}
}
