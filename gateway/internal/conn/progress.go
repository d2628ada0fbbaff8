package conn

import (
	"net"
	"sync/atomic"
	"syscall"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
)

// PeerState is how far the client of a stream is.
type PeerState struct {
	Waiting bool   // something was written that it has not taken
	Taken   uint64 // changes when it takes something
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
