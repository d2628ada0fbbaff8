package store

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"golang.org/x/sync/semaphore"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
	"github.com/sse-gateway/sse-gateway/store/tail"
	"github.com/sse-gateway/sse-gateway/store/topology"
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
	ExpectPolling bool          // that it has none is no reason to warn
	SweepInterval time.Duration // between safety reads of every channel
	ReadReplicas  bool          // read from replicas rather than masters; a single server, whose replicas are not known, is read itself
	Ready         Readiness     // when Health says that the store is ready
	Encoder       Encoder
	Metrics       *metrics.Store
	Log           *slog.Logger

	keepPages, returnWait time.Duration // for tests: instead of the constants, if not 0
}

// StalledAfter is how long Redis may be silent before its channels count as
// stalled.
const StalledAfter = tail.StalledAfter

const (
	// pageCacheTTL is how long at least a page that was read is kept. Clients
	// that were cut off by the same fault come back within that time of each
	// other, give or take the spread of their retry.
	pageCacheTTL = time.Second
	// pageCacheShare is the part of the logs' memory that kept pages may have on
	// top of it, as a divisor.
	pageCacheShare = 16
	// returnWait is about how long a master is followed before a replica is
	// looked for again; see topology.Options.
	returnWait = 10 * time.Second
)

// Store is a set of channels and what feeds them. Its methods may be called
// concurrently.
type Store struct {
	cfg     Config
	metrics metrics.Store
	budget  *eventlog.Budget
	topo    *topology.Topology
	onBatch atomic.Pointer[func()]
	started atomic.Bool // all nodes were alive once; see ReadyStarted

	// What the logs do not hold is read by these; see history.go.
	flights   flights
	longScans *semaphore.Weighted
	pages     *eventlog.PageCache

	// ctx ends with Close; work that is done for several callers hangs on it.
	ctx    context.Context
	cancel context.CancelFunc

	// mu guards the fields below. Invariant: a channel is in channels from the
	// first Subscribe until it has been without a subscription for the linger.
	// Lock order: mu before those of the topology, the budget and the logs.
	mu       sync.Mutex
	channels map[string]*channel
	closed   bool
}

// Open makes a store. Redis need not be reachable: Run keeps trying.
func Open(cfg Config) (*Store, error) {
	addr, err := redisurl.Parse(cfg.RedisURL)
	if err != nil {
		return nil, err
	}
	if err := addr.SetCredentials(cfg.RedisUsername, cfg.RedisPasswordFile); err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, metrics: *cfg.Metrics, channels: make(map[string]*channel),
		budget:    eventlog.NewBudget(cfg.WindowMemory, cfg.WindowEvents, cfg.Metrics),
		flights:   flights{all: make(map[want]*flight)},
		longScans: semaphore.NewWeighted(longScanReads),
		pages:     eventlog.NewPageCache(cfg.WindowMemory/pageCacheShare, cmp.Or(cfg.keepPages, pageCacheTTL)),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.metrics.WindowBytesMax.Set(float64(cfg.WindowMemory))
	s.topo = topology.New(topology.Options{
		Address: addr, ReadReplicas: cfg.ReadReplicas, ReturnWait: cmp.Or(cfg.returnWait, returnWait),
		HistoryReads: historyReads, Tail: s.tailConfig(addr),
	})
	return s, nil
}

func (s *Store) tailConfig(addr *redisurl.Address) *tail.Config {
	return &tail.Config{
		KeyPrefix: s.cfg.KeyPrefix, MaxEventBytes: s.cfg.MaxEventBytes,
		PollInterval: s.cfg.PollInterval, ExpectPolling: s.cfg.ExpectPolling, SweepInterval: s.cfg.SweepInterval,
		Dial: func(ctx context.Context, server string) (net.Conn, error) {
			o := addr.Options(server)
			o.DialTimeout = topology.DialTimeout
			return redis.NewDialer(o)(ctx, o.Network, o.Addr)
		},
		Credentials: addr.Credentials, DB: addr.DB,
		Encode: s.encode, EncodeGap: s.cfg.Encoder.EncodeGap, OnBatchEnd: s.batchEnded,
		Metrics: &s.metrics, Log: s.cfg.Log,
	}
}

// go-redis has one logger for the whole process, and tells it nothing that does not
// come back from a call as an error.
func init() { logging.Disable() }

// OnRound has f called after each batch of reads in which a tail has woken
// somebody, by the goroutine of the tail, which holds no lock that a cursor or a
// subscription needs. The tail waits for f, so f must be quick; it may be called
// by several at once.
func (s *Store) OnRound(f func()) { s.onBatch.Store(&f) }

func (s *Store) batchEnded() {
	if f := s.onBatch.Load(); f != nil {
		(*f)()
	}
}

// Run follows the channels until ctx ends. It must be called once; it returns
// nil after an orderly end. What Redis does is never a reason to return.
func (s *Store) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.janitor(ctx) })
	s.topo.Run(ctx)
	wg.Wait()
	return nil
}

// Close ends the reads that are under way and closes the connections to Redis.
// It is called after Run has returned.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	return s.topo.Close()
}

// janitor lets go of pages that are no longer recent, and keeps the gauges true.
func (s *Store) janitor(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		s.observe(time.Now())
		s.pages.Expire(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
