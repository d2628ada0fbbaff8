// Package storetest has a store over a Redis server of its own, for tests.
package storetest

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

const (
	// Patience is how long a test waits for what takes moments. It is long because
	// the machine may be loaded; a quick one never waits it out.
	Patience = time.Minute
	// Never stands for a period that no test lives to see the end of.
	Never = time.Hour
)

// Feed is a store that runs until the test ends.
type Feed struct {
	Redis   *redistest.Server
	Store   *store.Store
	Metrics *metrics.Metrics

	t testing.TB
}

// New starts a Redis and a store over it. change changes the store's configuration.
func New(t testing.TB, change ...func(*store.Config)) *Feed {
	t.Helper()
	f := &Feed{t: t, Redis: redistest.Start(t), Metrics: metrics.New(prometheus.NewRegistry(), metrics.Build{})}
	cfg := store.Config{
		RedisURL: f.Redis.URL(), KeyPrefix: "sse:", MaxEventBytes: 1 << 20,
		WindowEvents: 256, WindowMemory: 64 << 20, WindowLinger: time.Minute,
		PollInterval: 20 * time.Millisecond, SweepInterval: Never,
		Encoder: sse.Encoder{}, Metrics: &f.Metrics.Store, Log: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if f.Store, err = store.Open(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Store.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = f.Store.Close()
	})
	redistest.Eventually(t, Patience, "the store to be healthy", func() bool { ok, _ := f.Store.Health(); return ok })
	return f
}

// Publish appends events to a channel.
func (f *Feed) Publish(channel string, data ...string) {
	f.t.Helper()
	pipe := f.Redis.Client().Pipeline()
	for _, d := range data {
		pipe.Do(context.Background(), "XADD", "sse:"+channel, "*", "data", d)
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		f.t.Fatal(err)
	}
}

// PublishNumbers appends n events that say 0, 1, … with padding behind.
func (f *Feed) PublishNumbers(channel string, n int, padding string) {
	f.t.Helper()
	data := make([]string, n)
	for i := range data {
		data[i] = strconv.Itoa(i) + " " + padding
	}
	f.Publish(channel, data...)
}

// Subscribe returns a subscription of a channel that wakes nobody.
func (f *Feed) Subscribe(channel string) *store.Subscription {
	f.t.Helper()
	sub, err := f.Store.Subscribe(f.t.Context(), channel, noWaker{})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(sub.Close)
	return sub
}

type noWaker struct{}

func (noWaker) Wake(bool) {}
