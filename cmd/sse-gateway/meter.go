package main

import (
	"sync/atomic"
	"time"
)

// A client of event streams sends its requests and, over HTTP/2, a few frames
// now and then; what it is sent, it acknowledges. The frames of HTTP/2 that
// cost their sender nothing (PING, SETTINGS, RST_STREAM, empty ones) cost
// net/http about as much as a request each, and it takes as many as come. So
// what is read from a connection is bounded in bytes, below TLS and whatever
// the protocol: beyond the allowance it is read slowly, which leaves the rest
// with its sender. Nobody is cut, because nothing tells a flood from a client
// with much to say but its length.
const (
	// readBurst is how much a connection may send at once, in bytes: two
	// requests with heads of the largest size, or a hundred ordinary ones.
	readBurst = 2 * maxHeaderBytes
	// readRate is how much it may send beyond that, in bytes per second. The
	// smallest frame has 9 bytes: 3,600 of them in a second cost about 3 % of a
	// core.
	readRate = 32 << 10
	// readPerWritten is how much it has to be sent to be allowed another byte.
	// A client that consumes a lot says so: Go's, the most talkative, sends 26
	// bytes for 4 KiB. An answer to a frame that is a trick is never 16 times
	// as large.
	readPerWritten = 16
	// minPause is how long a connection that has used up its allowance is left
	// alone at least: short beside any time-out, and long enough for the pauses
	// themselves to cost nothing.
	minPause = 100 * time.Millisecond
)

// meter is a token bucket. Only written may be used by several goroutines at
// once.
type meter struct {
	left    int64 // bytes that may be read; below 0: read too much
	at      time.Time
	written atomic.Int64 // since then
}

func newMeter(now time.Time) meter { return meter{left: readBurst, at: now} }

// empty reports whether the bucket has to be filled before anything is read.
// While it is not, nobody has to ask for the time.
func (m *meter) empty() bool { return m.left <= 0 }

// fill puts in what has come together, and returns how long there is to wait
// until something may be read.
func (m *meter) fill(now time.Time) time.Duration {
	elapsed := min(now.Sub(m.at), time.Minute) // no overflow: a minute fills it
	m.left = min(m.left+int64(elapsed.Seconds()*readRate)+m.written.Swap(0)/readPerWritten, readBurst)
	m.at = now
	if !m.empty() {
		return 0
	}
	return max(time.Duration(1-m.left)*time.Second/readRate, minPause)
}

// take counts n bytes that were read.
func (m *meter) take(n int) { m.left -= int64(n) }
