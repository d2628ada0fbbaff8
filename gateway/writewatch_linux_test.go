package gateway

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// lateConn is a connection whose write is over in the moment in which its
// time-out is being switched off.
type lateConn struct {
	*net.TCPConn // only for its socket: its deadlines are of the real time
}

func (lateConn) SetWriteDeadline(time.Time) error { return nil }

func (lateConn) Write(p []byte) (int, error) {
	<-time.After(slowWrite/2 + time.Millisecond)
	return len(p), nil
}

func (c lateConn) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.TCPConn.SyscallConn()
	return lateRawConn{raw}, err
}

type lateRawConn struct{ syscall.RawConn }

func (c lateRawConn) Control(f func(uintptr)) error {
	<-time.After(10 * time.Millisecond)
	return c.RawConn.Control(f)
}

// A connection whose TCP_USER_TIMEOUT is off is not parked: a client whose host
// vanishes would never be missed. That holds for a write, too, that ends just
// when it counts as slow.
func TestTimeoutThatIsSwitchedOffLate(t *testing.T) {
	_, accepted := redistest.Pair(t, redistest.Listen(t))
	server := accepted.(*net.TCPConn)
	const timeout = 12345 * time.Millisecond
	setUserTimeout(t, server, timeout)
	synctest.Test(t, func(t *testing.T) {
		c := newTakenConn(lateConn{server}, true)
		for range 3 {
			if err := c.write([]byte("x"), time.Minute, time.Time{}); err != nil {
				t.Fatal(err)
			}
			parkable := c.parkable()
			redistest.Pass(time.Second) // for whatever still runs
			if off := userTimeoutOf(t, server) == 0; off && parkable {
				t.Error("the time-out of a connection was switched off when it could be parked already")
			}
			// The client has everything.
			c.silence.restore()
			if !c.parkable() || userTimeoutOf(t, server) != timeout {
				t.Errorf("in the end the time-out is %v, and the connection can be parked: %v", userTimeoutOf(t, server), c.parkable())
			}
		}
	})
}

// slowPair returns a connection with options as the gateway's have them, and its
// client's end, which holds little.
func slowPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l := redistest.Listen(t)
	client, err := redistest.SmallDialer(4096).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	if err := control(server, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 16<<10) }); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// A client that takes nothing has one time-out from then on, not another one for
// what the kernel took on its behalf.
func TestClientThatTakesNothing(t *testing.T) {
	t.Parallel()
	server, _ := slowPair(t)
	const timeout = 4 * time.Second
	start := time.Now()
	err := newTakenConn(server, false).write(make([]byte, 4<<20), timeout, time.Time{})
	if took := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || took < timeout || took >= 2*timeout {
		t.Errorf("it was given up after %v: %v", took, err)
	}
}

// A client that takes something now and then is kept, although the kernel has
// room for more only after several time-outs.
func TestClientThatTakesLittle(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, client := slowPair(t)
			const timeout = 2 * time.Second
			setUserTimeout(t, server, timeout)
			if secure {
				files := redistest.NewTLSFiles(t)
				cert, err := tls.LoadX509KeyPair(files.ServerCertFile, files.ServerKeyFile)
				if err != nil {
					t.Fatal(err)
				}
				server = tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}})
				shaken := make(chan error, 1)
				go func() { shaken <- server.(*tls.Conn).Handshake() }()
				config := files.ClientConfig()
				config.ServerName = "127.0.0.1"
				if err := errors.Join(tls.Client(client, config).Handshake(), <-shaken); err != nil {
					t.Fatal(err)
				}
			}
			pace := rate.NewLimiter(4<<10, 1<<10)
			var reading sync.WaitGroup
			defer reading.Wait()
			reading.Go(func() {
				for b := make([]byte, 1<<10); ; {
					n, err := client.Read(b)
					if err != nil || pace.WaitN(t.Context(), n) != nil {
						return
					}
				}
			})
			defer client.Close()
			time.AfterFunc(4*timeout, func() { pace.SetLimit(rate.Inf) })
			start := time.Now()
			if err := newTakenConn(server, false).write(make([]byte, 512<<10), timeout, time.Time{}); err != nil {
				t.Errorf("it was given up after %v: %v", time.Since(start), err)
			}
		})
	}
}

// heldResponse is a response whose write waits until it is let go.
type heldResponse struct {
	slowResponse
	goOn chan struct{}
}

func (w *heldResponse) Write(p []byte) (int, error) { <-w.goOn; return 0, os.ErrDeadlineExceeded }

// A connection of HTTP/2 that takes nothing is closed after the write time-out,
// but not because one of its streams has little time for its last word.
func TestConnectionThatTakesNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		write  func(c *responseConn)
		closed bool
	}{
		"an event":   {func(c *responseConn) { _ = c.write([]byte("x"), time.Second, time.Time{}) }, true},
		"a farewell": {func(c *responseConn) { c.farewell([]byte("x")) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, _ := slowPair(t)
			_ = server.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := server.Write(make([]byte, 4<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			r, err := http.NewRequestWithContext(WithConn(t.Context(), server), http.MethodGet, "/", nil)
			if err != nil {
				t.Fatal(err)
			}
			w := &heldResponse{goOn: make(chan struct{})}
			time.AfterFunc(4*time.Second, func() { close(w.goOn) })
			tt.write(newResponseConn(w, r))
			if closed := errors.Is(server.SetDeadline(time.Time{}), net.ErrClosed); closed != tt.closed {
				t.Errorf("the connection was closed: %v", closed)
			}
		})
	}
}

func setUserTimeout(t *testing.T, c net.Conn, d time.Duration) {
	t.Helper()
	if err := control(c, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	}); err != nil {
		t.Fatal(err)
	}
}

func userTimeoutOf(t *testing.T, c net.Conn) (d time.Duration) {
	t.Helper()
	if err := control(c, func(fd int) error {
		ms, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		d = time.Duration(ms) * time.Millisecond
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return d
}
