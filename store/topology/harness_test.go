package topology

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

// patience is how long a test waits for what should take moments: a loaded
// machine is slow, and a quick one never waits it out.
const patience = 20 * time.Second

// testOptions are options for the Redis of a URL, whose tail never sweeps.
func testOptions(t testing.TB, url string) Options {
	t.Helper()
	addr, err := redisurl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	m := &metrics.New(prometheus.NewRegistry(), metrics.Build{}).Store
	return Options{Address: addr, HistoryReads: 8, ReturnWait: time.Second, Tail: &tail.Config{
		KeyPrefix: "sse:", MaxEventBytes: 1 << 20,
		PollInterval: 20 * time.Millisecond, SweepInterval: time.Hour,
		Dial: func(ctx context.Context, server string) (net.Conn, error) {
			o := addr.Options(server)
			return redis.NewDialer(o)(ctx, o.Network, o.Addr)
		},
		Credentials: func(context.Context) (username, password string, err error) {
			o := addr.Options("")
			return o.Username, o.Password, nil
		},
		Encode: func(_ string, e redisstream.Entry) eventlog.Entry {
			return eventlog.Entry{ID: e.ID, Frame: []byte("event")}
		},
		EncodeGap:  func(g eventlog.Gap) []byte { return []byte("gap " + g.Reason) },
		OnBatchEnd: func() {},
		Metrics:    m,
		Log:        slog.New(slog.NewTextHandler(t.Output(), nil)),
	}}
}

// closeAtEnd closes a topology that nobody runs.
func closeAtEnd(t testing.TB, topo *Topology) {
	t.Cleanup(func() {
		if err := topo.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// run runs a topology until the end of the test.
func run(t testing.TB, topo *Topology) {
	closeAtEnd(t, topo)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { topo.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

// newSource returns a source of an empty stream.
func newSource(channel string) *tail.Source {
	budget := eventlog.NewBudget(64<<20, 256, &metrics.New(prometheus.NewRegistry(), metrics.Build{}).Store)
	log := eventlog.New(budget, channel, redisstream.Start(redisstream.Info{}), false)
	return &tail.Source{Channel: channel, Key: "sse:" + channel, Log: log}
}

// follow has a topology follow a new source, once that is possible.
func follow(t testing.TB, topo *Topology, channel string) *tail.Source {
	t.Helper()
	s := newSource(channel)
	redistest.Eventually(t, patience, "the channel to be followed", func() bool { return topo.Follow(s) == nil })
	return s
}

// awaitHead waits until the log has an entry.
func awaitHead(t testing.TB, s *tail.Source, id string) {
	t.Helper()
	want, err := redisstream.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, patience, "the entry "+id, func() bool { return !s.Log.View().Known().Head.Less(want) })
}

// commands records the commands that fake servers are sent.
type commands struct {
	mu  sync.Mutex
	all []string
}

func (c *commands) add(args []string) (command string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	command = strings.Join(args, " ")
	c.all = append(c.all, command)
	return strings.ToUpper(command)
}

// with returns the commands that contain the text.
func (c *commands) with(text string) (found []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, command := range c.all {
		if strings.Contains(command, text) {
			found = append(found, command)
		}
	}
	return found
}
