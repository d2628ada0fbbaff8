package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

// patience is how long a test waits for what should take moments: a loaded
// machine is slow, and a quick one never waits it out.
const patience = time.Minute

// textEncoder writes "<id> <data>", or for a gap "gap <after> <resumed> <reason>".
// A field end ends the channel; alone it has no frame.
type textEncoder struct{}

func (textEncoder) EncodeEntry(_ string, id ID, fields [][]byte) Encoded {
	data, dropped, end := "", false, false
	for i := 0; i+1 < len(fields); i += 2 {
		switch string(fields[i]) {
		case "data":
			data = string(fields[i+1])
		case "event":
			dropped = true
		case "end":
			end = true
		}
	}
	if end && len(fields) == 2 {
		return Encoded{End: true}
	}
	return Encoded{Frame: []byte(id.String() + " " + data), NameDropped: dropped, End: end}
}

func (textEncoder) EncodeGap(g Gap) []byte {
	return fmt.Appendf(nil, "gap %s %s %s", g.After, g.Resumed, g.Reason)
}

// testStore is a store that runs until the end of the test.
type testStore struct {
	*Store
	m    *metrics.Metrics
	stop func() // ends Run and closes the store; again by the cleanup
}

// testConfig is the configuration of a store that never sweeps.
func testConfig(t testing.TB, url string) Config {
	var out io.Writer = io.Discard
	if o, ok := t.(interface{ Output() io.Writer }); ok {
		out = o.Output()
	}
	return Config{
		RedisURL: url, KeyPrefix: "sse:", MaxEventBytes: 1 << 20,
		WindowEvents: 256, WindowMemory: 64 << 20, WindowLinger: time.Minute,
		Ready:        ReadyAll,
		PollInterval: 20 * time.Millisecond, SweepInterval: time.Hour,
		Encoder: textEncoder{}, Metrics: &metrics.New(prometheus.NewRegistry(), metrics.Build{}).Store,
		Log: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
}

// open starts a store. change, if not nil, adapts its configuration.
func open(t testing.TB, url string, change func(*Config)) *testStore {
	t.Helper()
	m := metrics.New(prometheus.NewRegistry(), metrics.Build{})
	cfg := testConfig(t, url)
	cfg.Metrics = &m.Store
	if change != nil {
		change(&cfg)
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ts := &testStore{Store: s, m: m}
	ts.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Errorf("Run has not returned")
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	t.Cleanup(ts.stop)
	return ts
}

// openHealthy is open, and waits for the tail.
func openHealthy(t testing.TB, url string, change func(*Config)) *testStore {
	t.Helper()
	s := open(t, url, change)
	s.awaitHealth(t, true)
	return s
}

func (s *testStore) awaitHealth(t testing.TB, want bool) {
	t.Helper()
	redistest.Eventually(t, patience, fmt.Sprintf("the health to be %v", want), func() bool {
		ok, _ := s.Health()
		return ok == want
	})
}

// value returns the value of a counter or gauge.
func value(m prometheus.Metric) float64 {
	var d dto.Metric
	if err := m.Write(&d); err != nil {
		panic(err)
	}
	return d.GetCounter().GetValue() + d.GetGauge().GetValue()
}

func (s *testStore) sessions() int     { return int(value(s.m.Store.TailSessions)) }
func (s *testStore) sweepFinds() int   { return int(value(s.m.Store.SweepFinds)) }
func (s *testStore) historyReads() int { return s.reads("read") }
func (s *testStore) reads(outcome string) int {
	return int(value(s.m.Store.HistoryReads.WithLabelValues(outcome)))
}

// source returns what the store follows a channel with.
func (s *testStore) source(channel string) *tail.Source { return s.channel(channel).source }

func (s *testStore) channel(name string) *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channels[name]
}

// empty lets go of all entries of a channel's log, as want of memory does.
func (s *testStore) empty(channel string) {
	log := s.source(channel).Log
	for log.View().Len() > 0 {
		log.Shrink()
	}
}

// awaitGone waits until the store has seen that a channel's stream does not exist
// any more. Subscribers that have all of it are told nothing.
func (s *testStore) awaitGone(t testing.TB, channel string) {
	t.Helper()
	redistest.Eventually(t, patience, "the end of the stream", func() bool { return s.source(channel).Log.View().Gone() })
}

// client returns a client of the store's server, with its user.
func (s *testStore) client(t testing.TB) redis.UniversalClient {
	o, err := redisurl.Universal(s.cfg.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewUniversalClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// forgetPages lets go of the pages of history that were read.
func (s *testStore) forgetPages() { s.pages.Expire(time.Now().Add(2 * time.Hour)) }

// signalWaker is a Waker for one waiting goroutine.
type signalWaker chan struct{}

func (w signalWaker) Wake(bool) {
	select {
	case w <- struct{}{}:
	default:
	}
}

// item is something that a reader got: an event or a gap.
type item struct {
	id   ID     // of the event
	text string // its frame
	gap  *Gap
	tail bool // of a gap: it is the tail's, the same for all subscribers
}

func (i item) String() string {
	if i.gap != nil {
		return fmt.Sprintf("gap(%s,%s %s)", i.gap.After, i.gap.Resumed, i.gap.Reason)
	}
	return i.text
}

// reader is a client of one channel.
type reader struct {
	t    testing.TB
	sub  *Subscription
	wake signalWaker
	cur  Cursor
	got  []item
}

// subscribe returns a reader whose cursor is at now.
func (s *testStore) subscribe(t testing.TB, channel string) *reader {
	t.Helper()
	r, err := s.trySubscribe(t, channel)
	if err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	t.Cleanup(r.close)
	return r
}

func (s *testStore) trySubscribe(t testing.TB, channel string) (*reader, error) {
	r := &reader{t: t, wake: make(signalWaker, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	if r.sub, err = s.Subscribe(ctx, channel, r.wake); err != nil {
		return nil, err
	}
	r.cur = r.sub.Now()
	return r, nil
}

func (r *reader) close() {
	if r.sub != nil {
		r.sub.Close()
		r.sub = nil
	}
}

// step takes one batch, and reports false if there is nothing.
func (r *reader) step(ctx context.Context, maxBytes int) (bool, error) {
	b, state := r.cur.Next(maxBytes)
	if state == Behind {
		var err error
		b, err = r.cur.Fetch(ctx)
		if errors.Is(err, ErrStale) {
			pause(ctx, 10*time.Millisecond)
			return true, ctx.Err()
		}
		if err != nil {
			return false, err
		}
	}
	if b.Gap != nil {
		r.got = append(r.got, item{gap: b.Gap})
	}
	for _, e := range b.Entries {
		it := item{id: e.ID, text: string(e.Frame)}
		if e.Kind != KindEvent {
			it.gap, it.tail = parseGap(r.t, it.text), true
		}
		r.got = append(r.got, it)
	}
	return state != UpToDate, nil
}

func parseGap(t testing.TB, text string) *Gap {
	var after, resumed, reason string
	if _, err := fmt.Sscanf(text, "gap %s %s %s", &after, &resumed, &reason); err != nil {
		t.Errorf("gap %q: %v", text, err)
		return &Gap{}
	}
	return &Gap{After: mustID(t, after), Resumed: mustID(t, resumed), Reason: reason}
}

func mustID(t testing.TB, s string) ID {
	id, err := ParseID(s)
	if err != nil {
		t.Errorf("id %q: %v", s, err)
	}
	return id
}

// drain takes what there is.
func (r *reader) drain() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for more := true; more; {
		var err error
		if !redistest.Poll(patience, func() bool {
			more, err = r.step(ctx, 1<<16)
			return err == nil
		}) {
			r.t.Fatalf("Fetch: %v", err)
		}
	}
}

// await reads until cond is true; it is asked after every wake-up.
func (r *reader) await(what string, cond func() bool) {
	r.t.Helper()
	timeout := time.After(patience)
	for {
		r.drain()
		if cond() {
			return
		}
		select {
		case <-r.wake:
		case <-timeout:
			r.t.Fatalf("waited %v for %s; position %s, got %v", patience, what, r.cur.Pos(), r.got)
		}
	}
}

// awaitID reads until the event with the id was there.
func (r *reader) awaitID(id string) {
	r.t.Helper()
	want := mustID(r.t, id)
	r.await("event "+id, func() bool { return len(r.got) > 0 && r.got[len(r.got)-1].id == want })
}

// texts returns what the reader got and forgets it.
func (r *reader) texts() []string {
	out := make([]string, len(r.got))
	for i, it := range r.got {
		out[i] = it.String()
	}
	r.got = nil
	return out
}

// at starts over after the position.
func (r *reader) at(id ID) *reader {
	r.cur, r.got = r.sub.After(id), nil
	return r
}
