package tail

import (
	"context"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// settleInterval is the least time between two round trips of a session that show
// which logs are settled. All who ask meanwhile share the next one.
const settleInterval = 20 * time.Millisecond

// emptyTransaction has no key, nor PING, which proxies answer themselves.
var emptyTransaction = []redisstream.Command{
	{Args: []string{"MULTI"}, Read: (*resp.Reader).Status},
	{Args: []string{"EXEC"}, Read: (*resp.Reader).Status},
}

// Settled reports whether the log had all that its stream had, at some time after
// the call began. It reads no key: the server answers a transaction without
// commands, and what it has to push about a change comes before that reply. Settled blocks for about
// settleInterval at most while the server answers, and until ctx ends if it does
// not. False means that nothing is known: the server announces no changes, or the
// stream has yet to be read.
func (s *Source) Settled(ctx context.Context) bool {
	n := s.node.Load()
	if n == nil {
		return false
	}
	answer := make(chan bool, 1)
	n.mu.Lock()
	session := n.session.Load()
	tracked := session != nil && session.can.why == nil
	if tracked {
		n.settling = append(n.settling, func(proven bool) {
			// That the safety sweep is about to come by is nothing to read.
			answer <- proven && s.node.Load() == n && s.causes&^readSwept == 0 && !s.retry
		})
	}
	n.mu.Unlock()
	if !tracked {
		return false
	}
	session.conn.Wake()
	select {
	case settled := <-answer:
		return settled
	case <-ctx.Done():
		return false
	}
}

// settle answers those who wait in Settled, if it is time. No read is under way.
func (s *session) settle() error {
	now := time.Now()
	if now.Before(s.settleAt) {
		return nil
	}
	waiting := s.n.takeSettling()
	if len(waiting) == 0 {
		return nil
	}
	s.settleAt = now.Add(settleInterval)
	err := s.Pipeline(context.Background(), emptyTransaction...)
	if resp.IsReply(err) {
		err = nil // any reply will do
	}
	s.n.answer(waiting, err == nil)
	return err
}

func (n *Node) takeSettling() (all []func(proven bool)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all, n.settling = n.settling, nil
	return all
}

// answer answers those who wait. proven tells that the server has pushed what it
// had to push since they came.
func (n *Node) answer(waiting []func(proven bool), proven bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range waiting {
		f(proven)
	}
}
