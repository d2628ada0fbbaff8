package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
	"github.com/sse-gateway/sse-gateway/gateway"
	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/access/cors"
	"github.com/sse-gateway/sse-gateway/gateway/access/pattern"
	"github.com/sse-gateway/sse-gateway/gateway/console"
	"github.com/sse-gateway/sse-gateway/gateway/listener"
	"github.com/sse-gateway/sse-gateway/gateway/listener/certificate"
	"github.com/sse-gateway/sse-gateway/gateway/revocation"
	"github.com/sse-gateway/sse-gateway/gateway/revocation/feed"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

// addrs are the addresses that a running program listens on.
type addrs struct{ public, admin, redis string }

// The process never lives longer after SIGTERM than SSE_DRAIN_DELAY,
// SSE_DRAIN_WINDOW and 5 s. These are parts of the 5 s; the rest is for the
// connections to Redis.
const (
	// streamsOvertime is what streams get whose clients do not read, and
	// cutOvertime how long it may take to cut them off.
	streamsOvertime = 2 * time.Second
	cutOvertime     = 500 * time.Millisecond
	// serversOvertime is what requests get that are no streams.
	serversOvertime = time.Second
)

// serve runs the gateway until ctx ends and its streams are drained, or force
// ends.
func serve(ctx, force context.Context, cfg *config.Config, p program) error {
	return serveWith(ctx, force, cfg, p, newLogger(cfg, p.err), console.Options{KeyPrefix: cfg.KeyPrefix})
}

func serveWith(ctx, force context.Context, cfg *config.Config, p program, log *slog.Logger, page console.Options) (err error) {
	for _, w := range cfg.Warnings() {
		log.Warn("a setting that is hardly meant", "setting", w)
	}
	registry := prometheus.NewRegistry()
	m := metrics.New(registry, build(), cfg.MetricNamespaces...)
	st, err := openStore(cfg, p.polled, m, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	var revocations *feed.Follower // nil: off
	if cfg.Revocations {
		revocations = feed.NewFollower(revocation.NewList(&m.Revocations), st, &m.Revocations, log)
	}
	gc, authorizer, err := gatewayConfig(cfg, st, revocations, m, log)
	if err != nil {
		return usageError{err}
	}
	var certs *certificate.Files // nil: no TLS
	if cfg.TLSCertFile != "" {
		if certs, err = certificate.Open(cfg.TLSCertFile, cfg.TLSKeyFile, log); err != nil {
			return usageError{err}
		}
	}
	publicServer := newPublicServer(cfg, certs, log)
	socket, err := listenOn("SSE_ADDR", cfg.Addr)
	if err != nil {
		return err
	}
	defer socket.Close()
	admin, err := listenOn("SSE_ADMIN_ADDR", cfg.AdminAddr)
	if err != nil {
		return err
	}
	defer admin.Close()
	g, err := newGateway(cfg, gc, m, page)
	if err != nil {
		return usageError{err}
	}
	handler, adminHandler := g.Handler(), g.AdminHandler(registry)
	if page.Dev {
		handler, adminHandler = refuseNames(handler), refuseNames(adminHandler)
	}
	public := guard(cfg, gc, g, handler, socket, publicServer)
	adminServer := newServer(log)
	adminServer.Handler = adminHandler
	r := &running{cfg: cfg, log: log, gateway: g, authorizer: authorizer, certs: certs, hangups: p.hangups, public: publicServer, admin: adminServer}
	r.feeds = append(r.feeds, st.Run, g.Run, endless(authorizer.Run), endless(r.reloadOnHangup))
	r.feeds = append(r.feeds, endless(func(ctx context.Context) { trimMemory(ctx, g.Connections) }))
	if revocations != nil {
		r.feeds = append(r.feeds, endless(revocations.Run))
	}
	log.Info("serving", "addr", public.Addr().String(), "admin", admin.Addr().String(),
		"redis", redisurl.Redact(string(cfg.RedisURL)), "version", build().Version)
	if p.started != nil {
		p.started(addrs{public: public.Addr().String(), admin: admin.Addr().String()})
	}
	return r.serve(ctx, force, public, admin)
}

// openStore opens the store. polled tells that the Redis is one that has to be polled,
// as all know.
func openStore(cfg *config.Config, polled bool, m *metrics.Metrics, log *slog.Logger) (*store.Store, error) {
	window, _ := cfg.Memory()
	st, err := store.Open(store.Config{
		RedisURL: string(cfg.RedisURL), RedisUsername: cfg.RedisUsername, RedisPasswordFile: cfg.RedisPasswordFile,
		ReadReplicas: cfg.RedisRead == "replica", Ready: readiness[cfg.Ready], KeyPrefix: cfg.KeyPrefix, MaxEventBytes: int(cfg.MaxEventBytes),
		WindowEvents: cfg.WindowEvents, WindowMemory: window, WindowLinger: cfg.WindowLinger,
		PollInterval: cfg.PollInterval, ExpectPolling: polled, SweepInterval: cfg.SweepInterval,
		Encoder: feed.Encoder{Encoder: sse.Encoder{}}, Metrics: &m.Store, Log: log,
	})
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", config.RedisVariable(), err)}
	}
	return st, nil
}

// running are the parts of a gateway that serves.
type running struct {
	cfg           *config.Config
	log           *slog.Logger
	gateway       *gateway.Gateway
	authorizer    *access.Authorizer
	certs         *certificate.Files // nil: no TLS
	hangups       <-chan os.Signal   // each reads keys and certificates again; may be nil
	public, admin *http.Server
	// feeds are what streams need. Each runs until its context is done, and its error
	// ends the process.
	feeds []func(context.Context) error
}

