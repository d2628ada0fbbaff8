package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/stream"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// A client that stops reading, for longer than its socket and the window make up
// for, holds nobody up: all others have everything before it goes on. Then it
// gets everything too, in order, once, without a gap, from Redis. It costs the
// gateway no memory that grows with the time.
func TestChaosStopped(t *testing.T) {
	t.Parallel()
	const stopped, window, channel = 60, 64, "chaos:stopped"
	s := newStage(t)
	others, rate, size, events := 10, 200, 4000, int64(1000) // 4 MB
	if s.long {
		others, rate, size, events = 3000, 30, 1500, 2250 // 75 s
	}
	r := redistest.Start(t)
	s.startReplicas(1, r.URL(), "SSE_WRITE_TIMEOUT=15m", "SSE_WINDOW_EVENTS="+strconv.Itoa(window))
	g := s.replicas[0]
	var clients []*stoppedClient
	for range stopped {
		clients = append(clients, s.startStopped(g, channel))
	}
	l := s.startLoad("--gateway", s.urls(), "--redis", r.URL(), "--no-gaps", "--channel", channel, "--channels", "1",
		"--subscribers", strconv.Itoa(others), "--rate", strconv.Itoa(rate), "--size", strconv.Itoa(size))
	l.awaitConnected(others)
	before := g.resident(t)
	for n := int64(0); n < events; { // in steps that patience is enough for
		n = min(n+500, events)
		l.await(fmt.Sprintf("%d events are published", n), func() bool { return r.Do("XLEN", "sse:"+channel).(int64) >= n })
	}
	code, report := l.finish()
	l.requireIntact(code, report)
	published := report.Publish.Events
	if want := published * int64(others); report.Deliver.Events != want {
		t.Errorf("the others had %d deliveries while some did not read, want %d", report.Deliver.Events, want)
	}
	s.requireFlat(g, before, "while they did not read")
	// What was evicted counts until it is free, which is up to half as much.
	if v := s.sum(s.replicas, "sse_gateway_window_bytes"); v > float64(window*(size+1000)*2) {
		t.Errorf("the window holds %v bytes, more than %d events", v, window)
	}
	reads := s.sum(s.replicas, "sse_gateway_history_reads_total", "read")
	r.XAdd("sse:"+channel, "data", lastWord)
	var reading sync.WaitGroup
	for i, c := range clients {
		reading.Go(func() {
			if err := c.readAll(published); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	reading.Wait()
	if reads = s.sum(s.replicas, "sse_gateway_history_reads_total", "read") - reads; reads == 0 {
		t.Error("nothing was read from Redis: no client fell off the window")
	}
	s.note("%d clients had %d events each after the pause, in %v reads of Redis", stopped, published, reads)
	s.requireFlat(g, before, "when they had read on")
}

// memorySlack is how much more resident memory a gateway may have than when all
// had connected, in bytes: a batch and a page of history for each client that
// does not read, the runtime's garbage, and with the race detector its shadow of
// it, several times the rest. Copies of the events for each of these clients
// would be 240 MB without the shadow.
const memorySlack = 160 << 20

// requireFlat fails the test if a replica's memory has grown.
func (s *stage) requireFlat(g *replica, before int64, when string) {
	s.t.Helper()
	now := g.resident(s.t)
	s.note("%s has %d MiB, %d MiB more %s", g.name, now>>20, (now-before)>>20, when)
	if now-before > memorySlack {
		s.t.Errorf("%s grew from %d to %d MiB %s", g.name, before>>20, now>>20, when)
	}
}

// resident is the memory of the replica's process.
func (r *replica) resident(t *testing.T) int64 {
	t.Helper()
	p, err := report.ReadProcesses([]int{r.current().process.Pid})
	if err != nil {
		t.Fatal(err)
	}
	return p.RSS
}

// lastWord is the data of an event that is not sse-bench's.
const lastWord = "the end"

// stoppedBuffer is the receive buffer of a client that stops, in bytes: small,
// so that little is enough to fill it.
const stoppedBuffer = 8 << 10

// stoppedClient is a stream that checks its events, and reads only when it is told to.
type stoppedClient struct {
	channel, resume string
	conn            net.Conn
	body            *http.Response
	sse             stream.Parser
	buffers         stream.Buffers

	ready, over bool
	last        int64 // the highest number so far
	lastID      integrity.EntryID
	fault       error // the first
}

// startStopped subscribes to a channel and then does not read.
func (s *stage) startStopped(g *replica, channel string) *stoppedClient {
	s.t.Helper()
	c := &stoppedClient{channel: channel}
	s.t.Cleanup(func() {
		if c.conn != nil {
			c.conn.Close()
		}
	})
	if err := c.connect(s.t.Context(), g); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// connect subscribes, after resume if there is one, and reads the first frame.
func (c *stoppedClient) connect(ctx context.Context, g *replica) (err error) {
	if c.conn, err = redistest.SmallDialer(stoppedBuffer).DialContext(ctx, "tcp", g.public); err != nil {
		return err
	}
	_ = c.conn.SetDeadline(time.Now().Add(2 * patience))
	fmt.Fprintf(c.conn, "GET /events?channel=%s HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n", c.channel)
	if c.resume != "" {
		fmt.Fprintf(c.conn, "Last-Event-ID: %s\r\n", c.resume)
	}
	fmt.Fprint(c.conn, "\r\n")
	c.body, err = http.ReadResponse(bufio.NewReader(c.conn), nil)
	for err == nil && !c.ready {
		err = c.read()
	}
	return err
}

// read reads what there is, some of it at least.
func (c *stoppedClient) read() error {
	b := make([]byte, 4<<10)
	n, err := c.body.Body.Read(b)
	c.sse.Feed(b[:n], c, &c.buffers)
	return err
}

// readTo reads on until it has an event by its number.
func (c *stoppedClient) readTo(number int64) error {
	for c.last < number && c.fault == nil {
		if err := c.read(); err != nil {
			return fmt.Errorf("after event %d of %d: %w", c.last, number, err)
		}
	}
	return c.fault
}

// readAll reads on, until the last word.
func (c *stoppedClient) readAll(published int64) error {
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	for !c.over && c.fault == nil {
		if err := c.read(); err != nil {
			return fmt.Errorf("after event %d of %d: %w", c.last, published, err)
		}
	}
	if c.fault == nil && c.last != published {
		return fmt.Errorf("the last event is %d, want %d", c.last, published)
	}
	return c.fault
}

// Event implements stream.Sink.
func (c *stoppedClient) Event(kind stream.Kind, data []byte) {
	fail := func(format string, args ...any) {
		if c.fault == nil {
			c.fault = fmt.Errorf("after event %d: "+format, append([]any{c.last}, args...)...)
		}
	}
	id, ok := integrity.ParseEntryID(string(c.sse.LastID()))
	switch {
	case kind == stream.KindReady && !c.ready:
		c.ready = true
		return
	case kind != stream.KindOther:
		fail("%.100s", data)
	case !ok || id.Compare(c.lastID) <= 0:
		fail("id %s after %v", c.sse.LastID(), c.lastID)
	}
	c.lastID = id
	if c.over = string(data) == lastWord; c.over {
		return
	}
	// sse-bench:run:channel:number:…
	fields := strings.Split(string(data), ":")
	if len(fields) < 4 || fields[3] != strconv.FormatInt(c.last+1, 10) {
		fail("%.60q", data)
	}
	c.last++
}

// Retry implements stream.Sink.
func (*stoppedClient) Retry(int64) {}
func (*stoppedClient) Comment()    {}
