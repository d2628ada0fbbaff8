package redisurl_test

import (
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestMain runs four tests at once even on two cores, because they wait for servers
// most of the time.
func TestMain(m *testing.M) { redistest.Main(m, 4) }
