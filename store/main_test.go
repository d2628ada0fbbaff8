package store

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails unless the tests leave as many goroutines as they found. Four
// of them run at once even on two cores, because they wait most of the time: for
// a failover, a time-out, a fault to be over.
func TestMain(m *testing.M) {
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p.Value.String() == p.DefValue {
		_ = flag.Set("test.parallel", "4")
	}
	goleak.VerifyTestMain(m)
}
