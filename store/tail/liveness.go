package tail

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/store/resp"
)

// StalledAfter is how long Redis may show no sign of life before its channels
// count as stalled.
const StalledAfter = 5 * time.Second

// processStart is what times are kept relative to, by the monotonic clock, which
// nobody sets.
var processStart = time.Now()

// liveness is when a server was last known to be alive, and why it is not.
type liveness struct {
	aliveAt atomic.Int64 // nanoseconds since processStart; at first, the time of construction
	proven  atomic.Bool  // aliveAt was a sign of life, not construction
	stalled atomic.Bool  // the subscribers have been told so
	failure atomic.Pointer[error]

	// mu makes a change of stalled and what follows from it one step.
	mu sync.Mutex
}

// silence is how long there has been no sign of life.
func (l *liveness) silence(now time.Time) time.Duration {
	return now.Sub(processStart) - time.Duration(l.aliveAt.Load())
}

// lastError is why the last session ended, or could not begin; nil while there
// is one.
func (l *liveness) lastError() error {
	if err := l.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// signOfLife notes that the server was alive at a time.
func (n *Node) signOfLife(at time.Time) {
	n.live.aliveAt.Store(int64(at.Sub(processStart)))
	if !n.live.proven.Load() {
		n.live.proven.Store(true)
	}
	if n.live.stalled.Load() {
		n.updateStalled(time.Now())
	}
}

// Alive reports whether the server has shown a sign of life within
// StalledAfter.
func (n *Node) Alive(now time.Time) bool {
	return n.live.proven.Load() && n.live.silence(now) < StalledAfter
}

// Started reports whether the server has ever been alive.
func (n *Node) Started() bool { return n.live.proven.Load() }

// Stalled reports whether the server has shown no sign of life for StalledAfter,
// also if it never has.
func (n *Node) Stalled() bool { return n.live.stalled.Load() }

// watchStalled tells the subscribers when the server has gone, until ctx ends.
func (n *Node) watchStalled(ctx context.Context) {
	tick := time.NewTicker(StalledAfter / 20)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			n.updateStalled(now)
		}
	}
}

// updateStalled tells the subscribers if the server has gone or come back.
func (n *Node) updateStalled(now time.Time) {
	n.live.mu.Lock()
	defer n.live.mu.Unlock()
	stalled := n.live.silence(now) >= StalledAfter
	if n.live.stalled.Swap(stalled) == stalled {
		return
	}
	if stalled {
		n.log.Warn("redis has been unreachable", "since", now.Add(-n.live.silence(now)), "error", n.live.lastError())
	} else {
		n.log.Info("redis is back")
	}
	for _, s := range n.Sources() {
		s.wake(false)
	}
}

// Status describes a node for an operator: name, state, and the last error of a
// node that is not alive.
func (n *Node) Status(now time.Time) string {
	if n.Alive(now) {
		return fmt.Sprintf("redis %s is alive", n.name)
	}
	err, state := n.live.lastError(), "has not been reached yet"
	switch {
	case resp.IsDenied(err):
		state = "refuses the gateway's user"
	case n.Started():
		state = "has been unreachable since " + now.Add(-n.live.silence(now)).UTC().Format(time.RFC3339)
	}
	if err != nil {
		state += ": " + err.Error()
	}
	return fmt.Sprintf("redis %s %s", n.name, state)
}