// endless is a feed that does not fail.
func endless(run func(context.Context)) func(context.Context) error {
	return func(ctx context.Context) error { run(ctx); return nil }
}

// serve serves until ctx ends or a part fails, and stops everything in order.
func (r *running) serve(ctx, force context.Context, public *listener.Listener, admin net.Listener) error {
	// What feeds the streams outlives them: everything below stops in the
	// order in which it is waited for at the end.
	background, stopBackground := context.WithCancel(context.Background())
	defer stopBackground()
	feeds, feedsCtx := errgroup.WithContext(background)
	for _, run := range r.feeds {
		feeds.Go(func() error { return run(feedsCtx) })
	}

	servers, failed := errgroup.WithContext(ctx)
	servers.Go(func() error { return serveOn(r.public, public) })
	servers.Go(func() error { return serveOn(r.admin, admin) })
	select {
	case <-failed.Done(): // ctx ends, too
	case <-feedsCtx.Done(): // without what feeds them, streams would stay silent
	}

	if ctx.Err() != nil {
		r.drain(force)
	} else {
		r.gateway.Stop()
	}
	shutdown(force, public, r.public, r.admin)
	err := servers.Wait()
	stopBackground()
	err = errors.Join(err, feeds.Wait())
	r.log.Info("stopped")
	return err
}

// reloadOnHangup reads keys and certificates again with each SIGHUP until ctx is
// done. What cannot be used is logged, and leaves the old ones.
func (r *running) reloadOnHangup(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.hangups:
			r.log.Info("SIGHUP: keys and certificates are read again")
			r.authorizer.Reload()
			if r.certs != nil {
				r.certs.Reload()
			}
		}
	}
}

// drain ends the streams evenly, or all at once when force ends, and cuts off
// those that do not end. A stream over HTTP/2 cannot end by itself while its
// connection takes nothing: that is closed.
func (r *running) drain(force context.Context) {
	limit, cancel := context.WithTimeout(force, r.cfg.DrainDelay+r.cfg.DrainWindow+streamsOvertime)
	defer cancel()
	r.log.Info("draining", "delay", r.cfg.DrainDelay, "window", r.cfg.DrainWindow)
	drained := make(chan struct{})
	go func() { r.gateway.Drain(limit); close(drained) }()
	select {
	case <-drained:
		return
	case <-limit.Done():
	}
	for _, cut := range []func() error{func() error { return nil }, r.public.Close} {
		_ = cut()
		select {
		case <-drained:
			return
		case <-time.After(cutOvertime):
		}
	}
	r.log.Warn("streams were left open")
}

// gatewayConfig is all that the gateway needs but its console, and who decides
// about access.
func gatewayConfig(cfg *config.Config, st *store.Store, revocations *feed.Follower, m *metrics.Metrics, log *slog.Logger) (gc gateway.Config, authorizer *access.Authorizer, err error) {
	accessConfig, err := cfg.Access()
	if err != nil {
		return gc, nil, err
	}
	if revocations != nil {
		accessConfig.Revocations, gc.Revoked = revocations.List, revocations
	}
	if authorizer, err = access.New(accessConfig, log); err != nil {
		return gc, nil, err
	}
	origins, err := cors.New(cfg.CORSOrigins)
	if err != nil {
		return gc, nil, err
	}
	limit := cfg.MaxConnections
	if limit == 0 {
		limit = listener.ConnectionLimit()
	}
	_, compressed := cfg.Memory()
	return gateway.Config{
		Path: cfg.Path, Heartbeat: cfg.Heartbeat, Retry: cfg.Retry, WriteTimeout: cfg.WriteTimeout, FlushInterval: cfg.FlushInterval,
		MaxChannels: cfg.MaxChannels, MaxConnections: limit, MaxConnectionsPerIP: cfg.MaxConnectionsPerIP,
		TrustedProxies: accessConfig.TrustedProxies, MaxConnectionAge: cfg.MaxConnectionAge,
		GzipMemory: compressed, DrainDelay: cfg.DrainDelay, DrainWindow: cfg.DrainWindow,
		Store: st, Access: authorizer, Revoked: gc.Revoked, CORS: origins, Metrics: &m.Gateway, Log: log,
	}, authorizer, nil
}

// newGateway makes the gateway, with the console if it is on.
func newGateway(cfg *config.Config, gc gateway.Config, m *metrics.Metrics, page console.Options) (*gateway.Gateway, error) {
	// Whoever may open the page may subscribe to the public channels, and needs
	// to know of no other.
	public, err := pattern.Parse(cfg.PublicChannels)
	if err != nil {
		return nil, err
	}
	stats := &statsSource{metrics: m, visible: public.Match}
	if cfg.Console {
		page.Logger = gc.Log
		page.EventsURL = strings.TrimSuffix(cfg.Path, "/")
		page.Stats, page.Channels = stats.getFigures, stats.getChannels
		gc.Console = console.Handler(page)
	}
	stats.gateway = gateway.New(gc)
	return stats.gateway, nil
}

// readiness is what the words of SSE_READY mean.
var readiness = map[string]store.Readiness{"any": store.ReadyAny, "all": store.ReadyAll, "started": store.ReadyStarted}

func newLogger(cfg *config.Config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // its words are those of SSE_LOG_LEVEL
	opts := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
