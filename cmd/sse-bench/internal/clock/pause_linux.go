package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// pause sleeps for a short time. The Go runtime's timers round up to whole
// milliseconds when the process is idle, which would show as latency; the
// kernel's own sleep is late by about 0.05 ms.
func pause(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil) // woken early by a signal: the caller checks the time
}
