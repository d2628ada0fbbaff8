package redistest

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// leakPatience is how long goroutines may take to end after what they belong
// to, which some do in their own time: a pool of go-redis whose server is away
// notices a second later that it was closed, and net/http is as slow with a
// connection of HTTP/2.
const leakPatience = 20 * time.Second

// Goroutines waits until no goroutine is left but those that the options ignore,
// and returns an error that names the others.
func Goroutines(options ...goleak.Option) (err error) {
	Poll(leakPatience, func() bool {
		err = goleak.Find(options...)
		return err == nil
	})
	return err
}

// Main is the TestMain of a package whose tests leave no goroutine but those
// that the options ignore. It runs the tests, up to so many at once (see Parallel),
// and exits.
func Main(m *testing.M, parallel int, options ...goleak.Option) {
	Parallel(parallel)
	code := m.Run()
	if err := Goroutines(options...); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// Parallel has up to so many tests run at once, unless -parallel says otherwise. It
// is for a TestMain, before it runs them: go test has as many as there are
// processors, which is few for tests that wait.
func Parallel(tests int) {
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p.Value.String() == p.DefValue {
		_ = flag.Set("test.parallel", strconv.Itoa(tests))
	}
}
