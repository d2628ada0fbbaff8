package resp

import (
	"context"
	"runtime"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{}) // it is given nonsense
	redistest.Main(m, 2*runtime.GOMAXPROCS(0))
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
