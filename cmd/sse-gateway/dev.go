package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/tour"
	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/console"
)

const (
	// devRedisAddr is where the embedded Redis listens: where redis-cli looks.
	devRedisAddr = "127.0.0.1:6379"
	// embeddedPoll is SSE_POLL_INTERVAL for the embedded Redis, unless it is set.
	embeddedPoll = 5 * time.Millisecond
	// demoChannel is what the demo publisher writes to, and demoLength about
	// how many of its events it keeps.
	demoChannel = "demo"
	demoLength  = 1000
)

// dev serves with nothing else installed: with a Redis in memory, unless the
// configuration names one, and with something to see on the channel demo.
func dev(ctx, force context.Context, cfg *config.Config, p program) error {
	w := welcome{cfg: cfg, cli: "redis-cli"}
	if cfg.RedisURL == "" {
		embedded := miniredis.NewMiniRedis()
		if err := startEmbedded(embedded, cmp.Or(p.embeddedRedis, devRedisAddr)); err != nil {
			return err
		}
		defer embedded.Close()
		cfg.RedisURL = access.Secret("redis://" + embedded.Addr())
		w.embedded = embedded.Addr()
		// It has no CLIENT TRACKING, and what the page shows as latency should be
		// the gateway's. To ask it costs nothing.
		p.polled = true
		if os.Getenv("SSE_POLL_INTERVAL") == "" {
			cfg.PollInterval = embeddedPoll
		}
	}
	log := newLogger(cfg, p.err)
	page := console.Options{KeyPrefix: cfg.KeyPrefix, Dev: true, DefaultChannels: []string{demoChannel}}
	if opts, err := redis.ParseURL(string(cfg.RedisURL)); err == nil {
		opts.DisableIdentity, opts.Protocol = true, 2
		publisher := redis.NewClient(opts)
		defer publisher.Close()
		stop := (&demo{client: publisher, key: cfg.KeyPrefix + demoChannel}).start(ctx)
		defer stop()
		page.Publish = publish(publisher, cfg.KeyPrefix)
		w.cli = redisCLI(opts)
		replicas, err := tour.Start(func() (tour.Process, error) { return startReplica(cfg, p.polled) }, cfg.Path, log)
		if err != nil {
			return err
		}
		defer replicas.Close()
		defer context.AfterFunc(ctx, replicas.Close)() // their streams are none that a drain knows
		page.Tour = replicas.Tour()
	} else {
		// go-redis has no such URL: not its error, which may hold a password.
		log.Warn("no demo and no publishing from the console: those need a single Redis without certificate files")
	}
	page.RedisHint = w.cli

	started := p.started
	p.started = func(a addrs) {
		a.redis = w.embedded
		w.print(p.out, a)
		if started != nil {
			started(a)
		}
	}
	return serveWith(ctx, force, cfg, p, log, page)
}

// refuseNames answers requests under a name other than localhost with 403: any
// website's name may be made to lead here once its page is loaded (DNS rebinding),
// and then that page could read every channel.
func refuseNames(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !console.IsOwnHost(r.Host) {
			http.Error(w, "sse-gateway dev is reached at an IP address or at localhost only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// tourKept is how long the streams of the page's tour are kept.
const tourKept = time.Hour

// publish is what the console's page does. It trims nothing but what is the tour's: the
// stream may be one of an application's, and nobody fills a memory by hand.
func publish(c *redis.Client, keyPrefix string) func(context.Context, console.Event) (string, error) {
	return func(ctx context.Context, e console.Event) (string, error) {
		var values []string
		if e.Data != "" || !e.End {
			values = append(values, "data", e.Data)
		}
		if e.Name != "" {
			values = append(values, "event", e.Name)
		}
		if e.End {
			values = append(values, "gateway.end", "1")
		}
		args := &redis.XAddArgs{Stream: keyPrefix + e.Channel, Values: values}
		if !console.IsTourChannel(e.Channel) {
			return c.XAdd(ctx, args).Result()
		}
		args.MaxLen = e.Keep
		pipe := c.TxPipeline()
		added := pipe.XAdd(ctx, args)
		pipe.Expire(ctx, args.Stream, tourKept)
		_, err := pipe.Exec(ctx)
		return added.Val(), err
	}
}

// startEmbedded starts the embedded Redis, at addr or, in a test, elsewhere.
func startEmbedded(m *miniredis.Miniredis, addr string) error {
	err := m.StartAddr(addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return usageError{fmt.Errorf("the port of the embedded Redis, %s, is taken: if that is a Redis, use it with SSE_REDIS_URL=redis://%s sse-gateway dev", addr, addr)}
	}
	return err
}

// isoTime is the time as JavaScript's toISOString writes it.
func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// demo publishes to one stream what the classic examples do.
type demo struct {
	client *redis.Client
	key    string
	keep   int64 // about how many entries the stream keeps; 0: to be found out
}

// start begins to publish; the function returned ends it.
func (d *demo) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { d.run(ctx) })
	return func() { cancel(); running.Wait() }
}

// run publishes a named event every second and an unnamed message every now and
// then.
func (d *demo) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	pause := func() time.Duration { return time.Second + rand.N(9*time.Second) }
	message := time.NewTimer(pause())
	defer message.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			data, _ := json.Marshal(map[string]string{"time": isoTime(now)})
			d.add(ctx, "event", "ping", "data", string(data))
		case now := <-message.C:
			d.add(ctx, "data", "This is a message at time "+isoTime(now))
			message.Reset(pause())
		}
	}
}

// add adds an entry and trims the stream, but not what was there before: it may
// be an application's. A demo that cannot write is no reason to stop: the
// gateway says itself when Redis is away.
func (d *demo) add(ctx context.Context, values ...any) {
	if d.keep == 0 {
		n, err := d.client.XLen(ctx, d.key).Result()
		if err != nil {
			return
		}
		d.keep = n + demoLength
	}
	_ = d.client.XAdd(ctx, &redis.XAddArgs{Stream: d.key, MaxLen: d.keep, Approx: true, Values: values}).Err()
}
