package redistest

import (
	"testing"
	"time"
)

// The pause between two looks at a condition: short, since most come true
// within milliseconds; then longer, to leave the processor to what is awaited.
const (
	firstPoll = 5 * time.Millisecond
	lastPoll  = 50 * time.Millisecond
)

// settleTimeout is how long the harness waits for servers to agree on
// something (a replica in sync, a failover, a slot's owner). It is long because
// a loaded machine delays their timers; a quick machine never waits it out.
const settleTimeout = 30 * time.Second

// Eventually waits until cond returns true and fails the test if that takes
// longer than within; what completes the sentence "waited for …". cond is
// called at least once, on the calling goroutine.
func Eventually(t testing.TB, within time.Duration, what string, cond func() bool) {
	t.Helper()
	if !Poll(within, cond) {
		t.Fatalf("waited %v for %s", within, what)
	}
}

// Poll reports whether cond came true within the time. It is Eventually for what
// is no failure, and for any goroutine.
func Poll(within time.Duration, cond func() bool) bool {
	deadline := time.Now().Add(within)
	for pause := firstPoll; ; pause = min(pause*3/2, lastPoll) {
		if cond() {
			return true
		}
		left := time.Until(deadline)
		if left <= 0 {
			return false
		}
		time.Sleep(min(pause, left))
	}
}
