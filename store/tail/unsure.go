package tail

import (
	"context"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// A session's server cannot speak for a stream whose slot is on its way to
// another node of the cluster: it answers ASK, or MOVED. Nor can a replica on
// which a stream seems to have lost entries: it may only be late. Such a stream
// is read from the master, which is asked by way of a client of its own, and a
// gap counts if that finds it. No gap is reported until then.
//
// A read by way of the master arms no tracking for the session. So the stream is
// read again from the session's server, and from the master, and so on, until the
// server can speak for it.

// unsureGap is how often an unsure stream is read from the master.
const unsureGap = 100 * time.Millisecond

// askMaster has the master read for a source that the session's server cannot
// speak for.
func (n *Node) askMaster(s *Source) {
	n.mu.Lock()
	if s.node.Load() == n {
		s.unsure, n.unsure = true, true
	}
	n.mu.Unlock()
	select {
	case n.unsureFound <- struct{}{}:
	default:
	}
}

// reconcileUnsure has the master read for the unsure sources until ctx ends. What
// the server can do is also what its master can.
func (n *Node) reconcileUnsure(ctx context.Context, can abilities) {
	s := n.newSession(Target{}, nil)
	s.can = can
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.unsureFound:
		}
		q, err := n.server.Master(ctx)
		if err == nil && q == nil {
			return // nobody can tell
		}
		for _, src := range n.takeUnsure() {
			// A master that does not answer is waited for once, not for each.
			if err == nil {
				err = s.reconcileBy(ctx, q, src)
			}
			if err != nil {
				n.askMaster(src)
			} else {
				n.recheck(src)
			}
		}
		if err != nil && ctx.Err() == nil {
			n.log.Debug("the master could not be asked for a stream", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(Jitter(unsureGap)):
		}
	}
}

// reconcileBy reconciles one source with what a Querier reads.
func (s *session) reconcileBy(ctx context.Context, q redisstream.Querier, src *Source) error {
	s.room = batchBytes
	r := newRead(task{src, readChecked})
	if err := s.takeSnapshot(&r, q.Pipeline(ctx, s.commands(&r)...)); err != nil {
		return err
	}
	defer s.n.cfg.OnBatchEnd()
	return s.reconcile(ctx, q, &r)
}

// recheck has an unsure source that its master was read for read again.
func (n *Node) recheck(s *Source) {
	n.mu.Lock()
	if s.node.Load() == n {
		s.unsure = false
		n.enqueueLocked(high, s, readChecked)
	}
	n.mu.Unlock()
	n.wake()
}

// takeUnsure returns the unsure sources, which stay so until recheck.
func (n *Node) takeUnsure() (unsure []*Source) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.unsure {
		return nil
	}
	n.unsure = false
	for _, s := range n.sources {
		if s.unsure {
			unsure = append(unsure, s)
		}
	}
	return unsure
}
