package content

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/sse-gateway/sse-gateway/gateway/internal/storetest"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/gateway/sse/ssetest"
	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// entryOf returns an entry with data.
func entryOf(id store.ID, data string) *store.Entry {
	return &store.Entry{ID: id, Frame: sse.Encoder{}.EncodeEntry("a", id, [][]byte{[]byte("data"), []byte(data)}).Frame}
}

// While somebody holds an envelope, everybody gets the same bytes.
func TestEnvelopesAreShared(t *testing.T) {
	var c envelopes
	e := entryOf(store.ID{Ms: 1}, strings.Repeat("\x01", 1000))
	first, again := c.of("a", e), c.of("a", e)
	if unsafe.SliceData(first) != unsafe.SliceData(again) || len(first) != len(again) {
		t.Error("an entry was wrapped twice")
	}
	if want := sse.AppendEnvelope(nil, "a", e.ID, sse.WithoutID(e.Frame)); string(again) != string(want) {
		t.Errorf("got %q, want %q", again, want)
	}
	// After a reset of the stream the id is another entry's.
	if other := c.of("a", entryOf(e.ID, "other")); !strings.Contains(string(other), "other") {
		t.Errorf("another entry has the envelope %q", other)
	}
}

// Envelopes that nobody holds leave nothing behind.
func TestEnvelopesAreForgotten(t *testing.T) {
	var c envelopes
	for i := range 100 * minSweep {
		c.of("a", entryOf(store.ID{Ms: uint64(i)}, "x"))
		if i%minSweep == 0 {
			runtime.GC()
		}
	}
	if n := len(c.byID); n > 4*minSweep {
		t.Errorf("%d envelopes are remembered", n)
	}
}

// Events that grow in their envelopes are taken about as far as a batch goes, and
// the others are not lost.
func TestEnvelopesFitTheBatch(t *testing.T) {
	f := storetest.New(t)
	r := newReader(f, "a")
	r.Envelope = true
	const events, escapes = 200, 300
	for i := range events {
		f.Publish("a", fmt.Sprint(i, strings.Repeat("\x01", escapes)))
	}
	parser := &ssetest.Parser{}
	for len(parser.Events) < events {
		redistest.Eventually(t, storetest.Patience, "more events", func() bool { return !r.Channels[0].Cursor.Idle() })
		parser.Feed(fill(t, r))
	}
	for i, event := range parser.Events {
		if want := fmt.Sprintf(`"data":"%d%s"}`, i, strings.Repeat(`\u0001`, escapes)); !strings.HasSuffix(event.Data, want) {
			t.Fatalf("event %d is %.100q", i, event.Data)
		}
	}
}
