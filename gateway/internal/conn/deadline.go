package conn

import (
	"sync"
	"time"
)

// writeDeadline is the write deadline of a connection: the earliest of what its
// goroutine asks for and of what others set who end the stream.
type writeDeadline struct {
	// mu guards the fields below. Invariant: the connection has the deadline at.
	// Nothing is done to it once over is set: net/http forbids the use of a
	// response that its handler has left.
	mu      sync.Mutex
	set     func(time.Time) error
	at      time.Time
	closing time.Time // when startClosing has writes fail; zero: it was not called
	aborted bool
	over    bool
}

// past is a deadline that makes a read or write return at once.
var past = time.Unix(1, 0)

// limit has writes fail at t; zero: never.
func (d *writeDeadline) limit(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.apply(t)
}

// startClosing has writes fail after CloseGrace. The first call counts.
func (d *writeDeadline) startClosing() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing.IsZero() {
		d.closing = time.Now().Add(CloseGrace)
		d.apply(d.at)
	}
}

// abort has writes fail at once.
func (d *writeDeadline) abort() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.aborted = true
	d.apply(past)
}

// leave ends the use of the connection. It reports whether abort was called.
func (d *writeDeadline) leave() (aborted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	return d.aborted
}

// apply gives the connection the deadline t, or an earlier one. The caller holds mu.
func (d *writeDeadline) apply(t time.Time) {
	if !d.closing.IsZero() && (t.IsZero() || d.closing.Before(t)) {
		t = d.closing
	}
	if d.aborted {
		t = past
	}
	if !d.over && !t.Equal(d.at) {
		d.at = t
		_ = d.set(t)
	}
}
