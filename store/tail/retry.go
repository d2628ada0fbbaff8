package tail

import (
	"context"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// retryInterval is how often sources are retried. Where there is no other server to
// ask, it is probeInterval.
const retryInterval = 100 * time.Millisecond

// retryLater has a source retried until the session's server can speak for it. It
// reports whether the source was not to be retried before.
func (n *Node) retryLater(s *Source) (first bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.node.Load() != n {
		return false
	}
	first = !s.retry
	s.retry, n.retry = true, true
	return first
}

func (n *Node) retries() (all []*Source) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.retry {
		return nil
	}
	for _, s := range n.sources {
		if s.retry {
			all = append(all, s)
		}
	}
	n.retry = len(all) > 0
	return all
}

// retryAll retries sources until ctx ends. What the server can do is also what its
// master can.
func (n *Node) retryAll(ctx context.Context, can abilities) {
	r := n.newReader(can, nil)
	for wait := retryInterval; sleep(ctx, Jitter(wait)); {
		wait = retryInterval
		sources := n.retries()
		if len(sources) == 0 {
			continue
		}
		master, err := n.server.Master(ctx)
		if err == nil && master == nil {
			wait = probeInterval
		}
		for _, s := range sources {
			if err == nil && master != nil {
				err = r.reconcileBy(ctx, master, s)
			}
			if err != nil { // waited for once, not for each
				n.log.Debug("the master could not be asked for a stream", "error", err)
				break
			}
			n.enqueue(s, readChecked)
		}
	}
}

func (rd *reader) reconcileBy(ctx context.Context, master redisstream.Querier, s *Source) error {
	rd.room = batchBytes
	r := newRead(task{s, readChecked})
	if err := rd.takeSnapshot(&r, master.Pipeline(ctx, rd.commands(&r)...)); err != nil {
		return err
	}
	defer rd.n.cfg.OnBatchEnd()
	return rd.reconcile(ctx, master, &r)
}
