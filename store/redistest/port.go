package redistest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// Ports are taken from below the range that systems hand out to outgoing
	// connections (Linux: from 32768), so that none is lost to a client's
	// connection while its server is down between Kill and Restart.
	firstPort = 10240
	lastPort  = 32000

	// busOffset is the distance from a cluster node's port to its bus port.
	busOffset = 10000

	// portAttempts is how many ports are tried before giving up. A port that
	// is free when looked at can be taken by another test process before the
	// server binds it.
	portAttempts = 20
)

// reserved are the ports that tests of this process hold.
var reserved = struct {
	mu    sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// FreePort returns a loopback TCP port that nothing listens on. No other call
// in this process returns it again before t ends; another process may still
// take it, so be ready to try again.
func FreePort(t testing.TB) int {
	t.Helper()
	return freePort(t, 0)
}

// FreeAddr returns the loopback address, "127.0.0.1:port", of a FreePort.
func FreeAddr(t testing.TB) string {
	t.Helper()
	return loopback(FreePort(t))
}

// freePort is FreePort for a server that needs port and, if busOffset is not
// zero, port+busOffset.
func freePort(t testing.TB, busOffset int) int {
	t.Helper()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-busOffset-firstPort)
		if !reserve(port, port+busOffset) {
			continue
		}
		if refused(port) && (busOffset == 0 || refused(port+busOffset)) {
			t.Cleanup(func() { release(port, port+busOffset) })
			return port
		}
		release(port, port+busOffset)
	}
	t.Fatalf("no free TCP port on 127.0.0.1 between %d and %d", firstPort, lastPort)
	return 0
}

func reserve(ports ...int) bool {
	reserved.mu.Lock()
	defer reserved.mu.Unlock()
	for _, p := range ports {
		if reserved.ports[p] {
			return false
		}
	}
	for _, p := range ports {
		reserved.ports[p] = true
	}
	return true
}

func release(ports ...int) {
	reserved.mu.Lock()
	defer reserved.mu.Unlock()
	for _, p := range ports {
		delete(reserved.ports, p)
	}
}

// refused reports whether nothing listens on a port. It does not try to listen
// there itself: a process that is being started at this moment elsewhere in the
// test binary would inherit that socket and keep the port busy until it execs.
func refused(port int) bool {
	conn, err := net.DialTimeout("tcp", loopback(port), time.Second)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// loopback returns the address of a port on this machine.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
