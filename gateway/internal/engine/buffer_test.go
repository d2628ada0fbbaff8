package engine

import (
	"fmt"
	"io"
	"math"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// written returns all of an output.
func (o output) written() string { return string(o.own) + string(o.large) + o.end }

// A batch is the same in one chunk as without, and a chunk is what net/http reads.
func TestBatchIsOneChunk(t *testing.T) {
	for _, own := range []int{0, 1, 15, 16, 17, 255, 256, 4095, 4096, 65535, 65536, 100_000} {
		for _, large := range []int{0, 1, 1 << 20} {
			if own+large == 0 {
				continue
			}
			make := func() *buffer {
				buf := getBuffer()
				buf.b = append(buf.b, strings.Repeat("o", own)...)
				buf.large = []byte(strings.Repeat("l", large))
				return buf
			}
			plain := make().output(false)
			chunked := make().output(true)
			wire := chunked.written()
			if size := fmt.Sprintf("%x\r\n", own+large); !strings.HasPrefix(wire, size) || chunked.size() != len(wire) {
				t.Fatalf("%d and %d bytes begin with %.10q; size %d of %d", own, large, wire, chunked.size(), len(wire))
			}
			got, err := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(wire + lastChunk)))
			if err != nil || string(got) != plain.written() {
				t.Errorf("%d and %d bytes are read as %d: %v", own, large, len(got), err)
			}
		}
	}
	if out := getBuffer().output(true); out.size() != 0 {
		t.Errorf("nothing is written as %q, which would end the body", out.written())
	}
}

func TestAppendChunk(t *testing.T) {
	if got := string(appendChunk([]byte("x"), []byte("twenty bytes of data"))); got != "x14\r\ntwenty bytes of data\r\n" {
		t.Errorf("got %q", got)
	}
}

// Publishers may choose ids of their own, which have no time in them.
func TestLatencyOfStrangeIDs(t *testing.T) {
	m := metrics.New(prometheus.NewRegistry(), metrics.Build{})
	now := time.Now()
	for _, ms := range []uint64{0, 1, 1 << 62, 1 << 63, math.MaxInt64, math.MaxUint64, uint64(now.UnixMilli()) - math.MaxInt64/uint64(time.Millisecond) - 1} {
		y := tally{of: m.Gateway.Namespaces.Of("a"), live: []uint64{ms}}
		y.observe(1, now)
		if _, _, n := y.of.DeliveryLatency.Cumulative(); n != 0 {
			t.Fatalf("the id %d counts as a latency", ms)
		}
	}
}
