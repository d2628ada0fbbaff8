package redistest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv(orphanVariable) != "" {
		os.Exit(m.Run()) // see TestServerDiesWithTheTestBinary
	}
	Main(m, runtime.GOMAXPROCS(0))
}

// failure runs f with a test that records how f fails it, and returns that, or
// "" if f did not.
func failure(t *testing.T, f func(testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return strings.Join(r.messages, "\n")
}

// recorder is a test that takes note of fatal failures instead of failing.
type recorder struct {
	testing.TB
	messages []string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.messages = append(r.messages, fmt.Sprintf(format, args...))
	runtime.Goexit()
}
