package listener

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/sse-gateway/sse-gateway/gateway/access/address"
)

// pendingLimiter bounds the connections that are no streams yet: those whose
// request has not come, those that are kept for another request, and HTTP/2.
// Streams on hijacked connections have limits of their own, but both need
// descriptors, and Redis must never be short of them because clients open
// connections and say nothing. Its methods may be called concurrently.
type pendingLimiter struct {
	maxFDs   int          // descriptors for clients, streams or not
	hijacked func() int64 // connections that were hijacked and are open
	trusted  []netip.Prefix
	perIP    *address.Limiter

	open    atomic.Int64 // places taken
	answers atomic.Int64 // requests of HTTP/2 that are being answered and are no streams
}

func newPendingLimiter(maxFDs, maxPerIP int, trusted []netip.Prefix, hijacked func() int64) *pendingLimiter {
	return &pendingLimiter{maxFDs: maxFDs, hijacked: hijacked, trusted: trusted, perIP: address.NewLimiter(maxPerIP)}
}

// place is what a pending connection holds of the limits.
type place struct {
	limiter *pendingLimiter
	key     atomic.Uint64 // an address.Key
	left    atomic.Bool
}

// admit takes a place for a connection from peer. It returns nil if one of the
// limits is reached. A trusted proxy speaks for many and an unknown address for
// nobody: neither is limited by its address.
func (l *pendingLimiter) admit(peer netip.Addr) *place {
	if l.open.Add(1)+l.hijacked() > int64(l.maxFDs) {
		l.open.Add(-1)
		return nil
	}
	p := &place{limiter: l}
	if peer.IsValid() && !p.attribute(peer) {
		l.open.Add(-1)
		return nil
	}
	return p
}

// attribute counts a connection that has no address yet as one of client's. It
// reports false if client has too many.
func (p *place) attribute(client netip.Addr) bool {
	if isTrusted(p.limiter.trusted, client) {
		return true
	}
	key, ok := p.limiter.perIP.Acquire(client)
	if !ok {
		return false
	}
	p.key.Store(uint64(key))
	if p.left.Load() && p.key.CompareAndSwap(uint64(key), 0) { // it was given back meanwhile
		p.limiter.perIP.Release(key)
	}
	return true
}

// leave gives the place back. It may be called more than once.
func (p *place) leave() {
	if p.left.Swap(true) {
		return
	}
	p.limiter.perIP.Release(address.Key(p.key.Swap(0)))
	p.limiter.open.Add(-1)
}

// beginAnswer counts a request of HTTP/2, of which one connection has many,
// among what is pending. It reports false if there is too much of it. After
// true, endAnswer must be called once.
func (l *pendingLimiter) beginAnswer() bool {
	if l.answers.Add(1) > int64(l.maxFDs) {
		l.answers.Add(-1)
		return false
	}
	return true
}

func (l *pendingLimiter) endAnswer() { l.answers.Add(-1) }

// isTrusted reports whether an address is a proxy's.
func isTrusted(trusted []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}
