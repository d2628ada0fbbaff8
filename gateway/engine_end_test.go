package gateway

import (
	"context"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// smallBuffer is the size of a socket's buffer that fills up soon, in bytes.
const smallBuffer = 8 << 10

// The end of a client is seen without anything being written to it.
func testDisconnects(t *testing.T, e *harness) {
	ch := channelOf(t)
	for i, leave := range []func(*engineClient){
		(*engineClient).reset,
		func(c *engineClient) { _ = c.conn.Close() },
		func(c *engineClient) { _ = c.conn.CloseWrite() },
	} {
		c := e.connect(ch, clientSetup{})
		e.awaitConnections(1)
		leave(c)
		e.awaitConnections(0)
		e.awaitEnded(metrics.EndClient, i+1)
	}
	// Nothing is written to one that has said that it will not go on.
	c := e.connect(ch, clientSetup{})
	e.awaitConnections(1)
	_ = c.conn.CloseWrite()
	c.awaitClosed()
	if len(c.Retries) != 1 || !c.whole() {
		t.Errorf("a client that had left was sent retries %v", c.Retries)
	}
	e.awaitEnded(metrics.EndClient, 4)
	// One that leaves in the moment in which it came.
	const hasty = 20
	for range hasty {
		c, err := e.tryConnect(ch, clientSetup{})
		if err != nil {
			t.Fatal(err)
		}
		c.leave()
	}
	e.awaitEnded(metrics.EndClient, 4+hasty)
	e.awaitConnections(0)
}

// What a client sends means nothing; one that floods the server is cut.
func testGarbage(t *testing.T, e *harness) {
	ch := channelOf(t)
	c := e.connect(ch, clientSetup{})
	e.awaitConnections(1)
	for i := range 10 {
		if _, err := io.WriteString(c.conn, strings.Repeat("x", 1000)); err != nil {
			t.Fatal(err)
		}
		e.publishNumbers(ch, i, 1, "x")
		c.awaitMessages(i + 1)
	}
	c.checkNumbers(0, 10, "x")
	e.awaitConnections(1)
	// The server stops reading at some point or cuts the connection, which the
	// client learns from its writes.
	_ = c.conn.SetWriteDeadline(time.Now().Add(enginePatience))
	flood := strings.Repeat("y", 64<<10)
	for range 1000 {
		if _, err := io.WriteString(c.conn, flood); err != nil {
			break
		}
	}
	e.awaitEnded(metrics.EndClient, 1)
	e.awaitConnections(0)
}

// A drain ends all streams within the window, after whole events, and tells
// the clients to come back; one that comes is sent away.
func testDrain(t *testing.T, e *harness) {
	ch := channelOf(t)
	clients := e.connectMany(30, ch)
	padding := letters(1000)
	// The first event has to be made, and compressed, which takes its time.
	e.publishNumbers(ch, 0, 1, padding)
	for _, c := range clients {
		c.awaitMessages(1)
	}
	stop := make(chan struct{})
	var publisher, readers sync.WaitGroup
	publisher.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
				e.publishNumbers(ch, n, 1, padding)
			}
		}
	})
	for _, c := range clients {
		readers.Go(func() {
			if err := c.readUntil(time.Now().Add(enginePatience), func() bool { return false }); err != io.EOF {
				t.Errorf("waiting for the end of a stream: %v", err)
			}
		})
	}
	e.g.Drain(context.Background())
	close(stop)
	publisher.Wait()
	readers.Wait()
	e.awaitEnded(metrics.EndDrain, len(clients))
	most, least := 0, 1<<30
	for _, c := range clients {
		checkFarewell(t, c)
		n := len(c.messages())
		most, least = max(most, n), min(least, n)
		c.checkNumbers(0, n, padding)
	}
	if most == least {
		t.Errorf("all %d streams ended after %d events, at once", len(clients), most)
	}
	if _, err := e.tryConnect(ch, clientSetup{}); err != (errRefused{503}) {
		t.Errorf("connecting after the drain: %v", err)
	}
}

// A client that takes nothing does not hold up the end.
func testDrainStuck(t *testing.T, e *harness) {
	ch := channelOf(t)
	e.connect(ch, clientSetup{recvBuf: smallBuffer})
	e.awaitConnections(1)
	e.fill(ch)
	start := time.Now()
	e.g.Drain(context.Background())
	if took := time.Since(start); took > enginePatience/2 {
		t.Errorf("the drain took %v", took)
	}
	e.awaitEnded(metrics.EndDrain, 1)
}

func testStop(t *testing.T, e *harness) {
	ch := channelOf(t)
	clients := e.connectMany(10, ch)
	e.g.Stop()
	e.awaitEnded(metrics.EndShutdown, len(clients))
	for _, c := range clients {
		c.awaitEnd()
		if !c.whole() || len(c.Retries) != 1 {
			t.Errorf("the stream ended within an event, or retries were %v", c.Retries)
		}
	}
}

// Streams that were being opened when the gateway stopped end too.
func testStopWhileArriving(t *testing.T, e *harness) {
	ch := channelOf(t)
	var arrivals sync.WaitGroup
	for range 8 {
		arrivals.Go(func() {
			for {
				c, err := e.tryConnect(ch, clientSetup{})
				if err != nil {
					return // refused, or cut before the first event
				}
				err = c.readUntil(time.Now().Add(enginePatience), func() bool { return false })
				_ = c.conn.Close()
				if err != io.EOF {
					t.Errorf("waiting for the end of a stream: %v", err)
					return
				}
			}
		})
	}
	e.awaitEndless(8)
	e.g.Stop()
	arrivals.Wait()
	e.awaitConnections(0)
}

// awaitEndless waits until at least n streams are open.
func (e *harness) awaitEndless(n int) {
	e.t.Helper()
	redistest.Eventually(e.t, enginePatience, strconv.Itoa(n)+" connections", func() bool { return e.connections() >= n })
}
