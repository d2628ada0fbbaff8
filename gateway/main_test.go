package gateway

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// lingering is net/http waiting half a second before it closes a connection
// that it has given up, so that the client gets to read why.
var lingering = goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait")

// TestMain runs four tests at once: most wait most of the time.
func TestMain(m *testing.M) { redistest.Main(m, 4, lingering) }
