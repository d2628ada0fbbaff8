package engine

import (
	"regexp"
	"testing"
	"time"
)

// Clients do not reconnect in step.
func TestRetryIsSpread(t *testing.T) {
	within := regexp.MustCompile(`^retry: [345]\n$`)
	for range 1000 {
		if line := appendRetry(nil, 3*time.Millisecond); !within.Match(line) {
			t.Fatalf("%q is not within [3, 6)", line)
		}
	}
}
