package engine

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// lifetime is when a stream must end by itself. A grant ends by the wall clock,
// because a token names a date. The maximum age counts by the monotonic clock.
type lifetime struct {
	expiresAt int64 // Unix nanoseconds; 0: never
	maxAgeAt  int64 // reactor.Nanos; 0: never
}

// newLifetime returns the lifetime of a stream that begins now. expires is when
// its grant ends, zero if never; maxAge is 0 for no limit, and is jittered.
func newLifetime(now, expires time.Time, maxAge time.Duration) (l lifetime) {
	if !expires.IsZero() {
		// A parked stream is looked at a moment late, and must not outlive its grant.
		l.expiresAt = unixNanos(expires.Add(-reactor.MaxLate))
	}
	if maxAge > 0 {
		l.maxAgeAt = reactor.Nanos(now.Add(jitter(min(maxAge, longestAge))))
	}
	return l
}

// longestAge is a maximum age that no stream reaches, and that can be added to a time.
const longestAge = 100 * 365 * 24 * time.Hour

// reason returns why the stream must end at now by itself, and "" if it need not.
func (l lifetime) reason(now time.Time) string {
	switch {
	case l.expiresAt != 0 && now.UnixNano() >= l.expiresAt:
		return metrics.EndExpired
	case l.maxAgeAt != 0 && reactor.Nanos(now) >= l.maxAgeAt:
		return metrics.EndMaxAge
	}
	return ""
}

// deadline returns when the stream must end by itself, as the clocks tell at now;
// zero if never.
func (l lifetime) deadline(now time.Time) time.Time {
	if l == (lifetime{}) {
		return time.Time{}
	}
	left := int64(math.MaxInt64)
	if l.expiresAt != 0 {
		left = l.expiresAt - now.UnixNano()
	}
	if l.maxAgeAt != 0 {
		left = min(left, l.maxAgeAt-reactor.Nanos(now))
	}
	return now.Add(time.Duration(left))
}

// before returns t, or the deadline if that is earlier.
func (l lifetime) before(t, now time.Time) time.Time {
	if end := l.deadline(now); !end.IsZero() && end.Before(t) {
		return end
	}
	return t
}

// unixNanos returns t in Unix nanoseconds, or the last moment that has a number: a
// token may be good until the year 9999.
func unixNanos(t time.Time) int64 {
	if t.After(time.Unix(0, math.MaxInt64)) {
		return math.MaxInt64
	}
	return t.UnixNano()
}

// jitter spreads a period by ±20 %, so that streams do not act in step.
func jitter(d time.Duration) time.Duration { return d - d/5 + rand.N(d*2/5+1) }
