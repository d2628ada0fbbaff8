package load

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/clock"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

// stuckSink is a Redis that never comes back.
type stuckSink struct{}

func (stuckSink) close() error { return nil }
func (stuckSink) send(ctx context.Context, _ []integrity.Payload, _ func(integrity.Payload, string)) error {
	<-ctx.Done()
	return ctx.Err()
}

// A publisher that is told to stop while Redis is away gives up after publishGrace,
// however long it was to publish.
func TestPublisherStopsWithoutRedis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		err := newPublisher(stuckSink{}, 1, 1, make([]int64, 1)).run(stop, schedule{start: clock.Now(), rate: 1}, 0, 3600)
		if took := time.Since(start); err == nil || took != time.Second+publishGrace {
			t.Errorf("it ended after %v: %v", took, err)
		}
	})
}

// A publisher that loses its Redis again and again, with commands on the way,
// ends with every event in its stream once and in order.
func TestPublisherSurvivesRedisRestarts(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, redistest.WithAOF())
	s, err := newRedisSink(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.run, s.size, s.data, s.keys = "0123abcd", 100, (&Options{Size: 100}).payload("0123abcd"), []string{"a", "b", "c"}
	p := newPublisher(s, 3, 2, make([]int64, 3))
	p.ids = make([]integrity.IDLog, 3)
	const events = 6000
	done := make(chan error, 1)
	go func() {
		at := schedule{start: clock.Now(), rate: 3000}
		done <- p.run(context.Background(), at, 0, events)
	}()
	for i := range int64(3) {
		redistest.Eventually(t, time.Minute, "events go on", func() bool { return p.total.Load() > 1000*(i+1) })
		r.Kill()
		r.Restart()
	}
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the publisher does not end")
	}
	if s.errors.Load() == 0 {
		t.Error("no restart was noticed")
	}
	for i, key := range s.keys {
		entries, err := r.Client().XRange(t.Context(), key, "-", "+").Result()
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != events/3 || p.published()[i] != events/3 {
			t.Errorf("%s: %d entries, %d published", key, len(entries), p.published()[i])
		}
		for n, e := range entries {
			got, ok := integrity.ParsePayload([]byte(e.Values["data"].(string)), s.run)
			if !ok || got.Seq != int64(n)+1 || got.Channel != i {
				t.Fatalf("%s: entry %d is %+v", key, n, got)
			}
			// Also those whose reply was lost.
			if id, _ := integrity.ParseEntryID(e.ID); len(p.ids[i]) <= n || p.ids[i][n] != (integrity.Noted{ID: id, Seq: got.Seq}) {
				t.Fatalf("%s: of entry %d, %s, the publisher noted %+v", key, n, e.ID, p.ids[i][min(n, len(p.ids[i])):min(n+1, len(p.ids[i]))])
			}
		}
	}
}

// An event is due by the clock, however long the one before took.
func TestPublisherIsAnOpenLoop(t *testing.T) {
	var got []integrity.Payload
	slow := sinkFunc(func(ctx context.Context, batch []integrity.Payload, accepted func(integrity.Payload, string)) error {
		if len(got) == 0 {
			clock.Wait(ctx, 50*time.Millisecond)
		}
		for _, m := range batch {
			got = append(got, m)
			accepted(m, "")
		}
		return nil
	})
	p := newPublisher(slow, 1, 4, []int64{2})
	at := schedule{start: clock.Now(), rate: 1000}
	if err := p.run(t.Context(), at, 0, 100); err != nil {
		t.Fatal(err)
	}
	if took := time.Duration(clock.Now() - at.start); took < 98*time.Millisecond || len(got) != 100 {
		t.Errorf("%d events in %v", len(got), took)
	}
	if p.expected.Load() != 200 {
		t.Errorf("%d deliveries expected", p.expected.Load())
	}
	if !slices.IsSortedFunc(got, func(a, b integrity.Payload) int { return int(a.Seq - b.Seq) }) || got[30].Due != at.due(30) {
		t.Error("numbers or times are wrong")
	}
	if late := &p.late; time.Duration(late.Quantile(1)) < 40*time.Millisecond {
		t.Errorf("at most %v late", time.Duration(late.Quantile(1)))
	}
}

type sinkFunc func(context.Context, []integrity.Payload, func(integrity.Payload, string)) error

func (f sinkFunc) send(ctx context.Context, b []integrity.Payload, accepted func(integrity.Payload, string)) error {
	return f(ctx, b, accepted)
}
func (f sinkFunc) close() error { return nil }

// TestPublishOverTLS publishes to servers that speak only TLS and ask for a
// client certificate. Every form of URL takes ca, cert and key to them.
func TestPublishOverTLS(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithTLS(), redistest.WithPassword("p@ss:/#word"))
	group := redistest.StartSentinel(t, "m", server, 0, redistest.WithPassword("other"))
	cluster := redistest.StartCluster(t, 1, 0, redistest.WithTLS(), redistest.WithPassword("pass"))
	for _, url := range []string{server.URL(), group.URL(), cluster.URL()} {
		s, err := newRedisSink(url)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		s.run, s.size, s.data, s.keys = "0123abcd", 100, (&Options{Size: 100}).payload("0123abcd"), []string{"a"}
		accepted := 0
		if err := s.send(t.Context(), []integrity.Payload{{Seq: 1}, {Seq: 2}}, func(integrity.Payload, string) { accepted++ }); err != nil || accepted != 2 {
			t.Errorf("%s: %d events were accepted, %v", redisurl.Redact(url), accepted, err)
		}
	}
}

func TestRedisURLs(t *testing.T) {
	c, err := newRedisSink("rediss+cluster://u:p%40@a:1,b:2")
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	o := c.client.(*redis.ClusterClient).Options()
	if !slices.Equal(o.Addrs, []string{"a:1", "b:2"}) || o.TLSConfig == nil || o.MaxRetries > 0 {
		t.Errorf("%+v", o)
	}
	s, err := newRedisSink("redis+sentinel://:pw@a:1,b:2/3?master=m")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if o := s.client.(*redis.Client).Options(); o.DB != 3 || o.TLSConfig != nil {
		t.Errorf("%+v", o)
	}
}

func TestScheduleIsEven(t *testing.T) {
	s := schedule{start: 1000, rate: 4}
	if s.due(0) != 1000 || s.due(8) != 1000+2_000_000_000 {
		t.Errorf("%d %d", s.due(0), s.due(8))
	}
}
