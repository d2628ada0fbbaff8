package gateway

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// lingering is net/http waiting half a second before it closes a connection
// that it has given up, so that the client gets to read why.
var lingering = goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait")

// TestMain fails unless the tests leave no goroutine. net/http takes a moment
// to be done with a connection that it has given up, over HTTP/2 a second.
func TestMain(m *testing.M) {
	flag.Parse()
	// Most tests wait most of the time.
	if p := flag.Lookup("test.parallel"); p.Value.String() == p.DefValue {
		_ = flag.Set("test.parallel", "4")
	}
	code := m.Run()
	var err error
	redistest.Poll(patience, func() bool {
		err = goleak.Find(lingering)
		return err == nil
	})
	if code == 0 && err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}
