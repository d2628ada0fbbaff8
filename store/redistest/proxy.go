package redistest

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Proxy is a TCP proxy in this process that a test puts in front of a server to
// break the network between the two. Its methods may be called concurrently;
// Restore, which can fail the test, only on the test's goroutine.
type Proxy struct {
	t     testing.TB
	port  int
	proxy *toxiproxy.Proxy
	gate  *gate

	// mu keeps Cut and Restore apart; the proxy's state is what they leave.
	mu sync.Mutex
}

// StartProxy starts a proxy to upstreamAddr. It lets everything pass.
func StartProxy(t testing.TB, upstreamAddr string) *Proxy {
	t.Helper()
	p := &Proxy{t: t, gate: newGate()}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	var err error
	for range portAttempts {
		p.port = FreePort(t)
		p.proxy = toxiproxy.NewProxy(server, "redistest", p.Addr(), upstreamAddr)
		p.addGate("upstream")
		p.addGate("downstream")
		if err = p.proxy.Start(); err == nil {
			t.Cleanup(p.Cut)
			return p
		}
	}
	t.Fatalf("starting a proxy to %s: %v", upstreamAddr, err)
	return nil
}

// addGate puts the gate into one direction of every connection to come.
func (p *Proxy) addGate(direction string) {
	p.t.Helper()
	toxic, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(`{"type":"` + gateType + `","stream":"` + direction + `"}`))
	if err != nil {
		p.t.Fatalf("setting up a proxy: %v", err)
	}
	toxic.Toxic.(*gateToxic).gate = p.gate
}

// Addr returns the proxy's address, "127.0.0.1:port". It stays the same over
// Cut and Restore.
func (p *Proxy) Addr() string { return loopback(p.port) }

// Cut closes all connections, drops the bytes under way, and refuses new
// connections until Restore.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.proxy.Enabled {
		return
	}
	p.gate.cutAll()
	p.proxy.Stop()
	// A process that is being started at this moment has inherited the listening
	// socket and keeps it open until it execs.
	if !Poll(settleTimeout, func() bool { return refused(p.port) }) {
		p.t.Errorf("the proxy on %s accepts connections %v after Cut", p.Addr(), settleTimeout)
	}
}

// Restore accepts connections again after Cut. Blackhole and Latency stay as
// they were.
func (p *Proxy) Restore() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proxy.Enabled {
		return
	}
	if err := p.proxy.Start(); err != nil {
		p.t.Fatalf("restoring the proxy on %s: %v", p.Addr(), err)
	}
}

// Blackhole makes every connection half-open, as when a cable is pulled: old
// ones stay, new ones are accepted, no byte and no close passes in either
// direction, and nobody is told. What is sent meanwhile is kept, some of it in
// the proxy and the rest in the kernel's buffers, and passes after Clear.
func (p *Proxy) Blackhole() {
	p.gate.set(func(c *conditions) { c.closed = true })
}

// Latency delays everything by d in each direction from now on; 0 ends that.
// What is on its way already is delayed too.
func (p *Proxy) Latency(d time.Duration) {
	p.gate.set(func(c *conditions) { c.latency = d })
}

// Clear ends Blackhole and Latency.
func (p *Proxy) Clear() {
	p.gate.set(func(c *conditions) { c.closed, c.latency = false, 0 })
}
