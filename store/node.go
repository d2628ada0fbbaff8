package store

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// reason is a set of causes to read a window's stream.
type reason uint8

const (
	readPlain       reason = 1 << iota // it is new, or the last read left some
	readInvalidated                    // Redis said that the key changed
	readSwept                          // the safety sweep came by
	readChecked                        // compare with the stream before going on
)

// node tails the channels of one Redis server: the only one, the master that
// the sentinels name, or one master of a cluster. It outlives its connections.
type node struct {
	store *Store
	name  string                                // for logs; the address in a cluster
	addr  func(context.Context) (string, error) // where the server is now
	opts  *endpoint
	log   *slog.Logger
	// replicas, if set, are those of the master, to read from instead of it.
	replicas *replicaSet
	// verify, if set, checks on a live connection that this is still the
	// server to tail.
	verify func(context.Context, querier) error
	// named, if set, asks others whether the master at addr, whom a session is
	// with, is still the one to tail. That may take long; no read waits for it.
	named func(ctx context.Context, addr string) error

	// alive is when the server last proved that both connections of a session
	// work; it starts as the time of construction.
	alive   moment
	proved  atomic.Bool // alive was proof, not construction
	stalled atomic.Bool // the subscribers have been told so
	denied  atomic.Bool // the server is there but refuses to be read

	signal chan struct{} // capacity 1: a queue became non-empty

	// mu guards the queues, and window.queued of the windows whose node this
	// is. Invariant: a window whose stream may hold more than it is in a
	// queue, or in the read that is under way.
	mu       sync.Mutex
	queues   [urgencies][]*window
	oldest   time.Time           // when the first that is not idle was queued; zero if caught up
	suspects map[*window]suspect // found by a sweep, not yet by an invalidation
	failing  map[*window]bool    // Redis answered with an error; read again with every probe

	// stateMu makes a change of stalled and what it follows from one step.
	stateMu sync.Mutex

	// batch is how many streams one pipeline reads: less after one that took
	// too long. Guarded by the session's mu.
	batch int
	// answered tells that the session, once open, has answered a probe on both
	// connections. Owned by run.
	answered bool
}

func newNode(s *Store, e *endpoint, name string, addr func(context.Context) (string, error)) *node {
	n := &node{
		store: s, name: name, addr: addr, opts: e, log: s.log.With("redis", name),
		signal:   make(chan struct{}, 1),
		suspects: make(map[*window]suspect), failing: make(map[*window]bool),
		batch: readBatch,
	}
	n.alive.Store(time.Now())
	return n
}

// caughtUp notes that everything taken so far was read.
func (n *node) caughtUp(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.oldest = now; len(n.queues[urgent])+len(n.queues[waiting]) == 0 {
		n.oldest = time.Time{}
	}
}

// lag is how long the oldest change has been waiting to be read.
func (n *node) lag(now time.Time) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.oldest.IsZero() {
		return 0
	}
	return now.Sub(n.oldest)
}

// invalidate takes note of a key that Redis says has changed. The caller looks
// after the queue.
func (n *node) invalidate(key []byte) {
	w := n.store.lookup(key)
	if w == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if w.node.Load() == n { // or it moved; whoever moved it queued it there
		n.put(urgent, w, readInvalidated)
	}
}

// prove notes that the server has just shown itself alive.
func (n *node) prove(at time.Time) {
	n.alive.Store(at)
	n.proved.Store(true)
	n.updateStalled(at)
}

// isAlive reports whether the server has proved itself alive lately.
func (n *node) isAlive(now time.Time) bool {
	return n.proved.Load() && now.Sub(n.alive.Load()) < StalledAfter
}

// updateStalled tells the subscribers if the server has gone or come back.
func (n *node) updateStalled(now time.Time) {
	n.stateMu.Lock()
	defer n.stateMu.Unlock()
	stalled := now.Sub(n.alive.Load()) >= StalledAfter
	if n.stalled.Load() == stalled {
		return
	}
	n.stalled.Store(stalled)
	if stalled {
		n.log.Warn("redis has been unreachable", "since", n.alive.Load())
	} else {
		n.log.Info("redis is back")
	}
	for _, w := range n.windows() {
		w.mu.Lock()
		w.wake(false)
		w.mu.Unlock()
	}
}

func (n *node) stalledSince() (time.Time, bool) {
	if !n.stalled.Load() {
		return time.Time{}, false
	}
	return n.alive.Load(), true
}

// windows returns the windows that this node tails.
func (n *node) windows() []*window {
	return slices.DeleteFunc(n.store.assigned(), func(w *window) bool { return w.node.Load() != n })
}

// enqueueAll has every window of the node read.
func (n *node) enqueueAll(why reason) {
	for _, w := range n.windows() {
		n.enqueue(w, why)
	}
}

const (
	// The wait before a new session: short at first, because a connection that
	// was cut is mostly good again at once, then doubled up to the longest,
	// each time jittered so that replicas do not come back in step. Nothing is
	// delivered meanwhile, so it is short again after a session that worked.
	minBackoff = 20 * time.Millisecond
	maxBackoff = 2 * time.Second
)

// run keeps a session open until ctx ends.
func (n *node) run(ctx context.Context) {
	backoff := minBackoff
	for ctx.Err() == nil {
		n.answered = false
		err := n.runSession(ctx)
		n.acquit()
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errMoving) {
			n.log.Info("the tail moves to another server", "error", err)
			continue // which is there
		}
		n.store.metrics.RedisErrors.WithLabelValues(errorKind(err)).Inc()
		n.denied.Store(isDenied(err))
		n.store.topo.suspectChange()
		if n.answered {
			backoff = minBackoff // it worked: this is a fault of its own
		}
		// The state of the node, up or stalled, is logged when it changes; the
		// attempts in between are of interest to debugging only.
		level := slog.LevelDebug
		if backoff == minBackoff {
			level = slog.LevelWarn
		}
		n.log.Log(ctx, level, "the tail session ended", "error", err, "retry", backoff)
		n.mu.Lock()
		if n.oldest.IsZero() {
			n.oldest = time.Now() // from now on changes go unseen
		}
		n.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(backoff/2 + rand.N(backoff)):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}
