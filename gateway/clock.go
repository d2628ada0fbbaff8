package gateway

import (
	"math"
	"time"
)

// Moments are kept in numbers where there are many of them. What is due after a
// while is due by the monotonic clock, as it is for timers: a clock that is set
// makes nothing late, and nothing early. Only the end of a grant is a moment of
// the wall clock.

// epoch is where the monotonic time that is kept in numbers begins.
var epoch = time.Now()

// monotonic returns t in nanoseconds of the monotonic clock since epoch.
func monotonic(t time.Time) int64 { return int64(t.Sub(epoch)) }

// atMonotonic returns the time that monotonic has made a number of.
func atMonotonic(ns int64) time.Time {
	now := time.Now()
	return now.Add(time.Duration(ns - monotonic(now)))
}

// wall returns t in Unix nanoseconds, or the last moment that has a number: a
// token may be good until the year 9999.
func wall(t time.Time) int64 {
	if t.After(time.Unix(0, math.MaxInt64)) {
		return math.MaxInt64
	}
	return t.UnixNano()
}
