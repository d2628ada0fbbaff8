//go:build !linux

package listener

import "syscall"

// setSocketOptions does nothing where there are no such options.
func setSocketOptions(syscall.RawConn) error { return nil }
