package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// pour adds entries until the test has seen enough, and keeps the ledger of
// those that Redis acknowledged.
type pour struct {
	ledger ledger
	stop   func() (end ID)
}

// startPour adds to a channel, one entry at a time, also over errors. An entry
// whose XADD failed may be in the stream nevertheless, so its data is noted in
// unsure, and its id is not known.
func startPour(srv *redistest.Server, channel string) *pour {
	p := &pour{}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
			data := fmt.Sprint(i)
			id, err := srv.Client().Do(context.Background(), "XADD", "sse:"+channel, "*", "data", data).Text()
			if err != nil {
				continue
			}
			if id, err := ParseID(id); err == nil {
				p.ledger.add(id, data)
			}
		}
	})
	p.stop = func() ID {
		close(done)
		wg.Wait()
		p.ledger.seal()
		return p.ledger.sorted[len(p.ledger.sorted)-1]
	}
	return p
}

// judge waits until the reader has everything that the stream has, and
// compares: what Redis has is what must have come.
func (p *pour) judge(t *testing.T, srv *redistest.Server, r *reader, start ID) {
	t.Helper()
	p.stop()
	entries, err := srv.Client().XRange(t.Context(), "sse:"+r.sub.Channel(), "-", "+").Result()
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	r.awaitID(entries[len(entries)-1].ID)
	l := ledger{}
	for _, e := range entries {
		l.add(mustID(t, e.ID), e.Values["data"].(string))
	}
	for id := range p.ledger.entries {
		if _, ok := l.entries[id]; !ok {
			t.Fatalf("Redis has lost %s: not the fault that was meant", id)
		}
	}
	l.seal()
	if faults := l.judge(start, l.sorted[len(l.sorted)-1], r.got, l.entriesSet()); len(faults) > 0 {
		t.Fatalf("%d entries:\n%s", len(entries), strings.Join(faults[:min(5, len(faults))], "\n"))
	}
}

func TestDownAtOpen(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.Kill()
	s := open(t, srv.URL(), nil)
	if _, err := s.trySubscribe(t, "a"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Subscribe: %v", err)
	}
	if ok, reason := s.Health(); ok || !strings.Contains(reason, "has not been reached yet") {
		t.Errorf("Health: %v, %q", ok, reason)
	}
	srv.Restart()
	s.awaitHealth(t, true)
	r := s.subscribe(t, "a")
	r.awaitID(srv.XAdd("sse:a", "data", "x"))
}

// TestKill kills Redis under load, twice, and lets it come back with its data.
func TestKill(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, redistest.WithAOF())
	s := openHealthy(t, srv.URL(), nil)
	r := s.subscribe(t, "a")
	p := startPour(srv, "a")
	for range 2 {
		n := len(r.got)
		r.await("some events", func() bool { return len(r.got) > n+50 })
		srv.Kill()
		srv.Restart()
	}
	n := len(r.got)
	r.await("some events", func() bool { return len(r.got) > n+50 })
	p.judge(t, srv, r, ID{})
	if s.sweepFinds() != 0 || s.sessions() < 3 {
		t.Errorf("%d finds of the sweep, %d sessions", s.sweepFinds(), s.sessions())
	}
}

// TestComesBackEmpty kills a Redis that keeps nothing.
func TestComesBackEmpty(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), nil)
	r, other := s.subscribe(t, "a"), s.subscribe(t, "empty")
	r.awaitID(srv.XAdd("sse:a", "data", "x"))
	r.got = nil
	srv.Kill()
	srv.Restart()
	s.awaitGone(t, "a")
	id := srv.XAdd("sse:a", "data", "y")
	r.awaitID(id)
	// It has everything that was before, and the ids go on.
	if got := r.texts(); len(got) != 1 || got[0] != id+" y" {
		t.Errorf("got %v", got)
	}
	other.awaitID(srv.XAdd("sse:empty", "data", "z"))
	if len(other.got) != 1 {
		t.Errorf("an empty channel got %v", other.got)
	}
}

