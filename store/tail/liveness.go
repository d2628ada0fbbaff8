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

// processStart is what times are kept relative to, by the monotonic clock: how
// long a server has been silent must not depend on whether the clock was set
// meanwhile.
var processStart = time.Now()

// liveness is when a server was last known to be alive, and why it is not.
type liveness struct {
	aliveAt atomic.Int64 // nanoseconds since processStart; at first, the time of construction
	proven  atomic.Bool  // aliveAt was a sign of life, not construction
	stalled atomic.Bool  // the subscribers have been told so

	// stateMu makes a change of stalled and what follows from it one step.
	stateMu sync.Mutex
	// errMu guards lastErr.
	errMu   sync.Mutex
	lastErr error // why the last session ended, or could not begin
}

func (l *liveness) start() { l.aliveAt.Store(int64(time.Since(processStart))) }

// silence is how long there has been no sign of life.
func (l *liveness) silence(now time.Time) time.Duration {
	return now.Sub(processStart) - time.Duration(l.aliveAt.Load())
}

func (l *liveness) failed(err error) {
	l.errMu.Lock()
	defer l.errMu.Unlock()
	l.lastErr = err
}

func (l *liveness) lastError() error {
	l.errMu.Lock()
	defer l.errMu.Unlock()
	return l.lastErr
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

func (n *Node) stalledSince() (time.Time, bool) {
	if !n.live.stalled.Load() {
		return time.Time{}, false
	}
	now := time.Now()
	return now.Add(-n.live.silence(now)), true
}

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
	n.live.stateMu.Lock()
	defer n.live.stateMu.Unlock()
	stalled := n.live.silence(now) >= StalledAfter
	if n.live.stalled.Load() == stalled {
		return
	}
	n.live.stalled.Store(stalled)
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
	err := n.live.lastError()
	because := ""
	if err != nil {
		because = ": " + err.Error()
	}
	switch {
	case n.Alive(now):
		return fmt.Sprintf("redis %s is alive", n.name)
	case resp.IsDenied(err):
		return fmt.Sprintf("redis %s refuses the gateway's user%s", n.name, because)
	case !n.Started():
		return fmt.Sprintf("redis %s has not been reached yet%s", n.name, because)
	}
	since := now.Add(-n.live.silence(now)).UTC().Format(time.RFC3339)
	return fmt.Sprintf("redis %s has been unreachable since %s%s", n.name, since, because)
}
