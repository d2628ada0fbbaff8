package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

const (
	// patience is how long a test waits for what takes moments. It is long because
	// the machine may be loaded; a quick one never waits it out.
	patience = 20 * time.Second
	// never stands for a period that no test lives to see the end of.
	never = time.Hour
)

func TestMain(m *testing.M) { redistest.Main(m, 4) }

// testConfig is the configuration of an engine without a store.
func testConfig(m *metrics.Metrics) Config {
	return Config{
		Heartbeat: 15 * time.Second, Retry: time.Second, WriteTimeout: 30 * time.Second,
		Metrics: &m.Gateway, Log: slog.New(slog.DiscardHandler),
	}
}

// bareStream returns a stream without channels, of an engine that does not run.
func bareStream() *Stream {
	e := New(testConfig(metrics.New(prometheus.NewRegistry(), metrics.Build{})))
	return &Stream{shard: e.shards[0]}
}

// feed is a store over a Redis of its own. It ends with the test.
type feed struct {
	t     testing.TB
	redis *redistest.Server
	store *store.Store
	m     *metrics.Metrics
}

func newFeed(t testing.TB, change ...func(*store.Config)) *feed {
	t.Helper()
	f := &feed{t: t, redis: redistest.Start(t), m: metrics.New(prometheus.NewRegistry(), metrics.Build{})}
	cfg := store.Config{
		RedisURL: f.redis.URL(), KeyPrefix: "sse:", MaxEventBytes: 1 << 20,
		WindowEvents: 256, WindowMemory: 64 << 20, WindowLinger: time.Minute,
		PollInterval: 20 * time.Millisecond, SweepInterval: never,
		Encoder: sse.Encoder{}, Metrics: &f.m.Store, Log: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if f.store, err = store.Open(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.store.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = f.store.Close()
	})
	redistest.Eventually(t, patience, "the store to be healthy", func() bool { ok, _ := f.store.Health(); return ok })
	return f
}

// engine returns an engine that does not run.
func (f *feed) engine() *Engine {
	cfg := testConfig(f.m)
	cfg.Store, cfg.Heartbeat = f.store, never
	return New(cfg)
}

// publish appends events to a channel.
func (f *feed) publish(channel string, data ...string) {
	f.t.Helper()
	pipe := f.redis.Client().Pipeline()
	for _, d := range data {
		pipe.Do(context.Background(), "XADD", "sse:"+channel, "*", "data", d)
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		f.t.Fatal(err)
	}
}

// publishNumbers appends n events that say 0, 1, … with padding behind.
func (f *feed) publishNumbers(channel string, n int, padding string) {
	f.t.Helper()
	data := make([]string, n)
	for i := range data {
		data[i] = strconv.Itoa(i) + " " + padding
	}
	f.publish(channel, data...)
}

// subscribe returns a topic of a channel that belongs to no shard.
func (f *feed) subscribe(channel string) *topic {
	f.t.Helper()
	sub, err := f.store.Subscribe(f.t.Context(), channel, noWaker{})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(sub.Close)
	return &topic{sub: sub, namespace: f.m.Gateway.Namespaces.Of(channel)}
}

type noWaker struct{}

func (noWaker) Wake(bool) {}

// valueOf returns the value of a counter or gauge.
func valueOf(m prometheus.Metric) int {
	var d dto.Metric
	if err := m.Write(&d); err != nil {
		panic(fmt.Sprint(err))
	}
	return int(d.GetCounter().GetValue() + d.GetGauge().GetValue())
}

// ended returns how many streams have ended for the reason.
func (f *feed) ended(reason string) int {
	return valueOf(f.m.Gateway.Disconnects.WithLabelValues(reason))
}
