package reactor

import "time"

// epoch is the origin of the times that are kept in numbers.
var epoch = time.Now()

// Nanos returns t in nanoseconds of the monotonic clock since the process began.
func Nanos(t time.Time) int64 { return int64(t.Sub(epoch)) }

// Time returns the time that Nanos made a number of.
func Time(ns int64) time.Time {
	now := time.Now()
	return now.Add(time.Duration(ns - Nanos(now)))
}
