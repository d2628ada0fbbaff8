package listener

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

// admitFrom has a connection come in from an address; "" is an unknown one.
func admitFrom(l *pendingLimiter, from string) *place {
	var addr netip.Addr
	if from != "" {
		addr = netip.MustParseAddr(from).WithZone("").Unmap()
	}
	return l.admit(addr)
}

// requireAdmit checks that connections are admitted up to a number and no
// further.
func requireAdmit(t *testing.T, l *pendingLimiter, from string, want int) (open []*place) {
	t.Helper()
	for range want + 3 {
		if p := admitFrom(l, from); p != nil {
			open = append(open, p)
		}
	}
	if len(open) != want {
		t.Errorf("%d connections from %s are admitted, want %d", len(open), from, want)
	}
	return open
}

func TestPendingIsBoundedByDescriptors(t *testing.T) {
	t.Parallel()
	var hijacked atomic.Int64
	l := newPendingLimiter(10, 0, nil, hijacked.Load)
	open := requireAdmit(t, l, "192.0.2.1", 10)
	requireAdmit(t, l, "192.0.2.2", 0)
	// A hijacked connection counts where it went, once.
	open[0].leave()
	hijacked.Add(1)
	requireAdmit(t, l, "192.0.2.2", 0)
	hijacked.Add(-1)
	requireAdmit(t, l, "192.0.2.2", 1)
	open[1].leave()
	open[1].leave()
	requireAdmit(t, l, "192.0.2.3", 1)
	hijacked.Store(1000)
	requireAdmit(t, l, "192.0.2.3", 0)
}

func TestPendingIsBoundedPerAddress(t *testing.T) {
	t.Parallel()
	l := newPendingLimiter(1000, 3, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, new(atomic.Int64).Load)
	open := requireAdmit(t, l, "192.0.2.1", 3)
	requireAdmit(t, l, "::ffff:192.0.2.1", 0) // the same client
	requireAdmit(t, l, "192.0.2.2", 3)
	requireAdmit(t, l, "2001:db8::1", 3)
	requireAdmit(t, l, "2001:db8::ffff:1", 0) // one customer has a /64
	requireAdmit(t, l, "2001:db8:0:1::1", 3)
	requireAdmit(t, l, "fe80::1%eth0", 3)
	for range 50 { // a proxy speaks for many
		if admitFrom(l, "10.1.2.3") == nil {
			t.Fatal("a trusted proxy is not admitted")
		}
		if admitFrom(l, "") == nil {
			t.Fatal("a connection without an address is not admitted")
		}
	}
	open[0].leave()
	open[1].leave()
	requireAdmit(t, l, "192.0.2.1", 2)
}

// A connection that a proxy names the client of counts as the client's, and a
// place that was given back meanwhile stays given back.
func TestPendingIsAttributed(t *testing.T) {
	t.Parallel()
	proxy, client := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("192.0.2.1")
	l := newPendingLimiter(1000, 2, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, new(atomic.Int64).Load)
	one, two, three, gone := l.admit(proxy), l.admit(proxy), l.admit(proxy), l.admit(proxy)
	if !one.attribute(client) || !two.attribute(client) || three.attribute(client) {
		t.Error("two of three connections of a client should be allowed")
	}
	one.leave()
	gone.leave()
	gone.attribute(client)
	if !three.attribute(client) || l.admit(client) != nil {
		t.Error("after one of two has left there is room for one more")
	}
}

// However connections come and go, none of their places is lost.
func TestPendingConcurrently(t *testing.T) {
	t.Parallel()
	const maxFDs, perIP = 50, 10
	l := newPendingLimiter(maxFDs, perIP, nil, new(atomic.Int64).Load)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 2000 {
				if p := admitFrom(l, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}[(i+n)%3]); p != nil {
					p.leave()
				}
			}
		})
	}
	wg.Wait()
	if n := l.open.Load(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	for _, from := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		requireAdmit(t, l, from, perIP)
	}
}

func TestConnectionLimit(t *testing.T) {
	if n := ConnectionLimit(); n < 1 || n > unknownConnectionLimit {
		t.Errorf("%d connections", n)
	}
}
