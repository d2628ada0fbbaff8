//go:build !linux

package listener

import (
	"net"
	"testing"
)

func awaitTaken(testing.TB, *Listener, *net.TCPConn) {}
