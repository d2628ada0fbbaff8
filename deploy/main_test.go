package deploy_test

import (
	"os"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestMain runs eight tests at once: most wait for a program most of the time.
func TestMain(m *testing.M) {
	redistest.Parallel(8)
	os.Exit(m.Run())
}
