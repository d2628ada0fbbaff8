//go:build !linux

package clock

import "time"

// pause sleeps for a short time.
func pause(d time.Duration) { time.Sleep(d) }
