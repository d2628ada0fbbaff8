//go:build !linux

package listener

import (
	"net"
	"syscall"
)

// setSocketOptions does nothing where there are no such options.
func setSocketOptions(syscall.RawConn, net.KeepAliveConfig) error { return nil }
