package tail

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// Config is what all nodes of a store share. All of it is needed but DB.
type Config struct {
	KeyPrefix     string
	MaxEventBytes int           // names and values of an entry; a larger one is a gap
	PollInterval  time.Duration // between reads of a server without CLIENT TRACKING
	ExpectPolling bool          // that a server has none is no reason to warn
	SweepInterval time.Duration // between safety reads of every channel

	// Dial connects to a server, with TLS if the configuration says so.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Credentials returns whom to authenticate as; called for each session.
	Credentials func(ctx context.Context) (username, password string, err error)
	DB          int

	// Encode makes an entry of the log. The fields are valid during the call only.
	Encode    func(channel string, e redisstream.Entry) eventlog.Entry
	EncodeGap func(eventlog.Gap) []byte
	// OnBatchEnd is called after each batch of reads in which somebody may have
	// been woken. The tail waits for it, and holds no lock that a cursor or a
	// subscription needs.
	OnBatchEnd func()

	Metrics *metrics.Store
	Log     *slog.Logger
}

// Target is the server that a session connects to.
type Target struct {
	Addr     string
	Replica  bool // it may be behind: a gap counts only if the master has it too
	ReadOnly bool // it is a cluster's replica, which answers only after READONLY
}

// Server tells a Node where its server is. The node's goroutines call Watch and
// Master beside the other methods, and those one at a time.
type Server interface {
	// Locate returns what a new session connects to.
	Locate(ctx context.Context) (Target, error)
	// Verify asks over a session's connection whether its server is still the one to
	// follow, about every second. Its error ends the session.
	Verify(c Asker) error
	// Watch runs beside a session until ctx ends, or returns an error that ends
	// the session, ErrSwitchServer for one. It may return nil at once.
	Watch(ctx context.Context, t Target) error
	// Changed is told why another server may be the one to follow: a session
	// ended, or the server has answered MOVED or ASK for a key.
	Changed(because error)
	// Master asks the master; nil if the session's server is the only one to ask.
	Master(ctx context.Context) (redisstream.Querier, error)
}

// ErrSwitchServer ends a session because another server is to be followed.
var ErrSwitchServer = errors.New("another server is to be followed")

// Asker runs one command with a small reply; see resp.Conn.Do.
type Asker interface {
	Do(args ...string) (any, error)
}

// Node follows the sources of one server: the only one, the master that the
// sentinels name, or one master of a cluster. Its methods may be called
// concurrently.
type Node struct {
	// Fixed at construction.
	cfg    *Config
	name   string // for logs: the address, or the name of the master
	server Server
	log    *slog.Logger

	batchLimit int // streams that one batch reads, readBatch at most; owned by the goroutine of Run
	session    atomic.Pointer[session]

	// mu guards the fields below, and noted of the sources. Lock order: mu before
	// Source.mu. Invariant: sources are those whose node this is, by key.
	mu sync.Mutex
	liveness
	sources    map[string]*Source
	queues     [priorities][]*Source
	retry      bool                // there may be a source with retry set
	settling   []func(proven bool) // those who wait in Source.Settled; none while there is no session. Called under mu
	dirtySince time.Time           // when the first source of more than low priority was queued; zero if caught up
}

// NewNode returns a node without sources.
func NewNode(cfg *Config, name string, server Server) *Node {
	return &Node{
		cfg: cfg, name: name, server: server, log: cfg.Log.With("redis", name),
		batchLimit: readBatch, liveness: liveness{aliveAt: time.Now()}, sources: make(map[string]*Source),
	}
}

// Name returns the name of the node, for logs.
func (n *Node) Name() string { return n.name }

// Add has the node follow a source, which no other node follows.
func (n *Node) Add(s *Source) {
	n.mu.Lock()
	n.sources[s.Key] = s
	s.node.Store(n)
	n.mu.Unlock()
	n.enqueue(s, readPlain)
}

// Remove ends what Add began. It reports whether the node followed the source.
func (n *Node) Remove(s *Source) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dropLocked(s, nil)
}

// dropLocked gives a source to another node, or to none. The caller holds mu.
func (n *Node) dropLocked(s *Source, to *Node) bool {
	if s.node.Load() != n {
		return false
	}
	delete(n.sources, s.Key)
	s.noted = noted{}
	s.node.Store(to)
	return true
}

// Sources returns the sources that the node follows.
func (n *Node) Sources() []*Source {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Values(n.sources))
}

// Move has another node follow a source that this one follows, and compare its
// log with the stream first. It reports whether this one followed it. Calls of
// all nodes come one after the other: Move holds the mutexes of both, because a
// Remove that found no node in between would leave the source.
func (n *Node) Move(s *Source, to *Node) bool {
	n.mu.Lock()
	to.mu.Lock()
	followed := n.dropLocked(s, to)
	if followed {
		to.sources[s.Key] = s
	}
	to.mu.Unlock()
	n.mu.Unlock()
	if followed {
		to.enqueue(s, readChecked)
		s.wake(false) // one of the two may be stalled and the other not
	}
	return followed
}

// The wait before a new session: short at first, and after a session that worked,
// because a connection that was cut is mostly good again at once; then doubled.
const (
	minBackoff = 20 * time.Millisecond
	maxBackoff = 2 * time.Second
)

// Run keeps a session with the server open until ctx ends.
func (n *Node) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { n.watchStalled(ctx) })
	backoff := minBackoff
	for ctx.Err() == nil {
		worked, err := n.runSession(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, ErrSwitchServer) {
			n.log.Info("the tail moves to another server", "reason", err)
			continue // which is there
		}
		n.cfg.Metrics.RedisErrors.WithLabelValues(rediserr.Kind(err)).Inc()
		n.mu.Lock()
		n.failure = err
		if n.dirtySince.IsZero() {
			n.dirtySince = time.Now() // from now on changes go unseen
		}
		n.mu.Unlock()
		n.server.Changed(err)
		if worked {
			backoff = minBackoff
		}
		level := slog.LevelDebug // for attempts while the node is away
		if backoff == minBackoff {
			level = slog.LevelWarn
		}
		n.log.Log(ctx, level, "the session with Redis ended", "error", err, "retry", backoff)
		sleep(ctx, backoff/2+rand.N(backoff))
		backoff = min(2*backoff, maxBackoff)
	}
}

// sleep waits, and reports whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Jitter spreads a period by ±20 %, so that replicas do not act in step.
func Jitter(d time.Duration) time.Duration { return d - d/5 + rand.N(d*2/5+1) }
