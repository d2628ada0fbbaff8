package gateway

import (
	"math"
	"time"
)

// Moments are kept in numbers where there are many of them. What is due after a
// while is due by the monotonic clock, as it is for timers: a clock that is set
// makes nothing late, and nothing early. Only the end of a grant is a moment of
// the wall clock.

// wall returns t in Unix nanoseconds, or the last moment that has a number: a
// token may be good until the year 9999.
func wall(t time.Time) int64 {
	if t.After(time.Unix(0, math.MaxInt64)) {
		return math.MaxInt64
	}
	return t.UnixNano()
}
