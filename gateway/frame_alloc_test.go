//go:build !race

// The race detector has sync.Pool forget things on purpose, so the numbers mean
// nothing with it.

package gateway

import (
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store"
)

func TestFramesAllocateLittle(t *testing.T) {
	b := make([]byte, 0, 4096)
	for name, fields := range map[string][][]byte{
		"data":     fieldsOf("data", "0123456789\nabcdef", "event", "order"),
		"object":   fieldsOf("key", "välue", "other", "\"x\""),
		"bad name": fieldsOf("event", "gateway.x", "data", "x"),
	} {
		if n := testing.AllocsPerRun(1000, func() { FrameEncoder{}.EncodeEntry("orders", testID, fields) }); n > 2 {
			t.Errorf("EncodeEntry, %s: %v allocations", name, n)
		}
	}
	frame := FrameEncoder{}.EncodeEntry("orders", testID, fieldsOf("data", "hello")).Frame
	several := &stream{channels: make([]channelState, 8), names: signature([]string{"a", "b"})}
	if n := testing.AllocsPerRun(1000, func() {
		b = append(several.appendIDLine(b[:0], 3, store.MaxID), rest(frame)...)
	}); n > 0 {
		t.Errorf("the id line of several channels: %v allocations", n)
	}
	large := FrameEncoder{}.EncodeEntry("orders", testID, fieldsOf("data", strings.Repeat("\x01", 10_000))).Frame
	for _, frame := range [][]byte{frame, large} {
		if n := testing.AllocsPerRun(100, func() {
			part, left, in := appendEnvelopeHead(b[:0], "orders", testID, rest(frame))
			for in != unwrapped {
				_, left, in = appendEnvelopePart(part, 256, left, in)
				part = b[:0]
			}
		}); n > 0 {
			t.Errorf("the envelope of a frame of %d bytes: %v allocations", len(frame), n)
		}
	}
}
