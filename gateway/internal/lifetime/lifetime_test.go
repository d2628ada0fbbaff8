package lifetime

import (
	"math"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// A grant ends by the wall clock, a stream gets old by the monotonic one, and
// whichever comes first ends it.
func TestEndsOfStreamsWhenTheClockIsSet(t *testing.T) {
	now := time.Now()
	const hour, tick = time.Hour, reactor.Tick
	for name, tt := range map[string]struct {
		grant, age time.Duration // 0: for good
		set        time.Duration // of the clock
		want       time.Duration // it ends then
		reason     string
	}{
		"grant":                           {hour, 0, 0, hour, metrics.EndExpired},
		"grant, clock set back":           {hour, 0, -hour, 2 * hour, metrics.EndExpired},
		"grant, clock set forward":        {hour, 0, hour / 2, hour / 2, metrics.EndExpired},
		"age":                             {0, hour, 0, hour, metrics.EndMaxAge},
		"age, clock set back":             {0, hour, -hour, hour, metrics.EndMaxAge},
		"age, clock set forward":          {0, hour, 2 * hour, hour, metrics.EndMaxAge},
		"both, the grant first":           {hour, 2 * hour, 0, hour, metrics.EndExpired},
		"both, the clock makes the age":   {hour, 2 * hour, -2 * hour, 2 * hour, metrics.EndMaxAge},
		"both, the age first":             {2 * hour, hour, 0, hour, metrics.EndMaxAge},
		"both, the clock makes the grant": {2 * hour, hour, 90 * time.Minute, hour / 2, metrics.EndExpired},
		"neither":                         {0, 0, hour, 0, ""},
	} {
		var l Lifetime
		if tt.grant != 0 {
			l.ExpiresAt = now.Add(tt.grant).UnixNano()
		}
		if tt.age != 0 {
			l.MaxAgeAt = reactor.Nanos(now.Add(tt.age))
		}
		set := redistest.SetClock(t, now, tt.set)
		if tt.want == 0 {
			if end := l.Deadline(set); !end.IsZero() || l.Reason(set.Add(1000*hour)) != "" {
				t.Errorf("%s: it ends at %v", name, end)
			}
			continue
		}
		if left := l.Deadline(set).Sub(now); left > tt.want || left < tt.want-tick {
			t.Errorf("%s: it ends in %v, want %v", name, left, tt.want)
		}
		if early, late := l.Reason(set.Add(tt.want-tick)), l.Reason(set.Add(tt.want)); early != "" || late != tt.reason {
			t.Errorf("%s: it has ended before: %q, and at the time: %q", name, early, late)
		}
	}
}

// A token may be good until a year that has no number in nanoseconds.
func TestLifetimes(t *testing.T) {
	for name, tt := range map[string]struct {
		expires time.Time
		age     time.Duration
		ends    bool
	}{
		"for good":           {},
		"a minute":           {expires: time.Now().Add(time.Minute), ends: true},
		"until 2262":         {expires: time.Unix(0, math.MaxInt64), ends: true},
		"until 9999":         {expires: time.Unix(253402300799, 0), ends: true},
		"a short life":       {age: time.Nanosecond, ends: true},
		"a life of 13 years": {age: 13 * 365 * 24 * time.Hour * 8 / 10, ends: true},
		"the longest life":   {age: math.MaxInt64, ends: true},
	} {
		now := time.Now()
		l := New(now, tt.expires, tt.age)
		if reason := l.Reason(now); reason != "" {
			t.Errorf("%s: it has ended: %s", name, reason)
		}
		if end := l.Deadline(now); end.IsZero() == tt.ends || tt.ends && !end.After(now) {
			t.Errorf("%s: it ends at %v", name, end)
		}
	}
}

func TestJitter(t *testing.T) {
	seen := map[time.Duration]bool{}
	least, most := time.Hour, time.Duration(0)
	for range 2000 {
		d := Jitter(time.Second)
		seen[d], least, most = true, min(least, d), max(most, d)
	}
	if least < 800*time.Millisecond || most > 1200*time.Millisecond || most-least < 300*time.Millisecond || len(seen) < 1000 {
		t.Errorf("from %v to %v, %d different", least, most, len(seen))
	}
	for _, d := range []time.Duration{0, 5, 50} {
		if j := Jitter(d); j < d-d/5 || j > d+d/5 {
			t.Errorf("%d becomes %d", d, j)
		}
	}
}
