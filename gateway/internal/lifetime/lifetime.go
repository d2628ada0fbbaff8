package lifetime

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// Lifetime is when a stream must end by itself. A grant ends by the wall clock,
// because a token names a date. The maximum age counts by the monotonic clock.
type Lifetime struct {
	ExpiresAt int64 // Unix nanoseconds; 0: never
	MaxAgeAt  int64 // reactor.Nanos; 0: never
}

// New returns the lifetime of a stream that begins now. expires is when
// its grant ends, zero if never; maxAge is 0 for no limit, and is jittered.
func New(now, expires time.Time, maxAge time.Duration) (l Lifetime) {
	if !expires.IsZero() {
		// A parked stream is looked at a moment late, and must not outlive its grant.
		l.ExpiresAt = unixNanos(expires.Add(-reactor.MaxLate))
	}
	if maxAge > 0 {
		l.MaxAgeAt = reactor.Nanos(now.Add(Jitter(min(maxAge, longestAge))))
	}
	return l
}

// longestAge is a maximum age that no stream reaches, and that can be added to a time.
const longestAge = 100 * 365 * 24 * time.Hour

// Reason returns why the stream must end at now by itself, and "" if it need not.
func (l Lifetime) Reason(now time.Time) string {
	switch {
	case l.ExpiresAt != 0 && now.UnixNano() >= l.ExpiresAt:
		return metrics.EndExpired
	case l.MaxAgeAt != 0 && reactor.Nanos(now) >= l.MaxAgeAt:
		return metrics.EndMaxAge
	}
	return ""
}

// Deadline returns when the stream must end by itself, as the clocks tell at now;
// zero if never.
func (l Lifetime) Deadline(now time.Time) time.Time {
	if l == (Lifetime{}) {
		return time.Time{}
	}
	left := int64(math.MaxInt64)
	if l.ExpiresAt != 0 {
		left = l.ExpiresAt - now.UnixNano()
	}
	if l.MaxAgeAt != 0 {
		left = min(left, l.MaxAgeAt-reactor.Nanos(now))
	}
	return now.Add(time.Duration(left))
}

// Before returns t, or the deadline if that is earlier.
func (l Lifetime) Before(t, now time.Time) time.Time {
	if end := l.Deadline(now); !end.IsZero() && end.Before(t) {
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

// Jitter spreads a period by ±20 %, so that streams do not act in step.
func Jitter(d time.Duration) time.Duration { return d - d/5 + rand.N(d*2/5+1) }
