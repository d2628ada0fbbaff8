//go:build !linux

package listener

import "syscall"

// setSocketOptions does nothing where there is no such option.
func setSocketOptions(syscall.RawConn) error { return nil }
