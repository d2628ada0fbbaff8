package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/gatewaytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// buildPlain builds the program without the race detector, which would be what
// is measured otherwise.
var buildPlain = sync.OnceValues(func() (path string, err error) { return gatewaytest.Build("cmd/sse-gateway", false) })

// startPlain starts a gateway without the race detector that may have this many
// files open; 0 is as many as the test.
func startPlain(t *testing.T, files int, env ...string) *gatewayProcess {
	t.Helper()
	path, err := buildPlain()
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		return startGatewayCommand(t, exec.Command(path), env...)
	}
	return startGatewayCommand(t, exec.Command("sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0"`, files), path), env...)
}

// memory returns a figure of /proc/…/status in bytes: VmRSS is what the process
// has resident now, VmHWM the most that it ever had.
func (p *gatewayProcess) memory(name string) int {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				p.t.Fatal(err)
			}
			return kib << 10
		}
	}
	p.t.Fatalf("/proc has no %s", name)
	return 0
}

// heap returns how many bytes are reachable in the process, garbage left out.
func (p *gatewayProcess) heap() int {
	p.t.Helper()
	if status, _ := fetch(p.t, "http://"+p.admin+"/debug/pprof/heap?gc=1", nil); status != http.StatusOK {
		p.t.Fatalf("the collection of garbage answers %d", status)
	}
	return int(p.metric("go_memstats_heap_alloc_bytes"))
}

// mib writes a size for people.
func mib(n int) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// connections are a hostile client's. They are closed with the test.
type connections struct {
	t    *testing.T
	addr string
	all  []net.Conn
}

func attack(t *testing.T, addr string) *connections {
	cs := &connections{t: t, addr: addr}
	t.Cleanup(cs.close)
	return cs
}

func (cs *connections) close() {
	for _, c := range cs.all {
		_ = c.Close()
	}
	cs.all = nil
}

// open opens a connection and sends this on it. A gateway that hangs up, or
// does not answer, is not an error.
func (cs *connections) open(text string) net.Conn {
	cs.t.Helper()
	c, err := cs.dial()
	if err != nil {
		cs.t.Fatal(err)
	}
	_, _ = io.WriteString(c, text)
	return c
}

// dial opens a connection whose receive buffer is small, so that little is
// enough to fill it.
func (cs *connections) dial() (net.Conn, error) {
	c, err := orReset(redistest.SmallDialer(receiveBuffer).DialContext(cs.t.Context(), "tcp", cs.addr))
	if err == nil {
		cs.all = append(cs.all, c)
	}
	return c, err
}

// orReset takes what a dialer returns. A connection for which the gateway has no
// place may be reset before the dialer looks at it; then orReset returns one that is
// closed.
func orReset(c net.Conn, err error) (net.Conn, error) {
	if !errors.Is(err, syscall.ECONNRESET) {
		return c, err
	}
	c, _ = net.Pipe()
	return c, c.Close()
}

// hungUp counts the connections that the gateway has closed. It takes what there
// is to read on them.
func (cs *connections) hungUp() (n int) {
	for _, c := range cs.all {
		if isClosed(c) {
			n++
		}
	}
	return n
}

// isClosed reports whether the other end has closed a connection.
func isClosed(c net.Conn) bool {
	var b [4096]byte
	for {
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := c.Read(b[:]); err != nil {
			timeout, ok := err.(net.Error)
			return !ok || !timeout.Timeout()
		}
	}
}

// get is the request for an event stream as text; headers are whole lines.
func get(query string, headers ...string) string {
	return "GET /events?" + query + " HTTP/1.1\r\nHost: gateway\r\nAccept: text/event-stream\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n"
}

// status reads the status of an HTTP/1.1 response. The body is left: to close it
// would be to wait for its end, which that of a stream has not.
func status(c net.Conn) int {
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	return res.StatusCode
}

// fillStream puts n entries of a size into a stream. They are written in few
// round trips.
func fillStream(t *testing.T, r *redistest.Server, key string, n, size int) {
	t.Helper()
	data := strings.Repeat("x", size)
	for n > 0 {
		pipe := r.Client().Pipeline()
		for range min(n, 2000) {
			pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: key, Values: []string{"data", data}})
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		n -= 2000
	}
}
