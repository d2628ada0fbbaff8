package content

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/gateway/internal/batch"
	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
	"github.com/sse-gateway/sse-gateway/gateway/internal/storetest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// A broadcast has the bytes that a reader would have got by itself, in every form.
func TestBroadcastIsWhatAReaderFills(t *testing.T) {
	f := storetest.New(t)
	r := newReader(f, "a")
	topic := r.Channels[0].Topic
	topic.Blocks = deflate.NewCache(1 << 20)
	start := r.Channels[0].Cursor
	f.Publish("a", "small", strings.Repeat("larger ", 100), "small again")
	redistest.Eventually(t, storetest.Patience, "all events", func() bool {
		c := start
		got, _ := c.Next(batch.Max)
		return len(got.Entries) == 3
	})
	cursor := start
	b := topic.NextBroadcast(&cursor)
	defer b.Done()
	for i := range 8 {
		r.Envelope, r.Gzip = i&1 != 0, i&2 != 0
		chunked := i&4 != 0
		t.Run(fmt.Sprintf("envelope %v, gzip %v, chunked %v", r.Envelope, r.Gzip, chunked), func(t *testing.T) {
			r.Channels[0].Cursor = start
			if !b.Fits(r) {
				t.Fatal("the broadcast does not fit")
			}
			buf := batch.Get()
			if r.Gzip {
				buf.BeginGzip(deflate.Sum{})
			}
			r.Channels[0].Live = true
			r.Fill(buf, batch.Max)
			out := buf.Output(chunked)
			if got, want := string(b.Form(r, chunked).Wire), string(out.Next()); got != want || got == "" {
				t.Errorf("the broadcast has %q, want %q", got, want)
			}
			if r.Gzip && b.Form(r, chunked).Part != buf.Sum().Part() {
				t.Error("the sums differ")
			}
		})
	}
}

// What was published while Redis was away follows the news that it is back: whoever has
// not been told yet is not sent the broadcast. Nor is one of several channels.
func TestBroadcastFitsOnlyThoseWhoNeedNothingElse(t *testing.T) {
	f := storetest.New(t)
	told, late, several := newReader(f, "a"), newReader(f, "a"), newReader(f, "a", "b")
	late.stalled = true
	for _, r := range []*Reader{late, several} {
		r.Channels[0] = Channel{Cursor: told.Channels[0].Cursor, Topic: told.Channels[0].Topic}
	}
	cursor := told.Channels[0].Cursor
	f.Publish("a", "x")
	redistest.Eventually(t, storetest.Patience, "the event", func() bool { return !cursor.Idle() })
	b := told.Channels[0].Topic.NextBroadcast(&cursor)
	if !b.Fits(told) || b.Fits(late) || b.Fits(several) {
		t.Errorf("it fits one who was told: %v, one who was not: %v, one of several channels: %v", b.Fits(told), b.Fits(late), b.Fits(several))
	}
}
