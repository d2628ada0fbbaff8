// Package conn is a client's connection as a goroutine writes a stream to it: a response
// header, writes that block, a wait for what comes next.
//
//   - [Hijacked] is an HTTP/1 connection that was taken over from net/http, with TLS or
//     without.
//   - [Response] is any other response: a stream of HTTP/2.
//
// The goroutine calls SetDeadline, Write, Wait and Close. Any goroutine may call Wake,
// StartClosing and Abort, which do not block. One other goroutine at a time may call
// Peer, to see whether the client takes what is written.
package conn

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// ErrGone tells that the client has gone.
var ErrGone = errors.New("the client has gone")

// IsGone reports whether an error of a connection means that the client has closed or
// reset it.
func IsGone(err error) bool {
	for _, gone := range []error{ErrGone, syscall.EPIPE, syscall.ECONNRESET, io.EOF, net.ErrClosed} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

const (
	// CloseGrace is what a stream that is told to end has for the event that it is
	// writing and for its closing frame together.
	CloseGrace = 1500 * time.Millisecond
	// MaxIgnored is how much a client may send at a time on an event stream, where
	// nothing that it sends means anything, in bytes.
	MaxIgnored = 64 << 10
	// SlowWrite is how long a write takes for its client to count as slow.
	SlowWrite = time.Second
)
