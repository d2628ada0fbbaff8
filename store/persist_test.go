package store

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
)

// TestPersist has reads of history find their connections broken, or Redis not
// there: they are tried again where that helps.
func TestPersist(t *testing.T) {
	t.Parallel()
	closed, timeout := io.EOF, os.ErrDeadlineExceeded
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for name, c := range map[string]struct {
		tailWorks bool
		fails     []error
		want      int // calls
		err       error
	}{
		"at once":                           {false, nil, 1, nil},
		"broken while idle":                 {false, []error{closed}, 2, nil},
		"broken, and Redis is away":         {false, []error{closed, refused}, 2, refused},
		"Redis is away":                     {false, []error{refused}, 1, refused},
		"go-redis does not dial yet":        {true, []error{refused, refused, refused}, 4, nil},
		"broken, and go-redis does not yet": {true, []error{closed, refused, closed}, 4, nil},
		"Redis takes too long":              {true, []error{timeout}, 1, timeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			alive := func() bool { return c.tailWorks }
			v, err := retryWhileAlive(t.Context(), alive, func() (any, error) {
				calls++
				if calls <= len(c.fails) {
					return nil, c.fails[calls-1]
				}
				return "read", nil
			})
			if calls != c.want || !errors.Is(err, c.err) || (err == nil) != (v == "read") {
				t.Errorf("%v, %v after %d calls, want %v after %d", v, err, calls, c.err, c.want)
			}
		})
	}
}
