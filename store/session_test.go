package store

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// logLines collects a log, line by line.
type logLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	return len(p), nil
}

// with returns the lines that contain the text.
func (l *logLines) with(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// TestSessionsThatWorked cuts sessions soon after they have proved that they
// work: each is followed at once by the next, however many there were, because
// until then nothing is delivered.
func TestSessionsThatWorked(t *testing.T) {
	t.Parallel()
	log := &logLines{}
	srv, proxy, s := openProxied(t, func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	r := s.subscribe(t, "a")
	n := s.topo.(*singleTopology).node
	const cuts = 4
	for cut := range cuts {
		// The second probe of a session finds the answer to the first.
		seen, at := 0, n.alive.Load()
		redistest.Eventually(t, patience, "two proofs of life", func() bool {
			if now := n.alive.Load(); !now.Equal(at) {
				seen, at = seen+1, now
			}
			return seen >= 2
		})
		proxy.Cut()
		proxy.Restore()
		redistest.Eventually(t, patience, "the session to end", func() bool {
			return len(log.with("the tail session ended")) > cut
		})
		redistest.Eventually(t, patience, "the next session", func() bool { return s.sessions() > cut+1 })
		r.awaitID(srv.XAdd("sse:a", "data", "x"))
	}
	for _, line := range log.with("the tail session ended") {
		if want := "retry=" + minBackoff.String(); !strings.Contains(line, want) {
			t.Errorf("%q lacks %q", line, want)
		}
	}
}

// TestLateLook has a session look for the answer to its ping when the time for it
// has long passed, as on a machine that did not let it run: the answer may be
// there, and that it is not taken in yet is no proof of silence.
func TestLateLook(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	for _, tt := range []struct {
		name   string
		then   func(*session) // between the first look and the second
		silent bool
	}{
		{"the answer is there at the next look", func(s *session) { s.pong.Store(s.pinged) }, false},
		{"it is still not there", func(s *session) { s.missing = s.missing.Add(-probeInterval) }, true},
		{"the next look is at once", func(*session) {}, false},
	} {
		st, err := Open(testConfig(t, srv.URL()))
		if err != nil {
			t.Fatal(err)
		}
		n := st.topo.(*singleTopology).node
		s, err := n.openSession(t.Context(), srv.Addr())
		if err != nil {
			t.Fatal(err)
		}
		s.pinged = time.Now().Add(-2 * replyTimeout)
		if err := s.probe(t.Context()); err != nil {
			t.Errorf("%s: the first look: %v", tt.name, err)
		}
		tt.then(s)
		if err := s.probe(t.Context()); errors.Is(err, errSilent) != tt.silent {
			t.Errorf("%s: %v", tt.name, err)
		}
		s.close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLiveComesFirst adds an entry while subscribers have been told that Redis is
// away: it enters the window when they can know that Redis is back, not before.
func TestLiveComesFirst(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), nil)
	r := s.subscribe(t, "a")
	n := s.topo.(*singleTopology).node
	for range 3 {
		n.alive.Store(time.Now().Add(-2 * StalledAfter))
		n.updateStalled(time.Now())
		id := mustID(t, srv.XAdd("sse:a", "data", "x"))
		redistest.Eventually(t, patience, "the entry", func() bool {
			arrived := !s.windowOf("a").view.Load().head.Less(id)
			if _, stalled := r.sub.Stalled(); arrived && stalled {
				t.Fatal("the entry came while the channel was stalled")
			}
			return arrived
		})
		r.awaitID(id.String())
	}
}
