package tail

import (
	"context"
	"time"

	"github.com/sse-gateway/sse-gateway/store/resp"
)

// settleInterval is the least time between two round trips of a session that show
// which logs are settled. All who ask meanwhile share the next one: however many
// clients ask, the server answers 50 of these a second.
const settleInterval = 20 * time.Millisecond

// settleRequest is somebody who waits to hear whether a log is settled.
type settleRequest struct {
	source *Source
	answer chan bool // capacity 1
}

// Settled reports whether the log had all that its stream had, at some time after
// the call began. It reads no key: the server answers a transaction without
// commands, and what it has to push about a change comes before that reply. It
// blocks for about settleInterval at most while the server answers, and until ctx
// ends if it does not. False means that nothing is known: the server announces no
// changes, or the stream has yet to be read.
func (s *Source) Settled(ctx context.Context) bool {
	n := s.node.Load()
	if n == nil {
		return false
	}
	r := settleRequest{s, make(chan bool, 1)}
	if !n.requestSettled(r) {
		return false
	}
	n.wake()
	select {
	case settled := <-r.answer:
		return settled
	case <-ctx.Done():
		return false
	}
}

// requestSettled queues a request. It returns false if there is no session that
// could answer it.
func (n *Node) requestSettled(r settleRequest) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := n.session.Load(); s == nil || s.can.why != nil {
		return false
	}
	n.settling = append(n.settling, r)
	return true
}

// takeSettling returns the requests that are queued.
func (n *Node) takeSettling() []settleRequest {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.settling
	n.settling = nil
	return all
}

// settleBy returns when the session has to look at the requests that are queued,
// but not later than until.
func (s *session) settleBy(until time.Time) time.Time {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if len(s.n.settling) > 0 {
		return earlier(s.settleAt, until)
	}
	return until
}

// settle answers the requests that are queued, if it is time. No read is under way.
func (s *session) settle() error {
	if time.Now().Before(s.settleAt) {
		return nil
	}
	requests := s.n.takeSettling()
	if len(requests) == 0 {
		return nil
	}
	err := s.emptyTransaction()
	s.settleAt = time.Now().Add(settleInterval)
	s.n.answer(requests, err == nil)
	return err
}

// emptyTransaction waits for a reply of the server, whatever it is. The commands
// are among those that the gateway's user has, and no key is in them.
func (s *session) emptyTransaction() error {
	s.conn.Append("MULTI")
	s.conn.Append("EXEC")
	if err := s.conn.Flush(); err != nil {
		return err
	}
	for range 2 {
		if err := s.conn.Reader.Status(); err != nil && !resp.IsReply(err) {
			return err
		}
	}
	return nil
}

// answer answers requests; proven tells that the server has pushed what it had to
// push since they were made.
func (n *Node) answer(requests []settleRequest, proven bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range requests {
		r.answer <- proven && r.source.node.Load() == n && r.source.isRead()
	}
}

// isRead reports whether nothing is known that the log has yet to be told. That the
// safety sweep is about to come by is no such thing. The caller holds the mutex of
// the node that follows the source.
func (s *Source) isRead() bool {
	return s.causes&^readSwept == 0 && !s.failing && !s.unsure
}
