package main

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

const (
	// stormMissed is how many events those who are furthest behind have missed,
	// if all of them are to fit one page of history and the window; stormFar if
	// they take stormPages, and more than the window has.
	stormMissed = 100
	stormFar    = 600
	stormPages  = 3 // 128, 256, and what is left
	// stormTail is how often at most the tail reads a channel that nothing is
	// published to in each of its sessions, the first of which begins with the
	// channel's first subscriber: two or three. A busy machine may make it begin
	// other sessions.
	stormTail = 4
)

// Clients that come back at once to a replica that has not seen their channels
// cost Redis a read per channel and distinct position at most, however many
// clients stand at each: whoever asks while the page is on its way shares it,
// and whoever comes later finds it in the window, which the page has filled. What
// the window does not hold, or not yet, is read again for those who come more than a
// second later, and is no more for more of them.
func TestChaosStormReads(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ channels, positions, missed int }{
		{1, 1, stormMissed}, {5, 1, stormMissed}, {5, 10, stormMissed}, {1, 1, stormFar},
	} {
		t.Run(fmt.Sprintf("%d channels, %d positions, %d missed", tt.channels, tt.positions, tt.missed), func(t *testing.T) {
			if os.Getenv("SSE_CHAOS") != "long" { // the long form takes too many descriptors
				t.Parallel()
			}
			testStormReads(t, tt.channels, tt.positions, tt.missed)
		})
	}
}

// testStormReads has few clients come back, and then many.
func testStormReads(t *testing.T, channels, positions, missed int) {
	s := newStage(t)
	// Redis notes every command: those of the channels are counted, and
	// not the tail's signs of life, of which there are more in a longer run.
	r := redistest.Start(t, redistest.WithConfig("slowlog-log-slower-than 0", "slowlog-max-len 1000000"))
	s.startReplicas(1, r.URL())
	few, many := 100, 400
	if s.long {
		few, many = 1_000, 10_000 // a descriptor each, here and in the gateway
	}
	for _, clients := range []int{few, many} {
		st := s.startStorm(r, channels, positions, missed, clients)
		before, began := s.sum(s.replicas, "sse_gateway_tail_sessions_total"), time.Now()
		st.comeBack()
		took := time.Since(began)
		reads := st.reads()
		sessions := 1 + int(s.sum(s.replicas, "sse_gateway_tail_sessions_total")-before)
		s.note("%d clients of %d channels at %d positions, %d events behind, came back in %v: %d XRANGE in %d sessions",
			clients, channels, positions, missed, took, reads, sessions)
		pages := positions
		if missed == stormFar {
			pages = stormPages
		}
		// A page is kept for a second, and the window joins it only once the tail
		// follows the channel: a slow machine has both happen late, and twice. One
		// read per client would be several times as many with the many.
		most := 2*channels*(pages+stormTail*sessions) + channels*pages*int(took.Seconds())
		if reads < channels || reads > most {
			t.Errorf("%d clients, %d channels, %d positions: Redis ran %d XRANGE, want %d to %d",
				clients, channels, positions, reads, channels, most)
		}
	}
}

// storm is clients of channels of their own, who have got events up to some
// position and are away. Its methods belong on the test's goroutine.
type storm struct {
	*stage
	redis   *redistest.Server
	missed  int64
	keys    map[string]bool // of the streams
	clients []*stoppedClient
}

// startStorm publishes the events that are missed after the first position, and tells
// each client that it has got those up to its own.
func (s *stage) startStorm(r *redistest.Server, channels, positions, missed, clients int) *storm {
	s.t.Helper()
	st := &storm{stage: s, redis: r, missed: int64(missed), keys: map[string]bool{}}
	ids := make([][]string, channels) // by channel and number; 0 is an event before ours
	names := make([]string, channels)
	for ch := range ids {
		names[ch] = fmt.Sprintf("storm:%d:%d", clients, ch)
		key := "sse:" + names[ch]
		st.keys[key] = true
		ids[ch] = append(ids[ch], r.XAdd(key, "data", "before"))
		for seq := range int64(missed) {
			p := integrity.Payload{Channel: ch, Seq: seq + 1, Due: time.Now().UnixNano()}
			ids[ch] = append(ids[ch], r.XAdd(key, "data", string(integrity.AppendPayload(nil, "0123abcd", p, 100))))
		}
	}
	for i := range clients {
		ch, has := i%channels, i/channels%positions
		c := &stoppedClient{channel: names[ch], last: int64(has)}
		c.resume, c.lastID = ids[ch][has], entryID(ids[ch][has])
		st.clients = append(st.clients, c)
	}
	return st
}

func entryID(text string) integrity.EntryID {
	id, _ := integrity.ParseEntryID(text)
	return id
}

// comeBack has all clients connect at once, and waits until each has everything
// that it missed, once and in order.
func (st *storm) comeBack() {
	st.t.Helper()
	st.redis.Do("SLOWLOG", "RESET")
	var all sync.WaitGroup
	for i, c := range st.clients {
		all.Go(func() {
			err := c.connect(st.t.Context(), st.replicas[0])
			if err == nil {
				err = c.readTo(st.missed)
			}
			if err != nil {
				st.t.Errorf("client %d: %v", i, err)
			}
		})
	}
	all.Wait()
	for _, c := range st.clients {
		if c.conn != nil {
			c.conn.Close()
		}
	}
}

// reads is how many XRANGE of the storm's streams Redis has run since comeBack
// began.
func (st *storm) reads() (n int) {
	st.t.Helper()
	for _, entry := range st.redis.Do("SLOWLOG", "GET", "-1").([]any) {
		args := entry.([]any)[3].([]any)
		if name, _ := args[0].(string); (name == "XRANGE" || name == "xrange") && st.keys[args[1].(string)] {
			n++
		}
	}
	return n
}
