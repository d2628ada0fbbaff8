//go:build !race

// The race detector has sync.Pool forget things on purpose, so the numbers mean
// nothing with it.

package sse

import (
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
		if n := testing.AllocsPerRun(1000, func() { Encoder{}.EncodeEntry("orders", testID, fields) }); n > 2 {
			t.Errorf("EncodeEntry, %s: %v allocations", name, n)
		}
	}
	frame := Encoder{}.EncodeEntry("orders", testID, fieldsOf("data", "hello")).Frame
	names := Signature([]string{"a", "b"})
	if n := testing.AllocsPerRun(1000, func() {
		b = append(AppendPosition(b[:0], 8, func(int) store.ID { return store.MaxID }, names), WithoutID(frame)...)
	}); n > 0 {
		t.Errorf("the id line of several channels: %v allocations", n)
	}
	if n := testing.AllocsPerRun(1000, func() { b = AppendEnvelope(b[:0], "orders", testID, WithoutID(frame)) }); n > 0 {
		t.Errorf("an envelope: %v allocations", n)
	}
}
