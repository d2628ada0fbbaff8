package store

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// sentinelHook is put in the way of the commands to a sentinel.
type sentinelHook func(ctx context.Context, cmd redis.Cmder, next redis.ProcessHook) error

func (h sentinelHook) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h sentinelHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (h sentinelHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return h(ctx, cmd, next) }
}

// TestSentinelsAreSilent: while a question to the sentinels is open, events come
// as ever.
func TestSentinelsAreSilent(t *testing.T) {
	t.Parallel()
	first := redistest.Start(t)
	g := redistest.StartSentinel(t, "m", first, 0)
	s := openHealthy(t, g.URL(), nil)
	r := s.subscribe(t, "a")
	r.awaitID(first.XAdd("sse:a", "data", "x"))
	questions := make(chan context.Context)
	for _, c := range s.topo.(*sentinelTopology).sentinels {
		c.AddHook(sentinelHook(func(ctx context.Context, _ redis.Cmder, _ redis.ProcessHook) error {
			select {
			case questions <- ctx:
			case <-ctx.Done():
			}
			<-ctx.Done()
			return ctx.Err()
		}))
	}
	redistest.Eventually(t, patience, "an event that does not wait for the sentinels", func() bool {
		question := <-questions
		r.awaitID(first.XAdd("sse:a", "data", "x"))
		return question.Err() == nil
	})
	if n := s.sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// TestAskSentinels: who is silent holds up nobody for long if the others answer.
func TestAskSentinels(t *testing.T) {
	const (
		answers = iota
		fails
		silent
	)
	for name, c := range map[string]struct {
		do     [3]int
		enough int // answers; 0 for all
		took   time.Duration
		failed bool
	}{
		"all answer":             {do: [3]int{answers, answers, answers}},
		"one is enough":          {do: [3]int{silent, answers, silent}, enough: 1},
		"one is silent":          {do: [3]int{silent, answers, answers}, took: sentinelGrace},
		"one fails":              {do: [3]int{answers, fails, answers}, failed: true},
		"two are silent":         {do: [3]int{silent, answers, silent}, took: sentinelTimeout, failed: true},
		"one fails, one silent":  {do: [3]int{fails, silent, answers}, took: sentinelTimeout, failed: true},
		"all fail":               {do: [3]int{fails, fails, fails}, failed: true},
		"two fail, one answers ": {do: [3]int{fails, fails, answers}, failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sentinels := []*redis.SentinelClient{new(redis.SentinelClient), new(redis.SentinelClient), new(redis.SentinelClient)}
				start, taken, want := time.Now(), 0, 0
				err := askSentinels(t.Context(), sentinels, func(ctx context.Context, s *redis.SentinelClient) (int, error) {
					switch c.do[slices.Index(sentinels, s)] {
					case fails:
						return 0, errors.New("no")
					case silent:
						<-ctx.Done()
						return 0, ctx.Err()
					}
					return 0, nil
				}, func(int) bool { taken++; return taken == c.enough })
				for _, do := range c.do {
					if do == answers {
						want++
					}
				}
				if took := time.Since(start); took != c.took || taken != want || (err != nil) != c.failed {
					t.Errorf("took %v, %d answers, %v", took, taken, err)
				}
			})
		})
	}
}

// TestSentinelsNameAnother has the sentinels name another master while the one
// that was goes on as if it still were.
func TestSentinelsNameAnother(t *testing.T) {
	t.Parallel()
	first, second := redistest.Start(t), redistest.Start(t)
	g := redistest.StartSentinel(t, "m", first, 0)
	s := openHealthy(t, g.URL(), nil)
	r := s.subscribe(t, "a")
	r.awaitID(first.XAdd("sse:a", "data", "x"))
	_, port, err := net.SplitHostPort(second.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.topo.(*sentinelTopology).sentinels {
		c.AddHook(sentinelHook(func(ctx context.Context, cmd redis.Cmder, next redis.ProcessHook) error {
			err := next(ctx, cmd)
			if m, ok := cmd.(*redis.MapStringStringCmd); ok && err == nil {
				m.Val()["port"] = port
			}
			return err
		}))
	}
	second.XAdd("sse:a", "data", "x") // which may have the id of the other one
	r.awaitID(second.XAdd("sse:a", "data", "x"))
}

// TestSentinelStart has a session find the server while a read of history asks
// the sentinels for it in vain.
func TestSentinelStart(t *testing.T) {
	t.Parallel()
	s, err := Open(testConfig(t, "redis+sentinel://127.0.0.1:1/0?master=m"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	topo := s.topo.(*sentinelTopology)
	var found *redis.Client
	topo.sentinels[0].AddHook(sentinelHook(func(context.Context, redis.Cmder, redis.ProcessHook) error {
		found = topo.follow(&topo.server, "127.0.0.1:2")
		return errors.New("no")
	}))
	if got := topo.historyClient(); found == nil || got != found || topo.server.Load() != found {
		t.Errorf("history is read from %v", got)
	}
}

// TestSentinelStartTogether has a session name the server at the moment at which
// a read of history that has asked in vain gives up.
func TestSentinelStartTogether(t *testing.T) {
	t.Parallel()
	s, err := Open(testConfig(t, "redis+sentinel://127.0.0.1:1/0?master=m"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	topo := s.topo.(*sentinelTopology)
	const named = "127.0.0.1:2"
	for i := range 3000 {
		topo.server.Store(nil)
		var both sync.WaitGroup
		both.Go(func() { topo.replace(&topo.server, nil, "127.0.0.1:1") }) // as historyClient does then
		both.Go(func() { topo.follow(&topo.server, named) })
		both.Wait()
		c := topo.server.Load()
		if addr := c.Options().Addr; addr != named {
			t.Fatalf("attempt %d: history is read from %s", i, addr)
		}
		_ = c.Close()
	}
}
