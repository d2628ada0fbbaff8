package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/metrics"
)

const (
	dialTimeout = 3 * time.Second
	// replyTimeout ends a session whose server is silent. Two attempts fit
	// into StalledAfter.
	replyTimeout = 2 * time.Second
	// probeInterval is how often an idle session asks for a sign of life.
	probeInterval = time.Second
	// readBatch is how many streams one pipeline reads: enough to make round
	// trips cheap, few enough to see a new invalidation soon.
	readBatch = 128
)

var (
	errRedialled = errors.New("the connection was lost")
	errSilent    = errors.New("the invalidation connection is silent")
)

// session is one pair of connections to a node: inval is subscribed to the
// invalidation messages, and read has CLIENT TRACKING redirected to inval.
// Reading a key arms tracking for it, atomically with the read, so that no
// write after the read goes unannounced.
//
// go-redis dials again, silently, when a connection breaks, and the new one
// would have no tracking. So each of the two clients may dial only once; the
// second attempt fails, and with it the session.
type session struct {
	n        *node
	inval    *redis.Client
	pubsub   *redis.PubSub // nil without tracking
	read     *redis.Client
	conn     querier
	tracking bool
	pong     atomic.Int64  // when inval last answered, in Unix nanoseconds
	pinged   time.Time     // when it was last asked; owned by loop
	broken   chan error    // capacity 1: why inval ended
	leave    chan error    // capacity 1: why another server is to be read from
	addr     string        // of the server
	doubts   *doubts       // nil if the server is a master
	over     chan struct{} // closed when the receiver has returned
}

// querier is what reads of the tail need of a connection.
type querier interface {
	Pipeline() redis.Pipeliner
	TxPipeline() redis.Pipeliner
	Process(ctx context.Context, cmd redis.Cmder) error
}

// runSession opens a session, follows the node's channels with it until it
// breaks, and returns why it did.
func (n *node) runSession(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	addr, err := n.addr(ctx)
	if err != nil {
		return err
	}
	s, err := n.openSession(ctx, addr)
	if err != nil {
		return err
	}
	defer s.close()
	n.store.metrics.TailSessions.Inc()
	n.log.Debug("tail session opened", "addr", addr, "tracking", s.tracking)
	// What happened before tracking was on is unknown.
	n.enqueueAll(readChecked)
	if n.replicas != nil {
		var watch sync.WaitGroup
		defer watch.Wait()
		defer cancel()
		watch.Go(func() { s.watch(ctx) })
	}
	return s.loop(ctx)
}

func (n *node) openSession(ctx context.Context, addr string) (_ *session, err error) {
	s := &session{n: n, addr: addr, broken: make(chan error, 1), leave: make(chan error, 1), over: make(chan struct{})}
	if n.replicas != nil && n.replicas.fromReplica() {
		s.doubts = newDoubts()
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	var client atomic.Pointer[redis.IntCmd] // CLIENT ID of inval
	opts := n.opts.options(addr)
	opts.PoolSize, opts.MaxRetries, opts.DialerRetries = 1, -1, 1
	opts.ConnMaxIdleTime, opts.ConnMaxLifetime = -1, -1
	invalOpts := *opts
	invalOpts.Dialer = dialOnce(opts)
	invalOpts.OnConnect = func(ctx context.Context, c *redis.Conn) error {
		cmd := c.ClientID(ctx)
		client.Store(cmd)
		if err := cmd.Err(); !isUnsupported(err) {
			return err
		}
		return nil
	}
	s.inval = redis.NewClient(&invalOpts)
	readOpts := *opts
	readOpts.Dialer = dialOnce(opts)
	if n.replicas != nil && n.opts.topology == cluster {
		readOpts.OnConnect = readOnly
	}
	s.read = redis.NewClient(&readOpts)

	s.pubsub = s.inval.Subscribe(ctx) // which would keep the error to itself
	err = s.pubsub.Subscribe(ctx, "__redis__:invalidate")
	if err == nil {
		_, err = s.pubsub.ReceiveTimeout(ctx, dialTimeout)
	}
	if err != nil {
		return nil, fmt.Errorf("subscribe to invalidations: %w", err)
	}
	// A Conn stays with its connection; the client would also use one of its
	// pool for pipelines.
	conn := s.read.Conn()
	s.conn = conn
	id, err := client.Load().Result()
	if err == nil {
		err = conn.Do(ctx, "CLIENT", "TRACKING", "ON", "REDIRECT", id).Err()
	}
	switch {
	case err == nil:
		s.tracking = true
		go s.receive(ctx)
	case isUnsupported(err):
		n.log.Warn("redis has no CLIENT TRACKING, or does not let us use it: polling", "interval", n.store.cfg.PollInterval, "error", err)
		s.stopReceiving()
		err = nil
	default:
		return nil, fmt.Errorf("switch tracking on: %w", err)
	}
	return s, nil
}

// isUnsupported reports that the server does not know, or does not allow, the
// command.
func isUnsupported(err error) bool {
	var re redis.Error
	return errors.As(err, &re) && hasAnyPrefix(strings.ToLower(err.Error()), "err unknown", "err syntax", "err wrong number", "noperm", "err 'client")
}

// dialOnce returns a dialer that works one time.
func dialOnce(opts *redis.Options) func(context.Context, string, string) (net.Conn, error) {
	var used atomic.Bool
	dial := redis.NewDialer(opts)
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if used.Swap(true) {
			return nil, errRedialled
		}
		return dial(ctx, network, addr)
	}
}

