package redistest

import (
	"bytes"
	"strings"
	"sync"
)

// Output collects what a program prints, for a test to look at meanwhile. Its
// methods may be called concurrently; the zero value is empty.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// String returns what was printed so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Lines returns the whole lines printed so far.
func (o *Output) Lines() []string {
	text := o.String()
	if end := strings.LastIndexByte(text, '\n'); end >= 0 {
		return strings.Split(text[:end], "\n")
	}
	return nil
}
