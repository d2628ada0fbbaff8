package load

import (
	"testing"

	"github.com/redis/go-redis/v9/logging"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestMain(m *testing.M) {
	logging.Disable() // as main does
	redistest.Main(m, 6)
}
