package tail

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/store/resp"
)

// StalledAfter is how long Redis may show no sign of life before it counts as stalled.
const StalledAfter = 5 * time.Second

// liveness is when a server was last known to be alive, and why it is not. The
// mutex of the node guards it.
type liveness struct {
	aliveAt time.Time   // at first, when the node was made; compared by the monotonic clock
	proven  bool        // aliveAt was a sign of life
	failure error       // why the last session ended, or could not begin; nil while there are signs of life
	stalled atomic.Bool // the subscribers have been told so
}

func (n *Node) signOfLife(at time.Time) {
	n.mu.Lock()
	n.aliveAt, n.proven, n.failure = at, true, nil
	n.mu.Unlock()
	if n.Stalled() {
		n.updateStalled(time.Now())
	}
}

// life returns how long there has been no sign of life, whether there ever was one,
// and why the last session ended.
func (n *Node) life(now time.Time) (silence time.Duration, started bool, failure error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return now.Sub(n.aliveAt), n.proven, n.failure
}

// Alive reports whether the server has shown a sign of life within StalledAfter.
func (n *Node) Alive(now time.Time) bool {
	silence, started, _ := n.life(now)
	return started && silence < StalledAfter
}

// Started reports whether the server has ever been alive.
func (n *Node) Started() bool {
	_, started, _ := n.life(time.Now())
	return started
}

// Stalled reports whether the server has shown no sign of life for StalledAfter,
// also if it never has.
func (n *Node) Stalled() bool { return n.stalled.Load() }

// watchStalled tells the subscribers when the server has gone, until ctx ends.
func (n *Node) watchStalled(ctx context.Context) {
	for sleep(ctx, StalledAfter/20) {
		n.updateStalled(time.Now())
	}
}

// updateStalled tells the subscribers if the server has gone or come back.
func (n *Node) updateStalled(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	silence := now.Sub(n.aliveAt)
	stalled := silence >= StalledAfter
	if n.stalled.Swap(stalled) == stalled {
		return
	}
	if stalled {
		n.log.Warn("redis has been unreachable", "since", now.Add(-silence), "error", n.failure)
	} else {
		n.log.Info("redis is back")
	}
	for _, s := range n.sources {
		s.wake(false)
	}
}

// Status describes a node for an operator: name, state, and the last error of a
// node that is not alive.
func (n *Node) Status(now time.Time) string {
	silence, started, failure := n.life(now)
	state := "has not been reached yet"
	switch {
	case started && silence < StalledAfter:
		return fmt.Sprintf("redis %s is alive", n.name)
	case resp.IsDenied(failure):
		state = "refuses the gateway's user"
	case started:
		state = "has been unreachable since " + now.Add(-silence).UTC().Format(time.RFC3339)
	}
	if failure != nil {
		state += ": " + failure.Error()
	}
	return fmt.Sprintf("redis %s %s", n.name, state)
}
