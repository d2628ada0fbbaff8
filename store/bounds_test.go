package store

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// countingEncoder counts the bytes of frames since the last batch, and the most
// that a batch has had.
type countingEncoder struct {
	textEncoder
	batch, most atomic.Int64
}

func (e *countingEncoder) EncodeEntry(channel string, id ID, fields [][]byte) Encoded {
	enc := e.textEncoder.EncodeEntry(channel, id, fields)
	e.batch.Add(int64(len(enc.Frame)))
	return enc
}

func (e *countingEncoder) batchEnded() {
	e.most.Store(max(e.most.Load(), e.batch.Swap(0)))
}

// TestBatchIsBounded has far more to catch up with after an outage than one batch
// of the tail may hold: it is read in several, and all of it arrives.
func TestBatchIsBounded(t *testing.T) {
	t.Parallel()
	const (
		channels, events, size = 128, 3, 100_000 // 38 MB, in one batch if nothing held it back
		// All reads of a batch have one room, which the last entry may exceed.
		bound = 128*redisstream.PageBytes + 2*size
	)
	srv := redistest.Start(t)
	proxy := redistest.StartProxy(t, srv.Addr())
	encoder := &countingEncoder{}
	s := openHealthy(t, srv.URLAt(proxy.Addr()), func(c *Config) { c.Encoder, c.WindowMemory = encoder, 256<<20 })
	s.OnRound(encoder.batchEnded)
	readers := make([]*reader, channels)
	for i := range readers {
		readers[i] = s.subscribe(t, fmt.Sprint("c", i))
		readers[i].awaitID(srv.XAdd(fmt.Sprint("sse:c", i), "data", "small"))
	}
	proxy.Cut()
	last := make([]ID, channels)
	for i := range readers {
		ids := fill(t, srv.Client(), fmt.Sprint("sse:c", i), events, func(int) string { return strings.Repeat("x", size) })
		last[i] = ids[events-1]
	}
	encoder.batchEnded()
	encoder.most.Store(0)
	proxy.Restore()
	for i, r := range readers {
		if r.awaitID(last[i].String()); len(r.got) != 1+events {
			t.Errorf("channel %d: %d events, want %d", i, len(r.got), 1+events)
		}
	}
	redistest.Eventually(t, patience, "the batches to end", func() bool { return encoder.most.Load() > 0 })
	t.Logf("at most %d of %d bytes", encoder.most.Load(), channels*events*size)
	if most := encoder.most.Load(); most > bound {
		t.Errorf("a batch had %d bytes, want at most %d of %d", most, bound, channels*events*size)
	}
}
