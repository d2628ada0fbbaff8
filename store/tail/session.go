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

// session is one connection to a server. It is owned by the goroutine of Run, but
// for conn.Wake and conn.Close.
type session struct {
	*reader
	conn *resp.Conn

	// The batch under way; kept for the memory.
	tasks   []task
	reads   []read
	checks  []read
	scratch []eventlog.Entry

	settleAt time.Time // requests for Source.Settled are not answered before
}

// runSession connects to the node's server and follows its sources until the
// session ends. It returns why, and whether the server had answered.
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
	c := resp.NewConn(conn, replyTimeout, n.readPush)
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	defer c.Close()
	can, err := handshake(ctx, c, n.cfg, target.ReadOnly)
	if err != nil {
		return false, err
	}
	s := &session{reader: n.newReader(can, &target), conn: c}
	if err := s.probe(); err != nil {
		return false, err
	}
	n.opened(s)
	defer func() {
		n.session.Store(nil)
		n.answer(n.takeSettling(), false)
	}()
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel(nil)
	others.Go(func() {
		if err := n.server.Watch(ctx, target); err != nil {
			cancel(err)
		}
	})
	others.Go(func() { n.retryAll(ctx, can) })
	err = s.run(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = cause // the connection was closed because of it
	}
	return true, err
}

func (n *Node) opened(s *session) {
	n.session.Store(s)
	n.cfg.Metrics.TailSessions.Inc()
	level, text, args := slog.LevelDebug, "following", []any{"addr", s.target.Addr}
	if s.can.why != nil {
		text, args = "the server does not announce changes: polling", append(args, "interval", n.cfg.PollInterval, "reason", s.can.why)
		if !n.cfg.ExpectPolling {
			level = slog.LevelWarn
		}
	}
	n.log.Log(context.Background(), level, text, args...)
	// What happened before tracking was on is unknown. To compare thousands of
	// sources takes seconds.
	n.enqueueAll(normal, low, readChecked)
}

// run reads what is queued and waits for more.
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
		}
		if !now.Before(sweepAt) {
			n.enqueueAll(low, low, readSwept)
			sweepAt = now.Add(Jitter(sweepEvery))
		}
		if s.tasks = n.take(s.tasks[:0], n.batchLimit); len(s.tasks) == 0 {
			wait := probeAt
			for _, t := range []time.Time{sweepAt, s.settleAt} {
				if t.Before(wait) && now.Before(t) {
					wait = t
				}
			}
			if err := s.conn.Wait(wait); err != nil {
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

// probe asks for a sign of life by a read under the gateway's prefix, so that a
// user who may no longer read counts as one who cannot. Any answer that is not
// about that will do, MOVED for one.
func (s *session) probe() error {
	err := s.Pipeline(context.Background(), redisstream.Command{
		Args: []string{"XRANGE", s.n.cfg.KeyPrefix + "gateway.probe", "-", "+", "COUNT", "1"}, Read: (*resp.Reader).Status,
	})
	if err != nil && !resp.IsReply(err) || resp.IsDenied(err) || resp.IsLoading(err) {
		return err
	}
	s.n.signOfLife(s.conn.LastArrival())
	return nil
}

// shrinkBatch makes the next reads smaller, after a session that ended while one
// was under way: the server, or a proxy, may have a limit for what it sends.
func (n *Node) shrinkBatch(tasks []task) {
	n.batchLimit = max(n.batchLimit/4, 1)
	for _, t := range tasks {
		t.Size.Enlarge(0)
	}
}
