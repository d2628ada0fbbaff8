package content

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/sse-gateway/sse-gateway/gateway/internal/batch"
	"github.com/sse-gateway/sse-gateway/gateway/internal/storetest"
	"github.com/sse-gateway/sse-gateway/gateway/sse/ssetest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m, 4) }

// newReader returns a reader that stands at the end of its channels.
func newReader(f *storetest.Feed, channels ...string) *Reader {
	r := &Reader{}
	r.Init(channels)
	for i, channel := range channels {
		m := &f.Metrics.Gateway
		r.Channels[i].Topic = &Topic{Sub: f.Subscribe(channel), Metrics: m, Namespace: m.Namespaces.Of(channel)}
		r.Channels[i].Cursor = r.Channels[i].Topic.Sub.Now()
	}
	return r
}

// fill returns what a reader fills a batch with.
func fill(t *testing.T, r *Reader) []byte {
	t.Helper()
	b := batch.Get()
	r.Fill(b, batch.Max)
	out := b.Output(false)
	if most := batch.Max + batch.Max/4; out.Size() > most {
		t.Fatalf("a batch of %d bytes, want at most %d", out.Size(), most)
	}
	return out.Next()
}

// The ids of many channels are longer than a small event. They are a part of
// what a client that does not read may hold, so a batch is full with them, too.
func TestManyIDsFitTheBatch(t *testing.T) {
	f := storetest.New(t)
	const channels, events = 32, 250
	names := make([]string, channels)
	for i := range names {
		names[i] = fmt.Sprintf("c%02d", i)
		f.Publish(names[i], "before") // so that all ids are of full length
	}
	r := newReader(f, names...)
	f.PublishNumbers("c07", events, "x")
	redistest.Eventually(t, storetest.Patience, "all events in the windows", func() bool {
		var d dto.Metric
		return f.Metrics.Store.WindowEvents.Write(&d) == nil && d.GetGauge().GetValue() == events
	})
	parser := &ssetest.Parser{}
	for len(parser.Events) < events {
		if r.Channels[7].Cursor.Idle() {
			t.Fatalf("only %d events", len(parser.Events))
		}
		parser.Feed(fill(t, r))
	}
	for i, event := range parser.Events {
		if want := strconv.Itoa(i) + " x"; event.Data != want || strings.Count(event.ID, "~") != channels {
			t.Fatalf("event %d is %+v, want %s", i, event, want)
		}
	}
}

// A reader that finds events after it has looked whether Redis is away says
// first that it is back.
func TestLiveComesBeforeEvents(t *testing.T) {
	f := storetest.New(t)
	r := newReader(f, "a")
	r.stalled = true // it has looked, and Redis was away
	f.PublishNumbers("a", 1, "x")
	redistest.Eventually(t, storetest.Patience, "the event", func() bool { return !r.Channels[0].Cursor.Idle() })
	b := batch.Get()
	r.fillChannel(b, 0, batch.Max)
	live, event := strings.Index(string(b.B), "event: gateway.live\n"), strings.Index(string(b.B), "data: 0 x\n")
	if live < 0 || event < live || r.stalled {
		t.Errorf("the client gets %q", b.B)
	}
}
