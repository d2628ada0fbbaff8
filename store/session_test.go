package store

import (
	"log/slog"
	"strings"
	"sync"
	"testing"

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
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	r := s.subscribe(t, "a")
	const cuts = 4
	for cut := range cuts {
		srv.KillClients(func(map[string]string) bool { return true })
		redistest.Eventually(t, patience, "the session to end", func() bool {
			return len(log.with("the session with Redis ended")) > cut
		})
		redistest.Eventually(t, patience, "the next session", func() bool { return s.sessions() > cut+1 })
		r.awaitID(srv.XAdd("sse:a", "data", "x"))
	}
	for _, line := range log.with("the session with Redis ended") {
		if want := "retry=20ms"; !strings.Contains(line, want) {
			t.Errorf("%q lacks %q", line, want)
		}
	}
}

// TestLiveComesFirst adds an entry while subscribers have been told that Redis is
// away: it enters the log when they can know that Redis is back, not before.
func TestLiveComesFirst(t *testing.T) {
	t.Parallel()
	srv, proxy, s := openProxied(t, nil)
	r := s.subscribe(t, "a")
	settle(t, s, "a")
	proxy.Blackhole()
	r.awaitStalled(true)
	id := mustID(t, srv.XAdd("sse:a", "data", "x"))
	proxy.Clear()
	redistest.Eventually(t, patience, "the entry", func() bool {
		_, stalled := r.sub.Stalled()
		arrived := !s.source("a").Log.View().Head().Less(id)
		if arrived && stalled {
			if _, still := r.sub.Stalled(); still {
				t.Fatal("the entry came while the channel was stalled")
			}
		}
		return arrived
	})
	r.awaitID(id.String())
}
