package gateway

import (
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// backlog is an event that the kernel takes as a whole from the gateway, so that the
// stream is parked, and that a client with a small buffer takes in many steps.
var backlog = letters(60_000)

func init() {
	engineSuite["slow client with a backlog in the kernel"] = engineTest{
		setup: engineSetup{gateway: func(c *Config) { c.WriteTimeout = 4 * time.Second }}, run: testSlowBacklog}
	engineSuite["client that takes nothing of a backlog in the kernel"] = engineTest{
		setup: engineSetup{gateway: func(c *Config) { c.WriteTimeout = time.Second }}, run: testStuckBacklog}
}

// A client is kept as long as it takes something within the write timeout, also if the
// gateway has nothing left to write.
func testSlowBacklog(t *testing.T, e *harness) {
	ch := channelOf(t)
	c := e.connect(ch, clientSetup{recvBuf: 4096})
	e.awaitConnections(1)
	e.publish(ch, "0 "+backlog)
	// Ten seconds: more than two write timeouts, in each of which it takes some.
	pace := rate.NewLimiter(6_000, 1_000)
	b := make([]byte, 1_000)
	for len(c.messages()) == 0 {
		before := c.size
		if err := c.readSome(b, time.Now().Add(enginePatience)); err != nil {
			t.Fatalf("after %d bytes: %v", c.size, err)
		}
		if err := pace.WaitN(t.Context(), c.size-before); err != nil {
			t.Fatal(err)
		}
	}
	c.checkNumbers(0, 1, backlog)
	e.awaitConnections(1)
	e.publish(ch, "1 x")
	c.awaitMessages(2)
}

// A client that takes nothing is cut after the write timeout, also if it is parked.
func testStuckBacklog(t *testing.T, e *harness) {
	ch := channelOf(t)
	c := e.connect(ch, clientSetup{recvBuf: 4096})
	e.awaitConnections(1)
	e.publish(ch, "0 "+backlog)
	e.awaitEnded(metrics.EndWriteTimeout, 1)
	e.awaitConnections(0)
	_ = c.conn.Close()
}
