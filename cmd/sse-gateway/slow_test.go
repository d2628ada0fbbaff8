package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// numbered is an entry's data: its number and then padding.
func numbered(i, size int) string { return strconv.Itoa(i) + " " + strings.Repeat("x", size) }

// requireNumbered takes the next event, which must be number i.
func requireNumbered(t *testing.T, c *client, i int) event {
	t.Helper()
	e := c.next(t)
	if number, _, _ := strings.Cut(e.data, " "); e.name != "" || number != strconv.Itoa(i) {
		t.Fatalf("got event %q %.20q, want number %d", e.name, e.data, i)
	}
	return e
}

// A client that stops reading and goes on later gets everything, although it
// fell off the window, and meanwhile neither the others nor the memory feel it.
func TestClientThatStopsForAWhile(t *testing.T) {
	t.Parallel()
	// 3 MB: more than the sockets and the window hold. In few events, because a client of
	// HTTP/2 that stops for a minute is cut: it answers no PING.
	const others, events, size = 10, 40, 75_000
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_WINDOW_EVENTS=16", "SSE_HEARTBEAT=500ms", "SSE_WRITE_TIMEOUT=5m")...)
	var stopped []*client
	var stoppers []*stopper
	for version := 1; version <= 2; version++ {
		rt, s := stoppableTransport(t, version)
		stopped = append(stopped, subscribe(t, rt, p.eventsURL("channel=a")).ready(t))
		stoppers = append(stoppers, s)
		s.stop()
	}
	var reading []*client
	http1, http2 := transport(t, 1, nil), transport(t, 2, nil)
	for i := range others {
		rt := http1
		if i%2 == 1 {
			rt = http2
		}
		reading = append(reading, subscribe(t, rt, p.eventsURL("channel=a")).ready(t))
	}
	before := p.metric("go_memstats_heap_inuse_bytes")
	for i := range events {
		r.XAdd("sse:a", "data", numbered(i, size))
		for _, c := range reading {
			requireNumbered(t, c, i) // although the others do not read on before the last event
		}
	}
	if v := p.metric("sse_gateway_window_events"); v > 16 {
		t.Errorf("the window holds %v events, want 16 at most", v)
	}
	// What was evicted counts until it is free, which is up to half as much.
	if v := p.metric("sse_gateway_window_bytes"); v > 2*16*(size+500) {
		t.Errorf("the window holds %v bytes, more than 16 events", v)
	}
	if grown := p.metric("go_memstats_heap_inuse_bytes") - before; grown > 48<<20 {
		t.Errorf("the heap grew by %v MB", grown/(1<<20))
	}
	for i, c := range stopped {
		stoppers[i].resume()
		for n := range events {
			requireNumbered(t, c, n)
		}
	}
	if v := p.metric("sse_gateway_history_reads_total", "read"); v == 0 {
		t.Error("nothing was read from Redis: no client fell off the window")
	}
	for _, c := range append(reading, stopped...) {
		if !c.isOpen() {
			t.Error("a stream has ended")
		}
	}
	if v := p.metric("sse_gateway_sweep_finds_total"); v != 0 {
		t.Errorf("the sweep found %v entries", v)
	}
}

// A client that is slow, but takes bytes, is kept for longer than the write
// timeout, and gets what it gets in order, compressed or not.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	// Between two reads a slow machine may take seconds.
	const writeTimeout, kept = 10 * time.Second, 15 * time.Second
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_WRITE_TIMEOUT="+writeTimeout.String(), "SSE_WINDOW_EVENTS=16", "SSE_COMPRESSION=gzip")...)
	for i := range 200 {
		r.XAdd("sse:a", "data", fmt.Sprint(i, " ", noise(10_000))) // 2 MB, and three quarters of it compressed
	}
	const query = "channel=a&replay=all"
	var readers []*slowReader
	for request, body := range map[string]func(io.Reader) io.Reader{
		"GET /events?" + query + " HTTP/1.1\r\nHost: h\r\n\r\n":                                     func(r io.Reader) io.Reader { return r },
		"GET /events?" + query + " HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n":            newGzipBody,
		h2Preface + h2Unlimited + h2Frame(h2Headers, h2EndStream|h2EndHeaders, 1, h2Request(query)): newH2Body,
	} {
		conn := dialSmall(t, p.public)
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		readers = append(readers, startSlowReader(t, conn, 10_000, 200, body))
	}
	requireKept(t, kept, readers...)
	if n := p.metric("sse_gateway_connections"); n != 3 {
		t.Errorf("%v connections after %v", n, kept)
	}
	for _, slow := range readers {
		slow.Close()
		<-slow.done
		if slow.events.Load() == 0 {
			t.Error("a slow client got nothing")
		}
		t.Logf("read %d bytes", slow.read.Load())
	}
	p.awaitMetric(patience, 3, "sse_gateway_disconnects_total", "client")
}

