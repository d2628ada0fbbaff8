package tail

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// settled asks once, within the time that a test has.
func settled(t testing.TB, s *Source) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answer := s.Settled(ctx)
	if ctx.Err() != nil {
		t.Error("Settled has not returned")
	}
	return answer
}

// A log is settled when everything was read. What Redis has announced but the tail has
// not heard of yet counts, as long as it takes to arrive.
func TestSettledWaitsForAnnouncements(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	proxy := redistest.StartProxy(t, srv.Addr())
	n := newNodeAt(t, proxy.Addr(), testConfig(t))
	s := newSource("a")
	if n.Add(s); settled(t, s) {
		t.Error("a log is settled that nobody has read")
	}
	runNode(t, n)
	redistest.Eventually(t, patience, "the log to be settled", func() bool { return settled(t, s) })
	for range 5 {
		proxy.Blackhole()
		id := srv.XAdd("sse:a", "data", "x")
		answer := make(chan bool, 1)
		go func() { answer <- settled(t, s) }()
		proxy.Clear()
		if settled := <-answer; settled && s.Log.View().Known().Head.String() != id {
			t.Errorf("a log is settled at %s, and the stream has %s", s.Log.View().Known().Head, id)
		}
		redistest.Eventually(t, patience, "the log to be settled", func() bool { return settled(t, s) })
		if head := s.Log.View().Known().Head.String(); head != id {
			t.Fatalf("a log is settled at %s, and the stream has %s", head, id)
		}
	}
	// With the session the proof goes.
	proxy.Blackhole()
	answer := make(chan bool, 1)
	go func() { answer <- settled(t, s) }()
	proxy.Cut()
	if <-answer {
		t.Error("a log is settled whose server is away")
	}
}

// A server that announces nothing settles nothing.
func TestPolledLogIsNotSettled(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, redistest.WithConfig("rename-command HELLO NOHELLO"))
	n := newNodeAt(t, srv.Addr(), testConfig(t))
	s := newSource("a")
	n.Add(s)
	runNode(t, n)
	awaitAlive(t, n)
	srv.XAdd("sse:a", "data", "x")
	redistest.Eventually(t, patience, "the entry", func() bool { return !s.Log.View().Known().Head.IsZero() })
	if settled(t, s) {
		t.Error("a log is settled that is polled")
	}
}

// However many ask, the server has one round trip in settleInterval to answer.
func TestSettledIsShared(t *testing.T) {
	t.Parallel()
	var trips atomic.Int64
	addr := emptyServer(t, map[string]string{"HELLO": hello3("redis", "7.0.0"), "CLIENT": okReply}, func(args []string) {
		if args[0] == "EXEC" {
			trips.Add(1)
		}
	})
	n := newNodeAt(t, addr, testConfig(t))
	s := newSource("a")
	n.Add(s)
	runNode(t, n)
	redistest.Eventually(t, patience, "the log to be settled", func() bool { return settled(t, s) })
	trips.Store(0)
	begun := time.Now()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			for range 5 {
				if !settled(t, s) {
					t.Error("a log is not settled any more")
				}
			}
		})
	}
	all.Wait()
	if most := 1 + int64(time.Since(begun)/settleInterval); trips.Load() > most {
		t.Errorf("%d round trips within %v", trips.Load(), time.Since(begun))
	}
}
