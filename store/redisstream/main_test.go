package redisstream

import (
	"runtime"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m, 2*runtime.GOMAXPROCS(0)) }
