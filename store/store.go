// Package store keeps the recent past of Redis Streams in memory and follows
// them: it hands out cursors over channels, one Stream per channel, that read
// from memory when they can and from Redis when they must.
//
// A replica tails each channel once, whoever and however many are subscribed.
// Delivery of what is new, resume after a reconnect, catching up after falling
// behind and replay are all the same operation: Cursor.Next, and Cursor.Fetch
// where memory does not reach.
//
// The package only reads. With access control lists, its user needs the keys
// under the prefix to be readable, the channel __redis__:invalidate, and these
// commands:
//
//	%R~<prefix>* &__redis__:invalidate +xinfo|stream +xrange +xrevrange +multi +exec
//	+subscribe +ping +client|id +client|tracking
//	+role                                   with Sentinel
//	+cluster|slots +cluster|nodes +asking   with Redis Cluster
//	+info +readonly                         to read from replicas, the latter on a cluster
//
// On the sentinels it needs +sentinel|master, and +sentinel|replicas to read
// from replicas.
//
// Without +client|id or +client|tracking it polls, as it does with a server
// that has no CLIENT TRACKING.
package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

// Config is what Open needs. All durations and sizes must be positive.
type Config struct {
	RedisURL string // see redisurl.Parse
	// RedisUsername and RedisPasswordFile may stand in for what RedisURL lacks;
	// see redisurl.Address.SetCredentials.
	RedisUsername, RedisPasswordFile string

	KeyPrefix     string // a channel's key is KeyPrefix + channel
	MaxEventBytes int    // names and values of an entry; a larger entry becomes a gap
	WindowEvents  int    // kept per channel
	WindowMemory  int    // bytes kept over all channels
	WindowLinger  time.Duration
	PollInterval  time.Duration // between reads of a Redis without CLIENT TRACKING
	SweepInterval time.Duration // between safety reads of every channel
	ReadReplicas  bool          // read from replicas rather than masters; not with redisurl.Single
	Encoder       Encoder
	Metrics       *metrics.Store
	Log           *slog.Logger

	// For tests: onReply, if set, is shown each reply with entries; keepPages, if
	// not 0, is instead of recentFor.
	onReply   func(*keeper)
	keepPages time.Duration
}

// StalledAfter is how long Redis may be silent before its channels count as
// stalled and the replica as not ready.
const StalledAfter = 5 * time.Second

// Store is a set of windows and what feeds them. Its methods may be called
// concurrently.
type Store struct {
	cfg     Config
	metrics metrics.Store
	log     *slog.Logger
	history *history
	budget  budget
	topo    topologyManager
	onRound atomic.Pointer[func()]

	// ctx ends with Close; work that is done for several callers hangs on it.
	ctx    context.Context
	cancel context.CancelFunc

	// mu guards the fields below. Invariant: a window is in windows from the
	// first Subscribe until it has been without a subscription for the linger.
	mu      sync.Mutex
	windows map[string]*window // by channel
	idle    []idleWindow       // in the order of their becoming idle
	closed  bool
}

// idleWindow is a window that had no subscription from since on.
type idleWindow struct {
	w     *window
	since time.Time
}

var errOneServer = errors.New("the URL names one server, whose replicas are not known: accepted is redis+sentinel:// or redis+cluster://, " +
	"or the address of the replica itself as the server")

// Open makes a store. Redis need not be reachable: Run keeps trying.
func Open(cfg Config) (*Store, error) {
	addr, err := redisurl.Parse(cfg.RedisURL)
	if err != nil {
		return nil, err
	}
	if err := addr.SetCredentials(cfg.RedisUsername, cfg.RedisPasswordFile); err != nil {
		return nil, err
	}
	if cfg.ReadReplicas && addr.Topology == redisurl.Single {
		return nil, errOneServer
	}
	e := &endpoint{Address: addr, replicas: cfg.ReadReplicas}
	s := &Store{cfg: cfg, metrics: *cfg.Metrics, log: cfg.Log, windows: make(map[string]*window)}
	redisLogger.Do(func() { redis.SetLogger(debugLogger{cfg.Log}) })
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.budget = budget{max: cfg.WindowMemory, metrics: cfg.Metrics}
	s.metrics.WindowBytesMax.Set(float64(cfg.WindowMemory))
	s.topo = newTopology(s, e)
	s.history = &history{
		store: s, client: s.topo.historyClient,
		room: semaphore.NewWeighted(historyConns), far: semaphore.NewWeighted(farReaders),
		recent: recentPages{maxBytes: cfg.WindowMemory / recentPart, keep: cmp.Or(cfg.keepPages, recentFor)},
	}
	return s, nil
}

// redisLogger guards go-redis's only logger, which is of the whole process.
var redisLogger sync.Once

