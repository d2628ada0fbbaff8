//go:build !linux

package listener

import (
	"syscall"
	"time"
)

// setSocketOptions does nothing where there are no such options: write
// deadlines and keep-alive probes have to do.
func setSocketOptions(syscall.RawConn, time.Duration) error { return nil }
