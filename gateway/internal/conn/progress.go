package conn

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
)

// PeerState is how far the client of a stream is.
type PeerState struct {
	Waiting bool   // something was written that it has not taken
	Taken   uint64 // changes when it takes something
}

// PeerOfFD returns how far the client at the other end of a descriptor is.
func PeerOfFD(fd int32) PeerState {
	queued, acked, _ := reactor.PeerProgress(fd)
	return PeerState{Waiting: queued > 0, Taken: acked}
}

// Progress is what the last look at a client saw. It tells a client that is slow, which
// takes a byte now and then, from one that is gone, for connections of every kind.
//
// Neither a write deadline nor TCP_USER_TIMEOUT can tell. A write returns only when the
// kernel has room, which for a client of a few hundred bytes a second takes longer than
// the timeout. TCP_USER_TIMEOUT counts from when the receive window was too small for
// what waits, whatever the client has acknowledged since.
type Progress struct {
	taken uint64 // as of PeerState
	since int64  // when taken was seen to change, in reactor.Nanos; 0: nothing waited
}

// Waits reports whether something waited for the client at the last look.
func (p *Progress) Waits() bool { return p.since != 0 }

// Stuck reports whether the client has taken nothing for the timeout, although
// something waits for it. now is in reactor.Nanos.
func (p *Progress) Stuck(state PeerState, now int64, timeout time.Duration) bool {
	switch {
	case !state.Waiting:
		*p = Progress{}
	case p.since == 0 || p.taken != state.Taken:
		*p = Progress{state.Taken, now}
	default:
		return now-p.since >= int64(timeout)
	}
	return false
}

// peerProgress is reactor.PeerProgress of a connection, TLS or not.
func peerProgress(c net.Conn) (queued int, acked uint64, ok bool) {
	sc, is := bareConn(c).(syscall.Conn)
	if !is {
		return 0, 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	if err := raw.Control(func(fd uintptr) { queued, acked, ok = reactor.PeerProgress(int32(fd)) }); err != nil {
		return 0, 0, false
	}
	return queued, acked, ok
}

// blockingWrites tells how far a goroutine is that writes. It may be used
// concurrently.
type blockingWrites struct {
	active atomic.Bool
	done   atomic.Uint64 // writes that have returned
}

// each calls write with p, in parts of at most chunk bytes.
func (w *blockingWrites) each(p []byte, chunk int, write func([]byte) (int, error)) (n int, err error) {
	w.active.Store(true)
	defer w.active.Store(false)
	for n < len(p) && err == nil {
		var took int
		took, err = write(p[n:min(len(p), n+chunk)])
		n += took
		w.done.Add(1)
	}
	return n, err
}

func (w *blockingWrites) peer() PeerState {
	return PeerState{Waiting: w.active.Load(), Taken: w.done.Load()}
}
