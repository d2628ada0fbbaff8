package tail

import (
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// Redis is silent for as long as it really is, however the clock is set: it is
// not told to be away, or to be there, for that.
func TestSilenceWhenTheClockIsSet(t *testing.T) {
	t.Parallel()
	n := newTestNode(t)
	s, w := newSource("a"), &countingWaker{}
	n.Add(s)
	s.Subscribe(w)
	for _, d := range []time.Duration{-time.Hour, time.Hour} {
		seen := time.Now()
		n.signOfLife(seen)
		for silent, away := range map[time.Duration]bool{0: false, StalledAfter - 1: false, StalledAfter: true, time.Minute: true} {
			now := redistest.SetClock(t, seen.Add(silent), d)
			n.updateStalled(now)
			if alive := n.Alive(now); alive == away || n.Stalled() != away {
				t.Errorf("silent for %v, with the clock set by %v: alive %v, stalled %v", silent, d, alive, n.Stalled())
			}
			since, stalled := s.Stalled()
			if stalled != away || away && since.Sub(seen).Abs() > time.Second {
				t.Errorf("stalled %v since %v, want %v since %v", stalled, since, away, seen)
			}
		}
	}
	calls := w.calls
	n.signOfLife(time.Now())
	n.signOfLife(time.Now())
	if n.Stalled() || w.calls > calls+1 {
		t.Errorf("stalled %v, %d calls for a change", n.Stalled(), w.calls-calls)
	}
}

// A node that was never alive is not started, and stalls like any other.
func TestNodeThatNeverStarted(t *testing.T) {
	t.Parallel()
	n := newTestNode(t)
	now := time.Now()
	if n.Alive(now) || n.Started() || n.Stalled() {
		t.Error("a new node is alive, or stalled")
	}
	if n.updateStalled(now.Add(2 * StalledAfter)); !n.Stalled() || n.Started() {
		t.Error("it does not stall")
	}
	if n.signOfLife(time.Now()); n.Stalled() || !n.Started() || !n.Alive(time.Now()) {
		t.Error("a sign of life is none")
	}
}
