package keys

import (
	"testing"
	"time"
)

func TestJWKSScheduleIsJittered(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 100 {
		d := jitter(Interval)
		if d < Interval*8/10 || d > Interval*12/10 {
			t.Fatalf("got %v", d)
		}
		seen[d] = true
	}
	if len(seen) < 90 {
		t.Errorf("only %d different waits", len(seen))
	}
}
