package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/sse/ssetest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// engineClient is a client of an event stream that reads only when it is told
// to, so that a test decides how slow it is.
type engineClient struct {
	t         testing.TB
	published *atomic.Int64 // the harness's
	conn      *net.TCPConn
	ssetest.Parser
	chunks chunkDecoder
	gunzip *gunzipper // nil: the body is not compressed
	size   int        // of what was read of the body, in bytes
	ended  bool       // the server ended the stream
	// The first counted of Events have been looked at; received of these are of publishers.
	counted, received int
}

// clientSetup is how a client connects.
type clientSetup struct {
	query   string // after channel=…
	lastID  string
	recvBuf int // SO_RCVBUF; 0: what the system gives
	gzip    bool
}

// errRefused is an answer that is not an event stream.
type errRefused struct{ status int }

func (e errRefused) Error() string { return "status " + strconv.Itoa(e.status) }

// connect opens a stream and reads its first event.
func (e *harness) connect(channels string, setup clientSetup) *engineClient {
	e.t.Helper()
	c, err := e.tryConnect(channels, setup)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = c.conn.Close() })
	return c
}

// connectMany is connect, n times.
func (e *harness) connectMany(n int, channels string) []*engineClient {
	e.t.Helper()
	clients := make([]*engineClient, n)
	for i := range clients {
		clients[i] = e.connect(channels, clientSetup{})
	}
	e.awaitConnections(n)
	return clients
}

// tryConnect is connect for goroutines: it leaves errors, and the closing of
// the connection, to the caller. Channels are separated by commas.
func (e *harness) tryConnect(channels string, setup clientSetup) (*engineClient, error) {
	conn, err := redistest.SmallDialer(setup.recvBuf).Dial("tcp", e.addr)
	if err != nil {
		return nil, err
	}
	c := &engineClient{t: e.t, published: &e.published, conn: conn.(*net.TCPConn)}
	setup.gzip = setup.gzip || e.gzip
	if err := c.begin(channels, setup); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *engineClient) begin(channels string, setup clientSetup) error {
	q := url.Values{"channel": strings.Split(channels, ",")}.Encode() + setup.query
	request := "GET /events?" + q + " HTTP/1.1\r\nHost: test\r\n"
	if setup.lastID != "" {
		request += "Last-Event-ID: " + setup.lastID + "\r\n"
	}
	if setup.gzip {
		request += "Accept-Encoding: gzip\r\n"
	}
	if _, err := io.WriteString(c.conn, request+"\r\n"); err != nil {
		return err
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(enginePatience))
	r := bufio.NewReaderSize(c.conn, 512)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errRefused{response.StatusCode}
	}
	rest, _ := r.Peek(r.Buffered())
	if !slices.Equal(response.TransferEncoding, []string{"chunked"}) {
		return fmt.Errorf("the body has the transfer encoding %q", response.TransferEncoding)
	}
	if coding := response.Header.Get("Content-Encoding"); (coding == "gzip") != setup.gzip {
		return fmt.Errorf("the body has the content coding %q", coding)
	}
	if setup.gzip {
		c.gunzip = newGunzipper()
		c.t.Cleanup(c.gunzip.close)
	}
	if err := c.take(rest); err != nil {
		return err
	}
	return c.readUntil(time.Now().Add(enginePatience), func() bool { return len(c.Events) > 0 })
}

// readSome reads what there is, waiting for it until the deadline.
func (c *engineClient) readSome(b []byte, deadline time.Time) error {
	_ = c.conn.SetReadDeadline(deadline)
	n, err := c.conn.Read(b)
	if err := c.take(b[:n]); err != nil {
		return err
	}
	if errors.Is(err, io.EOF) {
		c.ended = true
	}
	return err
}

// take takes in bytes of the body.
func (c *engineClient) take(b []byte) error {
	c.size += len(b)
	body := c.chunks.decode(b)
	if c.gunzip != nil {
		var err error
		if body, err = c.gunzip.decode(body); err != nil {
			return err
		}
	}
	c.Feed(body)
	return c.chunks.err
}

