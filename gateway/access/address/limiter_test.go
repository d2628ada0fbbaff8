package address

import (
	"net/netip"
	"sync"
	"testing"
)

func TestLimiter(t *testing.T) {
	l := NewLimiter(2)
	a := netip.MustParseAddr("198.51.100.1")
	k1, ok1 := l.Acquire(a)
	k2, ok2 := l.Acquire(netip.MustParseAddr("::ffff:198.51.100.1"))
	if !ok1 || !ok2 || k1 != k2 {
		t.Fatal("the same address counts twice")
	}
	if _, ok := l.Acquire(a); ok {
		t.Error("a third was let in")
	}
	if _, ok := l.Acquire(netip.MustParseAddr("198.51.100.2")); !ok {
		t.Error("another address was refused")
	}
	l.Release(k1)
	k3, ok := l.Acquire(a)
	if !ok {
		t.Error("a released place is not free")
	}
	l.Release(k2)
	l.Release(k3)
	if n := len(l.counts); n != 1 {
		t.Errorf("%d entries are left, want the one that is open", n)
	}
}

func TestLimiterKeys(t *testing.T) {
	key := func(s string) Key { return keyOf(netip.MustParseAddr(s)) }
	if key("2001:db8::1") != key("2001:db8:0:0:ffff::2") {
		t.Error("one /64 has two keys")
	}
	if key("fe80::1%eth0") != key("fe80::2") {
		t.Error("a zone makes another key")
	}
	seen := map[Key]string{0: "the zero Key"}
	for _, s := range []string{"2001:db8::1", "2001:db8:0:1::1", "::1", "198.51.100.1", "198.51.100.2", "0.0.0.0", "255.255.255.255", "::ffff:0:0:1"} {
		k := key(s)
		if s == "::ffff:0:0:1" {
			// The translated range, not the mapped one: in the same /64 as ::1.
			if k != key("::1") {
				t.Errorf("%s has a key of its own", s)
			}
			continue
		}
		if other, ok := seen[k]; ok {
			t.Errorf("%s and %s have the same key", s, other)
		}
		seen[k] = s
	}
	if other, ok := seen[keyOf(netip.Addr{})]; ok {
		t.Errorf("the unknown address and %s have the same key", other)
	}
}

func TestLimiterUnknownAddressesShareALimit(t *testing.T) {
	l := NewLimiter(1)
	if _, ok := l.Acquire(netip.Addr{}); !ok {
		t.Error("the first was refused")
	}
	if _, ok := l.Acquire(netip.Addr{}); ok {
		t.Error("the second was let in")
	}
}

func TestLimiterOff(t *testing.T) {
	l := NewLimiter(0)
	for range 10 {
		k, ok := l.Acquire(netip.MustParseAddr("198.51.100.1"))
		if !ok || k != 0 {
			t.Fatal("a limiter that is off counts")
		}
		l.Release(k)
	}
	if len(l.counts) != 0 {
		t.Error("it holds entries")
	}
}

func TestLimiterConcurrent(t *testing.T) {
	const limit, clients = 5, 8
	l := NewLimiter(limit)
	addr := netip.MustParseAddr("2001:db8::1")
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := 0
	for range clients {
		wg.Go(func() {
			for range 500 {
				k, ok := l.Acquire(addr)
				if !ok {
					continue
				}
				mu.Lock()
				open++
				if open > limit {
					t.Errorf("%d are open", open)
				}
				open--
				mu.Unlock()
				l.Release(k)
			}
		})
	}
	wg.Wait()
	if len(l.counts) != 0 {
		t.Errorf("%d entries are left", len(l.counts))
	}
}

func TestLimiterDoesNotAllocate(t *testing.T) {
	l := NewLimiter(2)
	addr := netip.MustParseAddr("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() {
		k, _ := l.Acquire(addr)
		l.Release(k)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLimiter(b *testing.B) {
	l := NewLimiter(10)
	addr := netip.MustParseAddr("2001:db8::1")
	b.ReportAllocs()
	for b.Loop() {
		k, _ := l.Acquire(addr)
		l.Release(k)
	}
}