// debugLogger takes what go-redis has to say. Every error that matters comes
// back from a call as well.
type debugLogger struct{ log *slog.Logger }

func (l debugLogger) Printf(ctx context.Context, format string, v ...any) {
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, fmt.Sprintf(format, v...))
	}
}

// OnRound has f called after each round of reads in which a tail has woken
// somebody, by the goroutine of the tail, which holds no lock that a cursor or a
// subscription needs. The tail waits for f, so f must be quick; it may be called
// by several at once.
func (s *Store) OnRound(f func()) { s.onRound.Store(&f) }

func (s *Store) roundOver() {
	if f := s.onRound.Load(); f != nil {
		(*f)()
	}
}

// Run follows the channels until ctx ends. It must be called once; it returns
// nil after an orderly end. What Redis does is never a reason to return.
func (s *Store) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.topo.run(ctx) })
	g.Go(func() error { return s.janitor(ctx) })
	return g.Wait()
}

// Close ends the reads that are under way and closes the connections to Redis.
// It is called after Run has returned.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	return s.topo.close()
}

// encode makes an entry of what Redis sent.
func (s *Store) encode(channel string, e rawEntry) Entry {
	if e.tooLarge || e.size > s.cfg.MaxEventBytes {
		gap := Gap{Channel: channel, After: e.id.Prev(), Resumed: e.id, Reason: metrics.GapTooLarge}
		return Entry{ID: e.id, Frame: s.cfg.Encoder.EncodeGap(gap), Kind: KindTooLarge}
	}
	enc := s.cfg.Encoder.EncodeEntry(channel, e.id, e.fields)
	return Entry{ID: e.id, Frame: enc.Frame, End: enc.End, nameDropped: enc.NameDropped}
}

// countRead counts events that were read, and the names that they lost. It is
// for those that are used: a read may encode entries only to find that nothing
// proves yet that they follow the head.
func (s *Store) countRead(source string, entries []Entry) {
	events, dropped := 0, 0
	for i := range entries {
		if entries[i].Kind != KindTrimmed {
			events++
		}
		if entries[i].nameDropped {
			dropped++
		}
	}
	s.metrics.EventsRead.WithLabelValues(source).Add(float64(events))
	s.metrics.EventNamesDropped.Add(float64(dropped))
}

// Health tells whether every Redis node's tail has proved itself alive within
// StalledAfter, and if not, why, in words that may be shown to an operator.
func (s *Store) Health() (ok bool, reason string) { return s.topo.health() }

// janitor closes the windows that nobody has been subscribed to for the
// linger, lets go of pages that are no longer recent, and keeps the gauges true.
func (s *Store) janitor(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		s.topo.observe(&s.metrics)
		s.closeIdle(time.Now().Add(-s.cfg.WindowLinger))
		s.history.recent.expire(time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// closeIdle closes the windows that have been idle since before deadline.
func (s *Store) closeIdle(deadline time.Time) {
	s.mu.Lock()
	var expired []*window
	n := 0
	for ; n < len(s.idle) && !s.idle[n].since.After(deadline); n++ {
		w := s.idle[n].w
		w.inIdle = false
		switch {
		case w.refs > 0 || s.windows[w.channel] != w:
		case w.idleSince.After(deadline): // it was in use again in between
			w.inIdle = true
			s.idle = append(s.idle, idleWindow{w, w.idleSince})
		default:
			delete(s.windows, w.channel)
			expired = append(expired, w)
		}
	}
	s.idle = slices.Delete(s.idle, 0, n)
	s.metrics.ChannelsActive.Set(float64(len(s.windows)))
	s.mu.Unlock()
	for _, w := range expired {
		s.discard(w)
	}
}

// discard lets go of a window that is no longer in s.windows.
func (s *Store) discard(w *window) {
	w.node.Store(nil)
	s.budget.forget(w, w.close())
}

// lookup returns the window of a key, nil if there is none.
func (s *Store) lookup(key []byte) *window {
	channel, ok := bytes.CutPrefix(key, []byte(s.cfg.KeyPrefix))
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.windows[string(channel)]
}

// inUse reports whether somebody is subscribed to the window, or about to be.
func (s *Store) inUse(w *window) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return w.refs > 0
}

// assigned returns the windows that a node tails.
func (s *Store) assigned() []*window {
	s.mu.Lock()
	defer s.mu.Unlock()
	ws := make([]*window, 0, len(s.windows))
	for _, w := range s.windows {
		if w.node.Load() != nil {
			ws = append(ws, w)
		}
	}
	return ws
}

// recheck has the tail compare the window with the stream.
func (s *Store) recheck(w *window) {
	if n := w.node.Load(); n != nil {
		n.enqueue(w, readChecked)
	}
}