// readUntil reads until cond is true; an error says why it has not become so.
func (c *engineClient) readUntil(deadline time.Time, cond func() bool) error {
	b := make([]byte, 32<<10)
	for !cond() {
		if err := c.readSome(b, deadline); err != nil {
			return err
		}
	}
	return nil
}

// await reads until cond is true.
func (c *engineClient) await(what string, cond func() bool) {
	c.t.Helper()
	if err := c.readUntil(time.Now().Add(enginePatience), cond); err != nil {
		c.t.Fatalf("reading until %s: %v; %d events", what, err, len(c.Events))
	}
}

// awaitEnd reads until the server ends the stream, properly.
func (c *engineClient) awaitEnd() {
	c.t.Helper()
	if c.awaitClosed(); !c.chunks.ended {
		c.t.Fatal("the connection ended without the last chunk")
	}
	if c.gunzip != nil && !c.gunzip.ended {
		c.t.Fatal("the connection ended without the end of the gzip stream")
	}
}

// awaitClosed reads until the server closes the connection.
func (c *engineClient) awaitClosed() {
	c.t.Helper()
	err := c.readUntil(time.Now().Add(enginePatience), func() bool { return false })
	if !errors.Is(err, io.EOF) {
		c.t.Fatalf("waiting for the end of the stream: %v", err)
	}
}

// awaitMessages reads until there are n events of publishers.
func (c *engineClient) awaitMessages(n int) {
	c.t.Helper()
	c.await(strconv.Itoa(n)+" messages", func() bool {
		for ; c.counted < len(c.Events); c.counted++ {
			if !isGatewayEvent(c.Events[c.counted]) {
				c.received++
			}
		}
		return c.received >= n
	})
}

// isGatewayEvent tells the gateway's own events from those of publishers.
func isGatewayEvent(e ssetest.Event) bool { return strings.HasPrefix(e.Name, "gateway.") }

// messages returns the events of publishers.
func (c *engineClient) messages() []ssetest.Event {
	var all []ssetest.Event
	for _, e := range c.Events {
		if !isGatewayEvent(e) {
			all = append(all, e)
		}
	}
	return all
}

// named returns the events of that name.
func (c *engineClient) named(name string) []ssetest.Event {
	var all []ssetest.Event
	for _, e := range c.Events {
		if e.Name == name {
			all = append(all, e)
		}
	}
	return all
}

// letters returns n letters and digits, which gzip makes smaller by a quarter at most.
func letters(n int) string {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[r.IntN(62)]
	}
	return string(b)
}

// numberOf returns the number that publishNumbers put into an event.
func numberOf(e ssetest.Event) int {
	n, _, _ := strings.Cut(e.Data, " ")
	number, err := strconv.Atoi(n)
	if err != nil {
		return -1
	}
	return number
}

// checkNumbers fails unless the messages are from, from+1, … with the padding,
// n of them, and nothing else was in the stream.
func (c *engineClient) checkNumbers(from, n int, padding string) {
	c.t.Helper()
	messages := c.messages()
	if len(messages) != n {
		c.t.Fatalf("%d messages, want %d", len(messages), n)
	}
	for i, e := range messages {
		if want := strconv.Itoa(from+i) + " " + padding; e.Data != want {
			c.t.Fatalf("message %d is %.40q (%d bytes), want %.40q (%d bytes)", i, e.Data, len(e.Data), want, len(want))
		}
	}
	if len(c.Ignored) > 0 {
		c.t.Fatalf("the stream has lines that mean nothing: %.200q", c.Ignored)
	}
}

// whole reports whether the stream stopped at the end of an event or comment.
func (c *engineClient) whole() bool {
	return c.Complete()
}

// reset ends the connection with a RST.
func (c *engineClient) reset() {
	_ = c.conn.SetLinger(0)
	_ = c.conn.Close()
}

// leave ends the connection in one of the ways that clients do.
func (c *engineClient) leave() {
	switch rand.N(3) {
	case 0:
		c.reset()
	case 1:
		_ = c.conn.CloseWrite()
		fallthrough
	default:
		_ = c.conn.Close()
	}
}
