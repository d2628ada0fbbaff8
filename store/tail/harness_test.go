package tail

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// patience is how long a test waits for what should take moments: a loaded
// machine is slow, and a quick one never waits it out.
const patience = 20 * time.Second

// testConfig is the configuration of nodes that never sweep.
func testConfig(t testing.TB) *Config {
	m := &metrics.New(prometheus.NewRegistry(), metrics.Build{}).Store
	return &Config{
		KeyPrefix: "sse:", MaxEventBytes: 1 << 20,
		PollInterval: 20 * time.Millisecond, SweepInterval: time.Hour,
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		},
		Credentials: func(context.Context) (username, password string, err error) { return "", "", nil },
		Encode: func(_ string, e redisstream.Entry) eventlog.Entry {
			return eventlog.Entry{ID: e.ID, Frame: []byte("event")}
		},
		EncodeGap:  func(g eventlog.Gap) []byte { return []byte("gap " + g.Reason) },
		OnBatchEnd: func() {},
		Metrics:    m,
		Log:        slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// fixedServer is a Server at one address.
type fixedServer struct{ target Target }

func (s fixedServer) Locate(context.Context) (Target, error) { return s.target, nil }
func (fixedServer) Verify(Asker) error                       { return nil }
func (fixedServer) Watch(context.Context, Target) error      { return nil }
func (fixedServer) Changed(error)                            {}
func (fixedServer) Master(context.Context) (redisstream.Querier, error) {
	return nil, nil
}

// newTestNode returns a node that nobody runs.
func newTestNode(t testing.TB) *Node { return NewNode(testConfig(t), "n", fixedServer{}) }

// runNode runs a node until stop is called, or the test ends.
func runNode(t testing.TB, n *Node) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("Run has not returned")
		}
	})
	t.Cleanup(stop)
	return stop
}

// awaitAlive waits until the node has shown a sign of life.
func awaitAlive(t testing.TB, n *Node) {
	t.Helper()
	redistest.Eventually(t, patience, "a sign of life", func() bool { return n.Alive(time.Now()) })
}

// newSource returns a source of an empty stream.
func newSource(channel string) *Source {
	key := "sse:" + channel
	return &Source{Channel: channel, Key: key, Log: newLog(channel)}
}

// newLog returns the log of an empty stream.
func newLog(channel string) *eventlog.Log {
	m := &metrics.New(prometheus.NewRegistry(), metrics.Build{}).Store
	return eventlog.New(eventlog.NewBudget(64<<20, 256, m), channel, redisstream.Start(redisstream.Info{}), false)
}

// countingWaker counts its calls.
type countingWaker struct{ calls int }

func (w *countingWaker) Wake(bool) { w.calls++ }

// value returns the value of a counter or gauge.
func value(m prometheus.Metric) float64 {
	var d dto.Metric
	if err := m.Write(&d); err != nil {
		panic(err)
	}
	return d.GetCounter().GetValue() + d.GetGauge().GetValue()
}

// logLines is a logger and what it has written, line by line.
type logLines struct{ redistest.Output }

func (l *logLines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&l.Output, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// with returns the lines that contain the text.
func (l *logLines) with(text string) (found []string) {
	for _, line := range l.Lines() {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}
