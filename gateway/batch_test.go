package gateway

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
	e := startEngine(t, redistest.Start(t), engineSetup{})
	const channels, events = 32, 250
	s := &stream{g: e.g, out: &batch{}, channels: make([]channelState, channels), names: "abcdef"}
	for i := range s.channels {
		channel := fmt.Sprintf("c%02d", i)
		e.publish(channel, "before") // so that all ids are of full length
		sub, err := e.store.Subscribe(t.Context(), channel, noWaker{})
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		s.channels[i].cursor = sub.Now()
	}
	e.publishNumbers("c07", 0, events, "x")
	redistest.Eventually(t, enginePatience, "all events in the windows", func() bool {
		return valueOfMetric(e.m.Store.WindowEvents) == events
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
