package gateway

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/access/cors"
	"github.com/sse-gateway/sse-gateway/gateway/internal/conn"
	"github.com/sse-gateway/sse-gateway/gateway/internal/engine"
	"github.com/sse-gateway/sse-gateway/gateway/revocation"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// Store is what the gateway needs of package store. Its methods may be called
// concurrently.
type Store interface {
	engine.Store
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

// Config is what New needs. Durations are those of the variables of the same name.
type Config struct {
	Path                string        // of event streams; "": /events
	Heartbeat           time.Duration // positive
	Retry               time.Duration // positive
	WriteTimeout        time.Duration // positive
	FlushInterval       time.Duration // 0: write at once
	MaxChannels         int           // per connection
	MaxConnections      int
	MaxConnectionsPerIP int            // 0: no limit
	TrustedProxies      []netip.Prefix // whose X-Forwarded-For counts
	MaxConnectionAge    time.Duration  // 0: no limit
	GzipMemory          int            // for compressed events, in bytes; 0: nothing is compressed
	DrainDelay          time.Duration
	DrainWindow         time.Duration

	Store   Store
	Access  Authorizer
	Revoked Revocations  // nil: no grant is ever withdrawn
	CORS    *cors.Policy // nil: no cross-origin requests
	Console http.Handler // nil: none
	Metrics *metrics.Gateway
	Log     *slog.Logger

	noParking bool // for tests: give every stream a goroutine, as where there is no epoll
}

// Gateway serves event streams. Its methods may be called concurrently.
type Gateway struct {
	cfg     Config
	metrics *metrics.Gateway
	log     *slog.Logger
	engine  *engine.Engine
	limits  *limits

	draining atomic.Bool // the replica is not ready
	refusing atomic.Bool // new streams are refused
	stop     sync.Once
	stopping chan struct{} // closed when polls are to wait no longer
}

// New makes a gateway. Run must be called for its streams to get events.
func New(cfg Config) *Gateway {
	g := &Gateway{
		cfg: cfg, metrics: cfg.Metrics, log: cfg.Log, stopping: make(chan struct{}),
		limits: newLimits(cfg.MaxConnections, cfg.MaxConnectionsPerIP, cfg.TrustedProxies, cfg.Metrics),
		engine: engine.New(engine.Config{
			Heartbeat: cfg.Heartbeat, Retry: cfg.Retry, WriteTimeout: cfg.WriteTimeout, FlushInterval: cfg.FlushInterval,
			MaxConnectionAge: cfg.MaxConnectionAge, NoParking: cfg.noParking, BlockMemory: cfg.GzipMemory,
			Store: cfg.Store, Metrics: cfg.Metrics, Log: cfg.Log,
		}),
	}
	g.metrics.ConnectionsMax.Set(float64(cfg.MaxConnections))
	return g
}

// Run delivers events until ctx ends. It is called once. An error means that it cannot
// start to.
func (g *Gateway) Run(ctx context.Context) error {
	return g.engine.Run(ctx)
}

// WithConn is the ConnContext of the public http.Server. Without it a client of
// HTTP/2 that is only slow may be taken for one that has gone.
func WithConn(ctx context.Context, c net.Conn) context.Context { return conn.WithConn(ctx, c) }

// Handler returns the handler of the public listener: event streams at Config.Path, the
// console if there is one, and nothing else. A trailing slash is the same path.
func (g *Gateway) Handler() http.Handler {
	var events http.Handler = http.HandlerFunc(g.serveEvents)
	if g.cfg.CORS != nil {
		events = g.cfg.CORS.Handler(events)
	}
	path := g.path()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch {
		case strings.TrimSuffix(r.URL.Path, "/") == path:
			if g.cfg.GzipMemory > 0 {
				w.Header().Add("Vary", "Accept-Encoding")
			}
			events.ServeHTTP(w, r)
		case g.cfg.Console != nil && isConsolePath(r.URL.Path):
			g.cfg.Console.ServeHTTP(w, r)
		default:
			writeProblem(w, http.StatusNotFound, "there is nothing here; event streams are at "+path)
		}
	})
}

// Connections returns how many streams are open or being opened.
func (g *Gateway) Connections() int64 { return g.limits.connections.Load() }

// path is where event streams are, without a trailing slash.
func (g *Gateway) path() string { return strings.TrimSuffix(cmp.Or(g.cfg.Path, "/events"), "/") }

// IsStream reports whether the handler may start a stream for a request. It does not
// decide whether the request is allowed. It may be called concurrently.
func (g *Gateway) IsStream(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.TrimSuffix(r.URL.Path, "/") == g.path() && !isPoll(r)
}

// Hijacked returns how many streams have a connection that was hijacked from
// net/http.
func (g *Gateway) Hijacked() int64 { return g.engine.Hijacked() }
