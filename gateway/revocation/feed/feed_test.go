package feed

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sse-gateway/sse-gateway/gateway/revocation"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

const key = "sse:" + Channel

// patience is how long a test waits for what has to happen.
const patience = time.Minute

func TestMain(m *testing.M) { redistest.Main(m, 10) }

// plain is an encoder for channels that nobody reads here.
type plain struct{}

func (plain) EncodeEntry(string, store.ID, [][]byte) store.Encoded { return store.Encoded{} }
func (plain) EncodeGap(store.Gap) []byte                           { return []byte("gap") }

// replica is what one gateway knows.
type replica struct {
	*Follower
	t       *testing.T
	metrics *metrics.Metrics
	log     redistest.Output
}

func startReplica(t *testing.T, url string) *replica {
	t.Helper()
	r := &replica{t: t, metrics: metrics.New(prometheus.NewRegistry(), metrics.Build{})}
	log := slog.New(slog.NewTextHandler(&r.log, nil))
	s, err := store.Open(store.Config{
		RedisURL: url, KeyPrefix: "sse:", MaxEventBytes: 1 << 10, WindowEvents: 16, WindowMemory: 1 << 20, WindowLinger: time.Minute,
		PollInterval: 50 * time.Millisecond, SweepInterval: time.Hour, Encoder: Encoder{plain{}}, Metrics: &r.metrics.Store, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Follower = NewFollower(revocation.NewList(&r.metrics.Revocations), s, &r.metrics.Revocations, log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 2)
	go func() { _ = s.Run(ctx); done <- struct{}{} }()
	go func() { r.Run(ctx); done <- struct{}{} }()
	t.Cleanup(func() {
		cancel()
		<-done
		<-done
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%.4000s", r.log.String())
		}
	})
	return r
}

func (r *replica) revokes(sub string) bool { return r.Revoked(revocation.OfToken(sub, "", 0, false)) }

func (r *replica) isReady() bool { ok, _ := r.Ready(); return ok }

func (r *replica) await(what string, cond func() bool) {
	r.t.Helper()
	redistest.Eventually(r.t, patience, what, cond)
}

func (r *replica) lost(reason string) float64 {
	r.t.Helper()
	var m dto.Metric
	if err := r.metrics.Revocations.Lost.WithLabelValues(reason).Write(&m); err != nil {
		r.t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// A replica knows all of the stream when it is ready, and then what comes.
func TestReadyMeansRead(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	const before = 500 // many times the window
	for i := range before {
		s.XAdd(key, "sub", strconv.Itoa(i))
	}
	r := startReplica(t, s.URL())
	r.await("it is ready", r.isReady)
	for i := range before {
		if !r.revokes(strconv.Itoa(i)) {
			t.Fatalf("it is ready and does not know subject %d", i)
		}
	}
	if !r.Known() {
		t.Error("it is ready, and nothing is known")
	}
	s.XAdd(key, "sub", "late", "jti", "token", "reason", "logout")
	r.await("it hears of what is revoked", func() bool {
		return r.revokes("late") && r.Revoked(revocation.OfToken("", "token", 0, true))
	})
}

// Without a stream there is nothing to be read.
func TestReadyWithoutStream(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := startReplica(t, s.URL())
	r.await("it is ready", r.isReady)
	s.XAdd(key, "sub", "first")
	r.await("it hears of the first one", func() bool { return r.revokes("first") })
}

func TestUselessEntriesAreIgnored(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	now := time.Now()
	useless := [][]string{
		{"subject", "u"}, {"sub", ""}, {"jti", ""}, {"sub", "u", "until", "soon"}, {"sub", "u", "until", ""}, {"sub", "u", "until", "NaN"}, {"sub", "u", "until", "-1"},
		{"sub", "u", "until", fmt.Sprint(now.Add(-time.Hour).Unix())}, {"sub", strings.Repeat("u", 2<<10)},
	}
	for _, fields := range useless {
		s.XAdd(key, fields...)
	}
	s.XAdd(key, "sub", "good", "until", fmt.Sprint(now.Add(time.Hour).Unix()))
	s.XAdd(key, "sub", "forever", "until", "1e300")
	r := startReplica(t, s.URL())
	r.await("it is ready", r.isReady)
	if !r.revokes("good") || !r.revokes("forever") || r.revokes("u") || r.revokes("") {
		t.Error("what is good does not count, or what is not does")
	}
	if n := r.lost(metrics.RevocationUseless); n != float64(len(useless)) {
		t.Errorf("%v were counted, want %d", n, len(useless))
	}
	lines := 0
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, "no use") {
			lines++
			if !strings.Contains(line, "error=") || !strings.Contains(line, "first=") {
				t.Errorf("the line names no reason or entry: %s", line)
			}
		}
	}
	if lines == 0 || lines > len(useless) {
		t.Errorf("%d lines in the log:\n%s", lines, &r.log)
	}
}

// What was known stays known, whatever becomes of the stream.
func TestWhatWasKnownStays(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.XAdd(key, "sub", "a")
	r := startReplica(t, s.URL())
	r.await("it knows a", func() bool { return r.revokes("a") })
	s.XAdd(key, "sub", "b")
	r.await("it knows b", func() bool { return r.revokes("b") })
	for name, change := range map[string]func(){
		"trimmed": func() { s.Do("XTRIM", key, "MAXLEN", "0") },
		"deleted": func() { s.Do("DEL", key) },
		"older copy": func() {
			s.Do("DEL", key)
			s.Do("XADD", key, "1-1", "sub", "a")
		},
	} {
		change()
		s.XAdd(key, "sub", name)
		r.await(name+": it hears of the next one", func() bool { return r.revokes(name) })
		if !r.revokes("a") || !r.revokes("b") {
			t.Errorf("%s: what it knew is forgotten", name)
		}
	}
}

// A replica that was cut off is not ready before it has learned what it missed.
func TestReadyAgainMeansReadAgain(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s.Addr())
	r := startReplica(t, s.URLAt(p.Addr()))
	r.await("it is ready", r.isReady)
	p.Cut()
	r.await("it is not ready", func() bool { return !r.isReady() })
	for i := range 50 {
		s.XAdd(key, "sub", strconv.Itoa(i))
	}
	p.Restore()
	r.await("it is ready again", r.isReady)
	if !r.revokes("49") {
		t.Fatal("it is ready and does not know what was revoked meanwhile")
	}
}

// A key of another type is no reason to let anybody in, nor to give up.
func TestWrongTypeIsNotReady(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Do("SET", key, "x")
	r := startReplica(t, s.URL())
	r.await("the log tells", func() bool { return strings.Contains(r.log.String(), "the revocations cannot be read") })
	if r.isReady() || r.Known() {
		t.Error("it is ready")
	}
	s.Do("DEL", key)
	s.XAdd(key, "sub", "u")
	r.await("it is ready", r.isReady)
	if !r.revokes("u") {
		t.Error("it is ready and does not know")
	}
}
