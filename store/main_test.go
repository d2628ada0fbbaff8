package store

import (
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestMain runs eight tests at once even on two cores, because they wait most of
// the time: for a failover, a time-out, a fault to be over.
func TestMain(m *testing.M) { redistest.Main(m, 8) }
