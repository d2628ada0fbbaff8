// Package address tells where a client is and how it connected, and limits how many
// connections an address may have.
//
// The trust boundary is the list of trusted proxies: X-Forwarded-For is read from the
// right, the end that the nearest proxy wrote, and only as long as the addresses are
// trusted proxies. With 10.0.0.0/8 trusted and a connection from 10.0.0.1,
//
//	X-Forwarded-For: 203.0.113.9, 198.51.100.7, 10.0.0.2
//
// the client is 198.51.100.7. What stands left of it may be made up.
//
// A [Limiter] counts IPv6 by /64, because a household has as many addresses as that.
// Invariant: each Acquire that reported true is followed by one Release with its key.
package address
