// Package clock is the time of a run: the clock that send times and latencies are
// read from, and waits that are as exact as the system allows.
package clock

import (
	"context"
	"time"
)

// fineSleep is the rest of a wait that pause is used for.
const fineSleep = 3 * time.Millisecond

// Now returns the time in Unix nanoseconds. All processes of a machine share it.
func Now() int64 { return time.Now().UnixNano() }

// Wait blocks for d or until ctx ends; it tells whether d passed.
func Wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// WaitUntil returns at a time (Unix ns), late by about 0.05 ms on Linux. It returns
// false as soon as ctx has ended.
func WaitUntil(ctx context.Context, at int64) bool {
	for {
		left := time.Duration(at - Now())
		switch {
		case left <= 0:
			return ctx.Err() == nil
		case left > fineSleep:
			if !Wait(ctx, left-fineSleep+time.Millisecond) {
				return false
			}
		default:
			pause(left)
		}
	}
}
