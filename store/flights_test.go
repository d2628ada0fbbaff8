package store

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A read that several wait for goes on when one of them leaves, and ends when all
// have left. Whoever comes then does not get the answer of the one that ended.
func TestFlightEndsWithItsLastCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := flights{all: make(map[want]*flight)}
		var ended atomic.Int32
		call := func(ctx context.Context) (any, error) {
			select {
			case <-time.After(time.Minute):
				return "read", nil
			case <-ctx.Done():
				ended.Add(1)
				return nil, ctx.Err()
			}
		}
		type result struct {
			v     any
			first bool
			err   error
		}
		wait := func(timeout time.Duration) <-chan result {
			c := make(chan result, 1)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				v, first, err := g.do(ctx, t.Context(), want{key: "a"}, call)
				c <- result{v, first, err}
			}()
			synctest.Wait()
			return c
		}
		one, other := wait(10*time.Second), wait(20*time.Second)
		if r := <-one; !r.first || !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("the first caller: %+v", r)
		}
		if synctest.Wait(); ended.Load() != 0 {
			t.Error("the call has ended under its second caller")
		}
		if r := <-other; r.first || !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("the second caller: %+v", r)
		}
		if synctest.Wait(); ended.Load() != 1 {
			t.Errorf("%d calls have ended with their callers", ended.Load())
		}
		late, later := wait(time.Hour), wait(time.Hour)
		if a, b := <-late, <-later; a != (result{"read", true, nil}) || b != (result{"read", false, nil}) {
			t.Errorf("the next callers: %+v and %+v", a, b)
		}
		if synctest.Wait(); len(g.all) != 0 || ended.Load() != 1 {
			t.Errorf("%d calls are left, %d have ended with their callers", len(g.all), ended.Load())
		}
	})
}
