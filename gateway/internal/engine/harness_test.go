package engine

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sse-gateway/sse-gateway/gateway/internal/storetest"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

const (
	patience = storetest.Patience
	never    = storetest.Never
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

// feed is a store with an engine that the test makes.
type feed struct{ *storetest.Feed }

func newFeed(t testing.TB, change ...func(*store.Config)) *feed {
	t.Helper()
	return &feed{storetest.New(t, change...)}
}

// engine returns an engine that does not run.
func (f *feed) engine() *Engine {
	cfg := testConfig(f.Metrics)
	cfg.Store, cfg.Heartbeat = f.Store, never
	return New(cfg)
}

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
	return valueOf(f.Metrics.Gateway.Disconnects.WithLabelValues(reason))
}
