package topology

import (
	"strings"
	"testing"
)

func TestSlotOf(t *testing.T) {
	t.Parallel()
	// From CLUSTER KEYSLOT; TestCluster compares with a real node.
	for key, want := range map[string]int{
		"": 0, "123456789": 12739, "foo": 12182, "sse:orders": slotOf("{sse:orders}x"),
		"{foo}bar": 12182, "{}foo": slotOf("{}foo"), "x{foo}{bar}": 12182, "{{foo}}": slotOf("{foo"),
	} {
		if got := slotOf(key); got != want {
			t.Errorf("slotOf(%q) = %d, want %d", key, got, want)
		}
	}
	if slotOf("{}foo") == slotOf("") || slotOf("a{") == slotOf("") || slotOf(strings.Repeat("k", 300)) >= slots {
		t.Error("an empty or open tag must not count")
	}
}
