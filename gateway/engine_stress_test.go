package gateway

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestEngineStress has clients come, read, leave in any way and come back where
// they were, while events are published without a pause. Each client's sequence
// has to be without a hole or a repeat, and in the end nothing is left.
func TestEngineStress(t *testing.T) {
	checkLeaks(t)
	redis := redistest.Start(t)
	for _, noParking := range []bool{false, true} {
		t.Run(driverName(noParking), func(t *testing.T) {
			setup := engineSetup{sendBuf: smallBuffer}
			e := startEngine(t, redis, setup.withDriver(noParking))
			testStress(t, e)
			e.awaitConnections(0)
			e.stop()
		})
	}
}

const (
	stressChannels = 3
	stressClients  = 24
	stressTime     = 2500 * time.Millisecond
	stressEvents   = 100 // that each client gets at least, however long that takes
)

func testStress(t *testing.T, e *harness) {
	ch := channelOf(t)
	seed := rand.Uint64()
	stop := make(chan struct{})
	var publishers, clients sync.WaitGroup
	for i := range stressChannels {
		publishers.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			for n := 0; ; {
				select {
				case <-stop:
					return
				default:
				}
				count := 1 + random.IntN(5)
				e.publishNumbers(ch+strconv.Itoa(i), n, count, fillPadding[:random.IntN(1000)])
				n += count
			}
		})
	}
	end := time.Now().Add(stressTime)
	var received atomic.Int64
	for i := range stressClients {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(1000+i)))
			n, err := e.stressClient(ch+strconv.Itoa(i%stressChannels), random, end)
			received.Add(int64(n))
			if err != nil {
				t.Errorf("seed %d, client %d: %v", seed, i, err)
			}
		})
	}
	clients.Wait()
	close(stop)
	publishers.Wait()
	if received.Load() < stressEvents*stressClients {
		t.Errorf("only %d events were received: nothing was tested", received.Load())
	}
}

// stressClient connects again and again until the end, and beyond it until it has got
// stressEvents. It returns how many events it got and what was wrong with them.
func (e *harness) stressClient(channel string, random *rand.Rand, end time.Time) (received int, err error) {
	next, lastID := -1, ""
	for time.Now().Before(end) || received < stressEvents && time.Now().Before(end.Add(enginePatience)) {
		setup := clientSetup{lastID: lastID}
		if random.IntN(2) == 0 {
			setup.recvBuf = smallBuffer
		}
		c, err := e.tryConnect(channel, setup)
		if err != nil {
			return received, fmt.Errorf("connecting: %w", err)
		}
		until := time.Now().Add(time.Duration(random.IntN(200)) * time.Millisecond)
		err = c.readRandomly(random, until)
		messages := c.messages()
		if id := c.LastID; id != "" {
			lastID = id
		}
		c.leave()
		if err != nil {
			return received, err
		}
		for _, m := range messages {
			n := numberOf(m)
			if next >= 0 && n != next {
				return received, fmt.Errorf("%d came where %d should", n, next)
			}
			next = n + 1
		}
		received += len(messages)
		if random.IntN(10) == 0 {
			next, lastID = -1, "" // a new client
		}
	}
	return received, nil
}

// readRandomly reads, with pauses, until the time has come.
func (c *engineClient) readRandomly(random *rand.Rand, until time.Time) error {
	b := make([]byte, 8<<10)
	for time.Now().Before(until) {
		err := c.readSome(b[:1+random.IntN(len(b))], until)
		var timeout interface{ Timeout() bool }
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("the server ended the stream")
		case errors.As(err, &timeout) && timeout.Timeout():
			return nil
		case err != nil:
			return err
		}
		if random.IntN(20) == 0 {
			c.dawdle(random.IntN(40))
		}
	}
	return nil
}
