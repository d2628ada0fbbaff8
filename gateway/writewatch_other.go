//go:build !linux

package gateway

import "net"

// userTimeout does nothing: there is no such option.
func userTimeout(net.Conn, int) (was int, ok bool) { return 0, false }

// unacknowledged does not know: what a client has taken is seen by the write.
func unacknowledged(net.Conn) (waiting int, ok bool) { return 0, false }

// taken does not know, either.
func taken(net.Conn) (n uint64, ok bool) { return 0, false }
