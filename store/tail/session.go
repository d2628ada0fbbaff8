package tail

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

const (
	// replyTimeout ends a session whose server owes a reply and sends nothing.
	// Two attempts fit into StalledAfter.
	replyTimeout = 2 * time.Second
	// probeInterval is how often a session verifies its server, and that it may
	// still read there.
	probeInterval = time.Second
)

// session is one connection to a server. It is owned by the goroutine that runs
// it, but for conn.Wake and conn.Close.
type session struct {
	n      *Node
	target Target
	conn   *resp.Conn
	can    abilities

	// The batch under way; kept for the memory.
	tasks   []task
	reads   []read
	checks  []read
	scratch []eventlog.Entry
	room    int // bytes that its replies may still take

	settleAt time.Time // requests for Source.Settled are not answered before

	// entries takes all replies with entries, one after the other; those of
	// current now.
	entries *redisstream.EntryReader
	current *read
}

// runSession connects to the node's server and follows its sources until the
// session ends. It returns why, and whether the session worked: it had
// answered.
func (n *Node) runSession(ctx context.Context) (worked bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	target, err := n.server.Locate(ctx)
	if err != nil {
		return false, err
	}
	conn, err := n.cfg.Dial(ctx, target.Addr)
	if err != nil {
		return false, err
	}
	s := n.newSession(target, resp.NewConn(conn, replyTimeout, n.readPush))
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	defer s.conn.Close()
	if s.can, err = handshake(ctx, s.conn, n.cfg, target.ReadOnly); err != nil {
		return false, err
	}
	if err := s.probe(); err != nil {
		return false, err
	}
	n.opened(s)
	defer func() {
		n.session.Store(nil)
		n.answer(n.takeSettling(), false)
	}()
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel(nil)
	watch.Go(func() {
		if err := n.server.Watch(ctx, target); err != nil {
			cancel(err)
		}
	})
	watch.Go(func() { n.reconcileUnsure(ctx, s.can) })
	err = s.run(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = cause // the connection was closed because of it
	}
	return true, err
}

func (n *Node) newSession(target Target, conn *resp.Conn) *session {
	s := &session{n: n, target: target, conn: conn}
	limits := redisstream.ReplyLimits(n.cfg.MaxEventBytes)
	limits.Room = &s.room
	s.entries = &redisstream.EntryReader{Limits: limits, Each: func(e redisstream.Entry) {
		s.current.entries = append(s.current.entries, n.cfg.Encode(s.current.Channel, e))
	}}
	return s
}

// opened notes that a session has begun.
func (n *Node) opened(s *session) {
	n.session.Store(s)
	n.cfg.Metrics.TailSessions.Inc()
	if s.can.why == nil {
		n.log.Debug("following", "addr", s.target.Addr)
	} else {
		level := slog.LevelWarn
		if n.cfg.ExpectPolling {
			level = slog.LevelDebug
		}
		n.log.Log(context.Background(), level, "the server does not announce changes: polling", "addr", s.target.Addr,
			"interval", n.cfg.PollInterval, "reason", s.can.why)
	}
	n.signOfLife(s.conn.LastArrival())
	n.live.failure.Store(nil)
	// What happened before tracking was on is unknown. To compare thousands of
	// sources takes seconds, so those without subscribers come last, and what
	// changes meanwhile comes first.
	n.enqueueAll(normal, low, readChecked)
}

// run reads what is queued and waits for more, until the session ends.
func (s *session) run(ctx context.Context) error {
	n := s.n
	sweepEvery := n.cfg.SweepInterval
	if s.can.why != nil {
		sweepEvery = n.cfg.PollInterval
	}
	now := time.Now()
	sweepAt, probeAt := now.Add(Jitter(sweepEvery)), now.Add(Jitter(probeInterval))
	for ctx.Err() == nil {
		if now = time.Now(); !now.Before(probeAt) || n.Stalled() {
			// Subscribers that were told that Redis is away are told that it is
			// back before they get an event.
			if err := n.server.Verify(s.conn); err != nil {
				return err
			}
			if err := s.probe(); err != nil {
				return err
			}
			probeAt = now.Add(Jitter(probeInterval))
			n.retryFailing()
		}
		if !now.Before(sweepAt) {
			n.enqueueAll(low, low, readSwept)
			sweepAt = now.Add(Jitter(sweepEvery))
		}
		if s.tasks = n.take(s.tasks[:0], n.batchLimit); len(s.tasks) == 0 {
			if err := s.conn.Wait(s.settleBy(earlier(probeAt, sweepAt))); err != nil {
				return err
			}
		} else {
			if err := s.readBatch(s.tasks); err != nil {
				n.shrinkBatch(s.tasks)
				return err
			}
			n.batchLimit = min(2*n.batchLimit, readBatch)
			n.caughtUp(now)
		}
		if err := s.settle(); err != nil {
			return err
		}
		n.signOfLife(s.conn.LastArrival())
	}
	return ctx.Err()
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// probe asks for a sign of life by a read under the gateway's prefix, so that a
// user who may no longer read counts as one who cannot. Any answer that is not
// about that will do, MOVED for one.
func (s *session) probe() error {
	s.conn.Append("XRANGE", s.n.cfg.KeyPrefix+"gateway.probe", "-", "+", "COUNT", "1")
	if err := s.conn.Flush(); err != nil {
		return err
	}
	err := s.conn.Reader.Status()
	if err != nil && !resp.IsReply(err) || resp.IsDenied(err) || resp.IsLoading(err) {
		return err
	}
	s.n.signOfLife(s.conn.LastArrival())
	return nil
}

// shrinkBatch makes the next reads smaller, after a session that ended while one
// was under way. The server, or a proxy before it, may have a limit of its own
// for what it sends, and what did not pass would not pass the next time.
func (n *Node) shrinkBatch(tasks []task) {
	n.batchLimit = max(n.batchLimit/4, 1)
	for _, t := range tasks {
		t.Size.Enlarge(0)
	}
}