func (s *session) stopReceiving() {
	_ = s.pubsub.Close()
	s.pubsub = nil
}

func (s *session) close() {
	if c, ok := s.conn.(*redis.Conn); ok {
		_ = c.Close()
	}
	if s.read != nil {
		_ = s.read.Close()
	}
	if s.pubsub != nil {
		_ = s.pubsub.Close()
	}
	if s.inval != nil {
		_ = s.inval.Close()
	}
	if s.tracking {
		<-s.over
	}
}

// receive takes invalidations until the connection breaks or is closed.
func (s *session) receive(ctx context.Context) {
	defer close(s.over)
	for {
		msg, err := s.pubsub.Receive(ctx)
		if err != nil && strings.HasSuffix(err.Error(), "payload: <nil>") {
			// FLUSHALL and FLUSHDB invalidate nil, which go-redis does not know.
			s.n.log.Info("a database was flushed")
			s.n.enqueueAll(readInvalidated)
			continue
		}
		if err != nil {
			s.broken <- err
			return
		}
		switch m := msg.(type) {
		case *redis.Message:
			if m.PayloadSlice != nil {
				s.n.invalidate(m.PayloadSlice)
			} else {
				s.n.invalidate([]string{m.Payload})
			}
		case *redis.Pong:
			s.pong.Store(time.Now().UnixNano())
		}
	}
}

// loop reads what changed until the session breaks. It is the only one that
// writes to the windows of its node.
func (s *session) loop(ctx context.Context) error {
	n := s.n
	sweepEvery := n.store.cfg.SweepInterval
	if !s.tracking {
		sweepEvery = n.store.cfg.PollInterval
	}
	sweep := time.NewTimer(jitter(sweepEvery))
	defer sweep.Stop()
	probe := time.NewTicker(probeInterval)
	defer probe.Stop()
	if err := s.probe(ctx); err != nil {
		return err
	}
	tasks := make([]task, 0, readBatch)
	for {
		tasks = n.take(tasks[:0], n.batch)
		idle := n.signal
		if len(tasks) > 0 {
			now := time.Now()
			if err := s.readAll(ctx, tasks); err != nil {
				n.askForLess(tasks, err)
				return err
			}
			n.caughtUp(now)
			n.batch = min(2*n.batch, readBatch)
			idle = closedSignal // look at the tickers, but do not wait
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.broken:
			return err
		case err := <-s.leave:
			return err
		case <-sweep.C:
			n.enqueueAll(readSwept)
			sweep.Reset(jitter(sweepEvery))
		case <-probe.C:
			if err := s.probe(ctx); err != nil {
				return err
			}
		case <-idle:
		}
	}
}

// jitter spreads a period by ±20 %, so that replicas do not act in step.
func jitter(d time.Duration) time.Duration { return d - d/5 + rand.N(d*2/5+1) }

// closedSignal is always ready.
var closedSignal = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// probe asks both connections for a sign of life. On the reading one it is a
// read under the gateway's prefix, so that a user who may no longer read
// counts as one who cannot.
func (s *session) probe(ctx context.Context) error {
	now := time.Now()
	answered := !s.tracking || s.pong.Load() >= s.pinged.UnixNano()
	switch {
	case answered && s.tracking:
		s.n.convict(s.pinged)
		s.pinged = now
		if err := s.pubsub.Ping(ctx); err != nil {
			return err
		}
	case !answered && now.Sub(s.pinged) > replyTimeout:
		return errSilent
	}
	r, err := rawReply(ctx, s.conn, "XRANGE", s.n.store.cfg.KeyPrefix+"gateway.probe", "-", "+", "COUNT", "1")
	if err != nil {
		return err
	}
	if _, err := r.array(); isDenied(err) || isLoading(err) {
		return err // any other answer, MOVED for one, is a sign of life
	}
	if s.n.verify != nil {
		if err := s.n.verify(ctx, s.conn); err != nil {
			return err
		}
	}
	if answered {
		s.n.prove(now)
	}
	s.n.retryFailing()
	return nil
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
		t.w.askForLess()
	}
}

// askForLess makes the next read of the stream ask for fewer entries: one in two
// steps or three, since each costs a replyTimeout.
func (w *window) askForLess() { w.avgSize.Store(min(16*w.avgSize.Load(), tailBytes)) }
