package redistest

import (
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// SetClock returns what time.Now would have returned instead of t if the wall
// clock had been set by d before: the monotonic reading is the same. Package
// time has no way to make such a time, so its fields are changed directly.
func SetClock(t testing.TB, at time.Time, d time.Duration) time.Time {
	t.Helper()
	type fields struct { // of time.Time
		wall uint64
		ext  int64 // the monotonic reading, if there is one
		loc  *time.Location
	}
	set := at.Add(d)
	(*fields)(unsafe.Pointer(&set)).ext = (*fields)(unsafe.Pointer(&at)).ext
	if set.Sub(at) != 0 || set.UnixNano()-at.UnixNano() != int64(d) {
		t.Fatalf("%v was not set to %v, which is %v", at, at.Add(d), set)
	}
	return set
}

// Pass lets d go by in the bubble of testing/synctest that it is called in, and
// all that is due meanwhile be done. Elsewhere it panics: it would be hoping
// that d is enough.
func Pass(d time.Duration) {
	synctest.Wait()
	<-time.After(d)
	synctest.Wait()
}
