package address

import (
	"encoding/binary"
	"net/netip"
	"sync"
)

// Key is what one address counts as. A connection keeps it for Release; it is
// 8 bytes. The zero Key is that of a limiter that is off.
//
// It is the complement of the upper half of an IPv6 address. IPv4 addresses and
// the unknown one take the place of multicast prefixes, which no client has.
type Key uint64

const (
	keyIPv4    = 0xff00 << 48
	keyUnknown = 0xff01 << 48
)

// keyOf puts all of an IPv6 /64 together, because that is what one customer
// gets at least.
func keyOf(addr netip.Addr) Key {
	addr = addr.Unmap()
	switch {
	case addr.Is4():
		b := addr.As4()
		return ^Key(keyIPv4 | uint64(binary.BigEndian.Uint32(b[:])))
	case addr.Is6():
		b := addr.As16()
		return ^Key(binary.BigEndian.Uint64(b[:8]))
	}
	return ^Key(keyUnknown)
}

// Limiter counts connections per address: per IPv4 address, per IPv6 /64, and
// all without an address together. It may be used concurrently.
type Limiter struct {
	max int // fixed; 0 or less: off

	// mu guards counts. Every value is from 1 to max.
	mu     sync.Mutex
	counts map[Key]int
}

// NewLimiter returns a limiter that lets max connections per address be open at
// once. If max is 0 or less it counts nothing and lets all in.
func NewLimiter(max int) *Limiter {
	return &Limiter{max: max, counts: make(map[Key]int)}
}

// Acquire counts one connection of addr in. It reports false, and counts
// nothing, if there are max of them already. After true, Release must be called
// once with the key.
func (l *Limiter) Acquire(addr netip.Addr) (Key, bool) {
	if l.max <= 0 {
		return 0, true
	}
	k := keyOf(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.counts[k]
	if n >= l.max {
		return 0, false
	}
	l.counts[k] = n + 1
	return k, true
}

// Release counts one connection out. The zero Key does nothing.
func (l *Limiter) Release(k Key) {
	if k == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch n := l.counts[k]; {
	case n > 1:
		l.counts[k] = n - 1
	default:
		delete(l.counts, k)
	}
}
