package engine

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/gateway/sse/ssetest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// The ids of many channels are longer than a small event. They are a part of
// what a client that does not read may hold, so a batch is full with them, too.
func TestManyIDsFitTheBatch(t *testing.T) {
	f := newFeed(t)
	const channels, events = 32, 250
	s := &Stream{shard: f.engine().shards[0], buf: &buffer{}, channels: make([]channelState, channels), signature: "abcdef"}
	for i := range s.channels {
		channel := fmt.Sprintf("c%02d", i)
		f.publish(channel, "before") // so that all ids are of full length
		s.channels[i].topic = f.subscribe(channel)
		s.channels[i].cursor = s.channels[i].topic.sub.Now()
	}
	f.publishNumbers("c07", events, "x")
	redistest.Eventually(t, patience, "all events in the windows", func() bool {
		return valueOf(f.m.Store.WindowEvents) == events
	})
	parser := &ssetest.Parser{}
	for len(parser.Events) < events {
		if s.channels[7].cursor.Idle() {
			t.Fatalf("only %d events", len(parser.Events))
		}
		b, _ := s.fill(nil)
		if len(b) > maxBatch+largeFrame {
			t.Fatalf("a batch of %d bytes", len(b))
		}
		parser.Feed(b)
	}
	for i, event := range parser.Events {
		if want := strconv.Itoa(i) + " x"; event.Data != want || strings.Count(event.ID, "~") != channels {
			t.Fatalf("event %d is %+v, want %s", i, event, want)
		}
	}
}

// A stream that finds events after it has looked whether Redis is away says
// first that it is back.
func TestLiveComesBeforeEvents(t *testing.T) {
	f := newFeed(t)
	s := &Stream{shard: f.engine().shards[0], buf: &buffer{}, stalled: true} // it has looked, and Redis was away
	s.channels = s.one[:]
	s.channels[0].topic = f.subscribe("a")
	s.channels[0].cursor = s.channels[0].topic.sub.Now()
	f.publishNumbers("a", 1, "x")
	redistest.Eventually(t, patience, "the event", func() bool { return !s.channels[0].cursor.Idle() })
	b, _ := s.fillChannel(nil, 0, maxBatch)
	live, event := strings.Index(string(b), "event: gateway.live\n"), strings.Index(string(b), "data: 0 x\n")
	if live < 0 || event < live || s.stalled {
		t.Errorf("the client gets %q", b)
	}
}
