//go:build !linux

package resp

import "net"

// socket is a connection; see socket_linux.go.
type socket struct{ net.Conn }

func newSocket(conn net.Conn) socket { return socket{conn} }
