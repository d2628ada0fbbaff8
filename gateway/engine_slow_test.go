package gateway

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// fill publishes until the only client, which does not read, takes no more.
// It returns how many events there are; their padding is fillPadding.
func (e *harness) fill(channel string) (n int) {
	e.t.Helper()
	full := func() bool {
		// A socket that is full gives a parked stream a goroutine; a stream
		// that has one is behind what was published.
		return e.parks() && e.parked() == 0 || !e.parks() && valueOfMetric(e.m.Gateway.Namespaces.Of("").Deliveries) < n-100
	}
	for deadline := time.Now().Add(enginePatience); !full(); n += 50 {
		if time.Now().After(deadline) {
			e.t.Fatalf("the client's socket takes everything: %d events", n)
		}
		e.publishNumbers(channel, n, 50, fillPadding)
	}
	e.publishNumbers(channel, n, 100, fillPadding)
	return n + 100
}

var fillPadding = letters(1000)

// A client that takes nothing for the time-out is cut, and the others are not
// held up by it.
func testWriteTimeout(t *testing.T, e *harness) {
	ch := channelOf(t)
	e.connect(ch, clientSetup{recvBuf: smallBuffer})
	e.awaitConnections(1)
	n := e.fill(ch)
	other := e.connect(ch, clientSetup{query: "&replay=all"})
	other.awaitMessages(n)
	other.checkNumbers(0, n, fillPadding)
	e.awaitEnded(metrics.EndWriteTimeout, 1)
	e.awaitConnections(1)
}

// A client that does not read for a while and then does gets everything, in
// order, once, although most of it has left the window by then; and it is
// parked again.
func testPausingReader(t *testing.T, e *harness) {
	ch := channelOf(t)
	c := e.connect(ch, clientSetup{recvBuf: smallBuffer})
	total := 0
	for range 3 {
		e.awaitConnections(1)
		from := len(c.messages())
		n := e.fillFrom(ch, from)
		if e.parks() && e.parked() != 0 {
			t.Fatalf("a stream that cannot be written to is parked")
		}
		c.awaitMessages(from + n)
		total = from + n
	}
	c.checkNumbers(0, total, fillPadding)
	e.awaitConnections(1)
	redistest.Eventually(t, enginePatience, "the deliveries to be counted", func() bool { // after they are written
		return valueOfMetric(e.m.Gateway.Namespaces.Of("").Deliveries) == total
	})
	// That it fell behind says nothing about how quick the gateway is.
	if n := e.latencies(); n > total/2 {
		t.Errorf("%d of %d deliveries have a latency, to a client that did not read", n, total)
	}
	c.reset()
	e.awaitEnded(metrics.EndClient, 1)
}

// fillFrom is fill with numbers that go on at from.
func (e *harness) fillFrom(channel string, from int) (n int) {
	e.t.Helper()
	const size = 600
	e.publishNumbers(channel, from, size, fillPadding)
	redistest.Eventually(e.t, enginePatience, "the client's socket to be full", func() bool {
		return !e.parks() || e.parked() == 0
	})
	return size
}

// Clients that read in pieces of any size, with pauses, and so are parked and
// taken out again at any byte, get exactly what was published, while those
// that are quick get it at once.
func testSlowReaders(t *testing.T, e *harness) {
	ch := channelOf(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	const events, quick, slow = 300, 4, 12
	paddings := make([]string, events)
	for i := range paddings {
		paddings[i] = strings.Repeat(string(rune('a'+i%26)), random.IntN(1<<random.IntN(14)+1))
	}
	var clients sync.WaitGroup
	for i := range quick + slow {
		setup := clientSetup{}
		if i >= quick {
			setup.recvBuf = 1 << (11 + i%4)
		}
		c := e.connect(ch, setup)
		clients.Go(func() {
			c.readSlowly(rand.New(rand.NewPCG(seed, uint64(i))), i >= quick, events)
			for j, m := range c.messages() {
				if want := strconv.Itoa(j) + " " + paddings[j]; m.Data != want {
					t.Errorf("seed %d, client %d: message %d is %.40q, want %.40q", seed, i, j, m.Data, want)
					return
				}
			}
		})
	}
	e.awaitConnections(quick + slow)
	for i, p := range paddings {
		e.publishNumbers(ch, i, 1, p)
	}
	clients.Wait()
	e.awaitConnections(quick + slow)
}

// dawdle does not read until n more events have been published, or fewer if
// nobody publishes any more.
func (c *engineClient) dawdle(n int) {
	enough := c.published.Load() + int64(n)
	redistest.Poll(20*time.Millisecond, func() bool { return c.published.Load() >= enough })
}

// readSlowly reads until there are n messages, if slow in pieces, with pauses.
func (c *engineClient) readSlowly(random *rand.Rand, slow bool, n int) {
	b := make([]byte, 16<<10)
	deadline := time.Now().Add(2 * enginePatience)
	// Counting the events is cheaper than looking for the messages among them.
	for len(c.Events)-1 < n {
		piece := b
		if slow {
			piece = b[:random.IntN(len(b))+1]
			if random.IntN(8) == 0 {
				c.dawdle(random.IntN(40))
			}
		}
		if err := c.readSome(piece, deadline); err != nil {
			c.t.Errorf("a reader has %d of %d messages: %v", len(c.Events)-1, n, err)
			return
		}
	}
}
