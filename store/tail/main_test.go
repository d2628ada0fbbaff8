package tail

import (
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m, 4) }