// TestTrimmedDuringOutage trims past the tail while it has no connection: a gap
// where entries were lost, none where not.
func TestTrimmedDuringOutage(t *testing.T) {
	t.Parallel()
	srv, p, s := openProxied(t, nil)
	lost, edge := s.subscribe(t, "lost"), s.subscribe(t, "edge")
	lastLost, lastEdge := srv.XAdd("sse:lost", "data", "0"), srv.XAdd("sse:edge", "data", "0")
	lost.awaitID(lastLost)
	edge.awaitID(lastEdge)
	lost.got, edge.got = nil, nil
	p.Cut()
	a := fill(t, srv.Client(), "sse:lost", 10, short)
	b := fill(t, srv.Client(), "sse:edge", 10, short)
	srv.Do("XTRIM", "sse:lost", "MAXLEN", 5)
	srv.Do("XTRIM", "sse:edge", "MAXLEN", 10) // the last one seen is the last one gone
	p.Restore()
	lost.awaitID(a[9].String())
	edge.awaitID(b[9].String())
	if got := lost.got[0].String(); got != fmt.Sprintf("gap(%s,%s trimmed)", lastLost, a[5].Prev()) {
		t.Errorf("got %s", got)
	}
	wantIDs(t, "after the gap", lost.got[1:], a[5:])
	wantIDs(t, "at the edge", edge.got, b)
}

// TestStalled freezes Redis for longer than it may be silent.
func TestStalled(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	opened := time.Now()
	s := openHealthy(t, srv.URL(), nil)
	r := s.subscribe(t, "a")
	r.awaitID(srv.XAdd("sse:a", "data", "x"))
	if _, stalled := r.sub.Stalled(); stalled {
		t.Error("stalled at the start")
	}
	srv.Pause()
	r.awaitStalled(true)
	if since, _ := r.sub.Stalled(); since.Before(opened) || time.Since(since) < StalledAfter {
		t.Errorf("stalled since %v; now it is %v, and it was opened at %v", since, time.Now(), opened)
	}
	if ok, reason := s.Health(); ok || !strings.Contains(reason, "unreachable since") {
		t.Errorf("Health: %v, %q", ok, reason)
	}
	srv.Resume()
	r.awaitStalled(false)
	s.awaitHealth(t, true)
	r.awaitID(srv.XAdd("sse:a", "data", "y"))
}

// awaitStalled waits for the state as a subscriber would: it looks only when it
// was woken.
func (r *reader) awaitStalled(want bool) {
	r.t.Helper()
	timeout := time.After(patience)
	for {
		if _, stalled := r.sub.Stalled(); stalled == want {
			return
		}
		select {
		case <-r.wake:
		case <-timeout:
			r.t.Fatalf("nobody said that stalled is %v", want)
		}
	}
}

// TestShortFreeze freezes Redis for less than it may be silent.
func TestShortFreeze(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), nil)
	r := s.subscribe(t, "a")
	p := startPour(srv, "a")
	r.await("some events", func() bool { return len(r.got) > 20 })
	srv.Pause()
	frozen := time.After(1200 * time.Millisecond)
	<-frozen // a freeze is a length of time, there is nothing to wait for
	srv.Resume()
	n := len(r.got)
	r.await("more events", func() bool { return len(r.got) > n+20 })
	p.judge(t, srv, r, ID{})
	r.awaitStalled(false) // a starved machine may have taken it for a long one
}

// TestPublishersRefused fills Redis up to maxmemory: publishers are refused,
// and readers go on.
func TestPublishersRefused(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), nil)
	r := s.subscribe(t, "a")
	r.awaitID(srv.XAdd("sse:a", "data", "x"))
	srv.Do("CONFIG", "SET", "maxmemory", 1)
	if err := srv.Client().Do(t.Context(), "XADD", "sse:a", "*", "data", "y").Err(); err == nil || !strings.HasPrefix(err.Error(), "OOM") {
		t.Fatalf("XADD: %v", err)
	}
	r.at(ID{}).drain()
	second := s.subscribe(t, "b")
	if len(r.got) != 1 || !second.cur.Pos().IsZero() {
		t.Errorf("got %v", r.got)
	}
	if _, err := r.sub.Last(t.Context(), 5); err != nil {
		t.Errorf("Last: %v", err)
	}
	// A check of the tail, too, goes without the transaction that is refused.
	r.got = nil
	srv.Do("DEL", "sse:a")
	s.awaitGone(t, "a")
	srv.Do("CONFIG", "SET", "maxmemory", 0)
	r.awaitID(srv.XAdd("sse:a", "data", "z"))
	if s.sessions() != 1 {
		t.Errorf("%d sessions", s.sessions())
	}
}