// A client that reads a byte per second is kept while its connection holds what
// it has not read, delays nobody, and gets everything once it reads on.
func TestOneByteASecond(t *testing.T) {
	t.Parallel()
	const writeTimeout, events = 2 * time.Second, 40
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_WRITE_TIMEOUT="+writeTimeout.String())...)
	other := subscribe(t, transport(t, 1, nil), p.eventsURL("channel=a")).ready(t)
	conn := dialSmall(t, p.public)
	fmt.Fprintf(conn, "GET /events?channel=a HTTP/1.1\r\nHost: h\r\n\r\n")
	p.awaitMetric(patience, 2, "sse_gateway_connections")
	slow := startSlowReader(t, conn, 1, 1, func(r io.Reader) io.Reader { return r })
	for i := range events {
		r.XAdd("sse:a", "data", numbered(i, 50))
		requireNumbered(t, other, i)
	}
	requireKept(t, 3*writeTimeout, slow)
	slow.pace.SetLimit(rate.Inf)
	redistest.Eventually(t, patience, "all events", func() bool { return slow.events.Load() == events })
	conn.Close()
	<-slow.done
}

// slowReader reads a few bytes at a time, at a pace, and checks that the numbers of
// the events ascend.
type slowReader struct {
	net.Conn
	t            *testing.T
	pace         *rate.Limiter
	read, events atomic.Int64
	done         chan error // why it has stopped
}

// startSlowReader reads so many bytes a second, up to burst at a time. body is what
// finds the events in them.
func startSlowReader(t *testing.T, conn net.Conn, perSecond rate.Limit, burst int, body func(io.Reader) io.Reader) *slowReader {
	s := &slowReader{Conn: conn, t: t, pace: rate.NewLimiter(perSecond, burst), done: make(chan error, 1)}
	go func() { s.done <- s.readEvents(bufio.NewReaderSize(body(s), max(burst, 16))) }()
	return s
}

// requireKept waits, and no reader's stream must end meanwhile.
func requireKept(t *testing.T, while time.Duration, readers ...*slowReader) {
	t.Helper()
	var cut *slowReader
	redistest.Poll(while, func() bool {
		for _, s := range readers {
			if len(s.done) > 0 {
				cut = s
			}
		}
		return cut != nil
	})
	if cut != nil {
		t.Fatalf("a slow client was cut after %d bytes: %v", cut.read.Load(), <-cut.done)
	}
}

func (s *slowReader) readEvents(in *bufio.Reader) error {
	for next := 0; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || strings.HasPrefix(data, "{") {
			continue
		}
		if number, _, _ := strings.Cut(data, " "); number != strconv.Itoa(next) {
			return fmt.Errorf("event %.20q, want number %d", data, next)
		}
		next++
		s.events.Add(1)
	}
}

// Read reads a burst at most.
func (s *slowReader) Read(p []byte) (int, error) {
	p = p[:min(len(p), s.pace.Burst())]
	if err := s.pace.WaitN(s.t.Context(), len(p)); err != nil {
		return 0, err
	}
	n, err := s.Conn.Read(p)
	s.read.Add(int64(n))
	return n, err
}

// dialSmall connects with a small receive buffer.
func dialSmall(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := orReset(redistest.SmallDialer(receiveBuffer).DialContext(t.Context(), "tcp", addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// A client that never reads again is cut after the write timeout, and counted.
func TestClientThatNeverReads(t *testing.T) {
	t.Parallel()
	const writeTimeout = 2 * time.Second
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_WRITE_TIMEOUT="+writeTimeout.String(), "SSE_WINDOW_EVENTS=16")...)
	for version := 1; version <= 2; version++ {
		t.Run(fmt.Sprintf("HTTP/%d", version), func(t *testing.T) {
			cut := p.metric("sse_gateway_disconnects_total", "write_timeout")
			rt, stopper := stoppableTransport(t, version)
			subscribe(t, rt, p.eventsURL("channel=a")).ready(t)
			stopper.stop()
			for i := range 20 {
				r.XAdd("sse:a", "data", numbered(i, 200_000)) // 4 MB
			}
			filled := time.Now()
			redistest.Eventually(t, patience, "the stream is gone", func() bool { return p.metric("sse_gateway_connections") == 0 })
			t.Logf("gone %v after the last event", time.Since(filled))
			if got := p.metric("sse_gateway_disconnects_total", "write_timeout"); got != cut+1 {
				t.Errorf("%v streams cut for a write timeout, want %v", got, cut+1)
			}
		})
	}
}
