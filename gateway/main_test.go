package gateway

import (
	"testing"

	"go.uber.org/goleak"
)

// lingering is net/http waiting half a second before it closes a connection
// that it has given up, so that the client gets to read why.
var lingering = goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait")

// The tests leave as many goroutines as they found.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, lingering) }
