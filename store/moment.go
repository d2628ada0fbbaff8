package store

import (
	"sync/atomic"
	"time"
)

// moment is a time that may be read while it is set. It keeps the monotonic
// reading, which a number would not: how long something has been silent must
// not depend on whether the clock was set meanwhile.
type moment struct{ at atomic.Pointer[time.Time] }

// Load returns what was stored last; zero before.
func (m *moment) Load() time.Time {
	if at := m.at.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

func (m *moment) Store(at time.Time) { m.at.Store(&at) }
