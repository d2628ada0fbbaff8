package store

import (
	"context"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// probe asks both connections for a sign of life. On the reading one it is a
// read under the gateway's prefix, so that a user who may no longer read
// counts as one who cannot.
//
// That the time for an answer is over does not mean that there is none: on a
// starved machine it may be there, and nobody has taken it in. So the first look
// proves nothing, and the receiver has a moment until one does.
func (s *session) probe(ctx context.Context) error {
	now := time.Now()
	answered := s.hasAnswered()
	switch {
	case answered:
		s.n.answered = !s.pinged.IsZero()
		s.n.convict(s.pinged)
		s.pinged, s.missing = now, time.Time{}
		if err := s.ping(); err != nil {
			return err
		}
	case !answered && s.missing.IsZero():
		s.missing = now
	case !answered && now.Sub(s.pinged) > replyTimeout && now.Sub(s.missing) >= probeInterval/2:
		return errSilent
	}
	if err := s.ask(ctx); err != nil {
		return err
	}
	if answered {
		s.n.prove(now)
	}
	s.n.retryFailing()
	return nil
}

// hasAnswered reports whether the invalidation connection, if there is one, has
// answered since it was last asked.
func (s *session) hasAnswered() bool { return !s.tracking || !s.pong.Load().Before(s.pinged) }

// ask is the part of probe that is about the reading connection.
func (s *session) ask(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.asks.rested()
	r, err := rawReply(ctx, s.conn, "XRANGE", s.n.store.cfg.KeyPrefix+"gateway.probe", "-", "+", "COUNT", "1")
	if err != nil {
		return err
	}
	if _, err := r.array(); isDenied(err) || isLoading(err) {
		return err // any other answer, MOVED for one, is a sign of life
	}
	if s.n.verify == nil {
		return nil
	}
	return s.n.verify(ctx, s.conn)
}

// ping asks the invalidation connection, if there is one, for a sign of life.
func (s *session) ping() error {
	if !s.tracking {
		return nil
	}
	s.told.command("PING")
	return s.told.send()
}

// watchName ends a session with a master when others say that it is another
// one's turn.
func (s *session) watchName(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(jitter(probeInterval)):
		}
		if err := s.n.named(ctx, s.addr); err != nil {
			s.end(err)
			return
		}
	}
}

// end has loop return the error. The first one counts.
func (s *session) end(err error) {
	select {
	case s.leave <- err:
	default:
	}
}

// askForLess makes the reads of the next session smaller after one that Redis
// did not answer in time: what does not fit into replyTimeout, be it for the
// size of the entries or for a slow network, would not fit the next time.
func (n *node) askForLess(tasks []task, err error) {
	if errorKind(err) != metrics.RedisTimeout {
		return
	}
	n.batch = max(n.batch/4, 1)
	for _, t := range tasks {
		t.w.lessTailed()
	}
}
