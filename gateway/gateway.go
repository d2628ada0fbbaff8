// Package gateway serves Redis Streams to browsers as Server-Sent Events.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/gateway/revocation"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// Store is what the gateway needs of package store. Its methods may be called
// concurrently.
type Store interface {
	// Subscribe starts an interest in a channel. It blocks, on the first
	// subscription of a channel, until Redis has answered or ctx ends; errors
	// are store.ErrWrongType, store.ErrUnavailable, which is passing, and
	// store.ErrClosed.
	Subscribe(ctx context.Context, channel string, w store.Waker) (*store.Subscription, error)
	// OnRound has f called by the goroutine that has called wakers with deferred
	// set, after the last of them.
	OnRound(f func())
	// Health tells whether Redis is there, and if not, why.
	Health() (ok bool, reason string)
}

// Authorizer decides who may subscribe to what. Its methods may be called
// concurrently.
type Authorizer interface {
	// Authorize returns the client's grant for all of the channels, or an
	// *access.Refusal.
	Authorize(r *http.Request, channels []string) (access.Grant, error)
}

// Revocations tells which grants were withdrawn. Its methods may be called
// concurrently.
type Revocations interface {
	// Watch has the stream ended when its grant is withdrawn, until the watch is
	// stopped; false if it has been already.
	Watch(id revocation.Identity, s revocation.Stream) (*revocation.Watch, bool)
	// Ready tells whether all that were withdrawn are known, and if not, why.
	Ready() (ok bool, reason string)
}

// Config is what New needs. Durations are as the variables of the same name
// have them.
type Config struct {
	Heartbeat           time.Duration // positive
	Retry               time.Duration // positive
	WriteTimeout        time.Duration // positive
	FlushInterval       time.Duration // 0: write at once
	MaxChannels         int           // per connection
	MaxConnections      int
	MaxConnectionsPerIP int            // 0: no limit
	TrustedProxies      []netip.Prefix // whose X-Forwarded-For counts
	MaxConnectionAge    time.Duration  // 0: no limit
	DrainDelay          time.Duration
	NoParking           bool // give every stream a goroutine, as where there is no poller
	DrainWindow         time.Duration

	Store   Store
	Access  Authorizer
	Revoked Revocations  // nil: no grant is ever withdrawn
	CORS    *access.CORS // nil: no cross-origin requests
	Console http.Handler // nil: none
	Metrics *metrics.Gateway
	Log     *slog.Logger
}

// Gateway serves event streams. Its methods may be called concurrently.
type Gateway struct {
	cfg     Config
	metrics *metrics.Gateway
	log     *slog.Logger
	hub     *hub
	perIP   *access.Limiter

	// ctx ends with the last stream's chance to write; reads of history that
	// streams wait for hang on it.
	ctx    context.Context
	cancel context.CancelFunc

	connections atomic.Int64
	takenOver   atomic.Int64
	draining    atomic.Bool

	// Invariant: stopping is set before streams is waited for, and no stream
	// is added afterwards.
	starting sync.RWMutex
	stopping bool
	streams  sync.WaitGroup // the streams that are open: hub.all
}

// New makes a gateway. Run must be called for its streams to get events.
func New(cfg Config) *Gateway {
	g := &Gateway{
		cfg: cfg, metrics: cfg.Metrics, log: cfg.Log,
		perIP: access.NewLimiter(cfg.MaxConnectionsPerIP),
	}
	g.hub = newHub(g, runtime.GOMAXPROCS(0))
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.metrics.ConnectionsMax.Set(float64(cfg.MaxConnections))
	return g
}

// Run wakes the streams until ctx ends. It is called once.
func (g *Gateway) Run(ctx context.Context) error {
	g.cfg.Store.OnRound(g.hub.serveFew)
	g.hub.run(ctx)
	return nil
}

// Handler returns the handler of the public listener: /events, the console if
// there is one, and nothing else.
func (g *Gateway) Handler() http.Handler {
	var events http.Handler = http.HandlerFunc(g.serveEvents)
	if g.cfg.CORS != nil {
		events = g.cfg.CORS.Handler(events)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch {
		case r.URL.Path == "/events":
			events.ServeHTTP(w, r)
		case g.cfg.Console != nil && isConsolePath(r.URL.Path):
			g.cfg.Console.ServeHTTP(w, r)
		default:
			writeProblem(w, http.StatusNotFound, "there is nothing here; event streams are at /events")
		}
	})
}

