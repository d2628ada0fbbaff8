package topology

import (
	"context"
	"errors"
	"time"
)

// questionTimeout bounds one question to a server that is not followed.
const questionTimeout = time.Second

// askGrace is how long the others have once most have answered: one that knows
// of a newer configuration may be slow, and one that is away would delay every
// answer.
const askGrace = 50 * time.Millisecond

// askAll puts one question to all of them at once. It hands each answer to take,
// which says if it was enough; otherwise it waits for those that are silent, but
// not long once most have answered. The error is of those that failed.
func askAll[S, T any](ctx context.Context, all []S, ask func(context.Context, S) (T, error), take func(T) (enough bool)) error {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	type answer struct {
		v   T
		err error
	}
	answers := make(chan answer, len(all))
	for _, s := range all {
		go func() {
			v, err := ask(ctx, s)
			answers <- answer{v, err}
		}()
	}
	var errs []error
	var late <-chan time.Time // set once most have answered
	for n := 0; n+len(errs) < len(all); {
		select {
		case a := <-answers:
			if a.err != nil {
				errs = append(errs, a.err)
				continue
			}
			if take(a.v) {
				return nil
			}
			if n++; n == len(all)/2+1 {
				late = time.After(askGrace)
			}
		case <-late:
			return errors.Join(errs...)
		case <-ctx.Done():
			return errors.Join(append(errs, ctx.Err())...)
		}
	}
	return errors.Join(errs...)
}

// sleep waits, and reports whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
