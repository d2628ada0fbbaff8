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

	"github.com/sse-gateway/sse-gateway/store/redisurl"
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
//
// go-redis opens and prepares both. What happens for every event goes over the
// wires: the goroutine that is told that keys have changed reads them itself,
// see receive, and so nobody has to be woken for it.
type session struct {
	n        *node
	inval    *redis.Client
	pubsub   *redis.PubSub // nil without tracking
	read     *redis.Client
	conns    [2]atomic.Pointer[net.Conn] // of inval and read, once dialled
	told     *wire                       // over inval's: what Redis has to say; nil without tracking
	tracking bool
	pong     moment        // when inval last answered
	pinged   time.Time     // when it was last asked; owned by loop
	missing  time.Time     // when the answer was first found not to be there; owned by loop
	broken   chan error    // capacity 1: why receive ended
	leave    chan error    // capacity 1: why another server is to be read from; see end
	addr     string        // of the server
	doubts   *doubts       // nil if the server is a master
	over     chan struct{} // closed when receive has returned

	// mu guards the connection that reads, and so the windows of the node,
	// which are only changed by what it reads. Invariant: nothing is
	// outstanding on it while mu is free, unless the session is broken.
	mu   sync.Mutex
	conn querier // of read; it goes over the same connection as asks
	asks *wire
	kept []byte // for the replies, one after the other
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
	n.resync()
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	if n.replicas != nil {
		watch.Go(func() { s.watch(ctx) })
	}
	if n.named != nil && s.doubts == nil {
		watch.Go(func() { s.watchName(ctx) })
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
	invalOpts.Dialer = dialOnce(opts, &s.conns[0])
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
	readOpts.Dialer = dialOnce(opts, &s.conns[1])
	if n.replicas != nil && n.opts.Topology == redisurl.Cluster {
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
	if err := conn.Ping(ctx).Err(); err != nil { // which dials
		return nil, fmt.Errorf("open the reading connection: %w", err)
	}
	s.asks = newWire(*s.conns[1].Load(), replyTimeout)
	id, err := client.Load().Result()
	if err == nil {
		err = conn.Do(ctx, "CLIENT", "TRACKING", "ON", "REDIRECT", id).Err()
	}
	switch {
	case err == nil:
		// Nothing comes from inval before the first read of a key, and
		// go-redis has read what it was sent so far.
		s.told = newWire(*s.conns[0].Load(), 0)
		_ = s.told.conn.SetDeadline(time.Time{})
		s.tracking = true
		go s.receive()
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

// dialOnce returns a dialer that works one time and says what it has dialled.
func dialOnce(opts *redis.Options, dialled *atomic.Pointer[net.Conn]) func(context.Context, string, string) (net.Conn, error) {
	var used atomic.Bool
	dial := redis.NewDialer(opts)
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if used.Swap(true) {
			return nil, errRedialled
		}
		conn, err := dial(ctx, network, addr)
		if err == nil {
			dialled.Store(&conn)
		}
		return conn, err
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

// loop reads what is queued by others than receive, and what that leaves, until
// the session breaks.
func (s *session) loop(ctx context.Context) error {
	n := s.n
	stop := context.AfterFunc(ctx, s.interrupt)
	defer stop()
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
		var err error
		if tasks, err = s.round(tasks); err != nil {
			return err
		}
		idle := n.signal
		if len(tasks) > 0 {
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

// interrupt ends what the wires wait for.
func (s *session) interrupt() {
	for i := range s.conns {
		if c := s.conns[i].Load(); c != nil {
			_ = (*c).SetDeadline(past)
		}
	}
}

// past is a deadline that ends a wait at once.
var past = time.Unix(1, 0)

// jitter spreads a period by ±20 %, so that replicas do not act in step.
func jitter(d time.Duration) time.Duration { return d - d/5 + rand.N(d*2/5+1) }

// closedSignal is always ready.
var closedSignal = func() chan struct{} { c := make(chan struct{}); close(c); return c }()