// serveEvents answers GET /events: with a stream, or with a refusal.
func (g *Gateway) serveEvents(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", g.allowed())
		writeProblem(w, http.StatusMethodNotAllowed, "event streams are read with GET")
		return
	}
	a, err := g.admit(r)
	if err == nil {
		var s *stream
		if s, err = g.open(r, a); err == nil {
			if err = g.watch(s, a.grant); err == nil {
				if g.enter(s) {
					g.start(w, r, s, a.req.unknown)
					return
				}
				s.watch.Stop()
				err = drainingProblem()
			}
			s.close()
		}
		a.release()
	}
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // nobody is there to read why
	}
	var p *problem
	if !errors.As(err, &p) {
		p = &problem{status: http.StatusInternalServerError, detail: "internal error", cause: err, reason: metrics.RefusedBadRequest}
	}
	g.metrics.Refusals.WithLabelValues(p.reason).Inc()
	g.log.Debug("refused", "status", p.status, "reason", p.reason, "error", p)
	p.write(w, r)
}

// allowed are the methods of /events. Preflights are answered before a request
// comes here, if there is somebody to answer them.
func (g *Gateway) allowed() string {
	if g.cfg.CORS == nil {
		return "GET"
	}
	return "GET, OPTIONS"
}

// openTimeout bounds how long a client waits for its first byte.
const openTimeout = 10 * time.Second

// open subscribes to what an admitted client asks for.
func (g *Gateway) open(r *http.Request, a *admission) (*stream, error) {
	ctx, cancel := context.WithTimeout(r.Context(), openTimeout)
	defer cancel()
	req := a.req
	s := &stream{g: g, shard: g.hub.pick(), envelope: req.envelope, held: a.held}
	if s.channels = s.one[:]; len(req.channels) > 1 {
		s.channels = make([]channelState, len(req.channels))
		s.names = sse.Signature(req.channels)
	}
	s.grantEnd, s.oldAt = g.lifetime(a.grant)
	for i, channel := range req.channels {
		err := s.shard.join(ctx, channel, s, i)
		if err == nil {
			err = s.position(ctx, i, req)
		}
		if err != nil {
			s.close()
			return nil, storeProblem(channel, err)
		}
	}
	return s, nil
}

// position places the cursor of the i-th channel where the client starts.
func (s *stream) position(ctx context.Context, i int, req *request) (err error) {
	c := &s.channels[i]
	sub := c.topic.sub
	switch from := req.starts[i]; from.kind {
	case startAfter:
		c.cursor, c.resume = sub.After(from.after), true
	case startSince:
		c.cursor = sub.Since(from.since)
	case startLast:
		c.cursor, err = sub.Last(ctx, from.last)
	case startAll:
		c.cursor, err = sub.All(ctx)
	default:
		c.cursor, c.live = sub.Now(), true
	}
	return err
}

// storeProblem says what an error of the store about a channel means to a client.
func storeProblem(channel string, err error) *problem {
	if errors.Is(err, store.ErrWrongType) {
		return &problem{status: http.StatusConflict, reason: metrics.RefusedWrongType, cause: err,
			detail: fmt.Sprintf("channel %q: its key in Redis is of another type than a stream", channel)}
	}
	return &problem{status: http.StatusServiceUnavailable, reason: metrics.RefusedRedis, passing: true, cause: err,
		detail: "the channel cannot be read at the moment"}
}

// lifetime returns when a stream that begins now has to end: see stream.grantEnd
// and stream.oldAt.
func (g *Gateway) lifetime(grant access.Grant) (grantEnd int64, oldAt uint32) {
	now := time.Now()
	if end := grant.End(now); !end.IsZero() {
		grantEnd = wall(end.Add(-reactor.MaxLate)) // never after the grant's end, parked or not
	}
	if age := g.cfg.MaxConnectionAge; age > 0 {
		// What is not within thirteen years never is.
		if tick := reactor.Nanos(now.Add(jitter(age)))/int64(reactor.Tick) + 1; tick > 0 && tick <= math.MaxUint32 {
			oldAt = uint32(tick)
		}
	}
	return grantEnd, oldAt
}

// countWrite counts a write that has no events.
func (g *Gateway) countWrite(n int) {
	g.metrics.Writes.Inc()
	g.metrics.DeliveryBytes.Add(float64(n))
}
