package gateway

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestMain fails unless the tests leave no goroutine. net/http takes a moment
// to be done with a connection that it has given up: half a second so that the
// client gets to read why, and a second after it has said goodbye over HTTP/2.
func TestMain(m *testing.M) {
	code := m.Run()
	var err error
	redistest.Poll(patience, func() bool {
		err = goleak.Find()
		return err == nil
	})
	if code == 0 && err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}
