package conn

import (
	"testing"
	"time"
)

// A client that takes one byte within the timeout is kept, one that takes none is cut,
// and one for which nothing waits is neither.
func TestProgress(t *testing.T) {
	const timeout = 10 * time.Second
	type look struct {
		at      time.Duration
		waiting bool
		taken   uint64
		stuck   bool
	}
	for name, looks := range map[string][]look{
		"nothing waits":               {{0, false, 5, false}, {time.Hour, false, 5, false}},
		"takes nothing":               {{0, true, 5, false}, {9 * time.Second, true, 5, false}, {10 * time.Second, true, 5, true}},
		"takes nothing of nothing":    {{0, true, 0, false}, {10 * time.Second, true, 0, true}},
		"takes a byte":                {{0, true, 5, false}, {9 * time.Second, true, 6, false}, {18 * time.Second, true, 6, false}, {19 * time.Second, true, 6, true}},
		"takes all":                   {{0, true, 5, false}, {9 * time.Second, false, 0, false}, {20 * time.Second, true, 5, false}, {29 * time.Second, true, 5, false}},
		"takes a byte now and then":   {{0, true, 1, false}, {8 * time.Second, true, 2, false}, {16 * time.Second, true, 3, false}, {24 * time.Second, true, 4, false}},
		"vanishes after a slow write": {{0, true, 1, false}, {8 * time.Second, true, 2, false}, {16 * time.Second, true, 2, false}, {18 * time.Second, true, 2, true}},
	} {
		var p Progress
		for _, l := range looks {
			if got := p.Stuck(PeerState{Waiting: l.waiting, Taken: l.taken}, int64(time.Hour+l.at), timeout); got != l.stuck {
				t.Errorf("%s: after %v it is stuck: %v", name, l.at, got)
			}
		}
	}
}
