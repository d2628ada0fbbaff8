package gateway

import (
	"net"
	"time"
)

// writeWatch looks after one connection while a write to it has to wait for its
// client. A client is not gone as long as it takes something, however slowly,
// but the write itself tells only when the kernel has room for more: for a client
// that takes kilobytes a second that may be longer than the time-out. So what the
// client has acknowledged is looked at now and then, and the deadline
// moves on when that has changed.
//
// begin and over are called by the goroutine that writes.
type writeWatch struct {
	conn     net.Conn
	deadline func(timeout time.Duration, end time.Time) error // sets the write's
	slow     func()                                           // the write has to wait
	stuck    func()                                           // the client has taken nothing for the time-out; may be nil
	timer    *time.Timer

	// lock guards the fields below. Invariant: nothing is done to the connection
	// unless it is being written to. It is a channel because whoever waits for one
	// lets a test's virtual time go on.
	lock    chan struct{}
	writing bool
	since   time.Time // when the write began
	timeout time.Duration
	end     time.Time
	looked  bool      // there was a look
	taken   uint64    // what was acknowledged by then, in bytes
	changed time.Time // when that did
	tells   bool      // the system does tell that
}

func newWriteWatch(c net.Conn, deadline func(time.Duration, time.Time) error, slow, stuck func()) *writeWatch {
	return &writeWatch{conn: c, deadline: deadline, slow: slow, stuck: stuck, lock: make(chan struct{}, 1)}
}

// begin is called before a write whose deadline was set for timeout and end.
func (w *writeWatch) begin(timeout time.Duration, end time.Time) {
	w.lock <- struct{}{}
	w.writing, w.since, w.timeout, w.end = true, time.Now(), timeout, end
	w.looked, w.tells = false, false
	if w.timer == nil {
		w.timer = time.AfterFunc(slowWrite/2, w.look)
	} else {
		w.timer.Reset(slowWrite / 2)
	}
	<-w.lock
}

// over is called after the write. It reports whether the deadline was moved on
// with all that the client took, so that to have missed it means that nothing
// was.
func (w *writeWatch) over() (told bool) {
	w.timer.Stop()
	w.lock <- struct{}{}
	w.writing, told = false, w.tells
	<-w.lock
	return told
}

// look is called while a write waits.
func (w *writeWatch) look() {
	w.lock <- struct{}{}
	defer func() { <-w.lock }()
	if !w.writing {
		return
	}
	if left := slowWrite/2 - time.Since(w.since); left > 0 { // it was meant for the write before
		w.timer.Reset(left)
		return
	}
	w.slow()
	n, told := taken(w.conn)
	waiting, ok := unacknowledged(w.conn)
	if !told || !ok {
		return
	}
	w.tells = true
	switch now := time.Now(); {
	case !w.looked || n != w.taken:
		w.looked, w.taken, w.changed = true, n, now
		if waiting > 0 { // or the write waits for something else: the flow control of HTTP/2
			_ = w.deadline(w.timeout, w.end)
		}
	case waiting > 0 && w.stuck != nil && now.Sub(w.changed) >= w.timeout:
		w.stuck()
		return
	}
	w.timer.Reset(w.timeout / 8)
}
