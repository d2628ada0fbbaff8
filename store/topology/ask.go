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

// askAll puts one question to all of them at once. It waits for those that are
// silent, but not long once most have answered. The error is of those that failed.
func askAll[S, T any](ctx context.Context, all []S, ask func(context.Context, S) (T, error)) (answers []T, err error) {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	answered, failed := make(chan T, len(all)), make(chan error, len(all))
	for _, s := range all {
		go func() {
			if v, err := ask(ctx, s); err != nil {
				failed <- err
			} else {
				answered <- v
			}
		}()
	}
	var late <-chan time.Time // set once most have answered
	for range all {
		select {
		case v := <-answered:
			if answers = append(answers, v); len(answers) == len(all)/2+1 {
				late = time.After(askGrace)
			}
		case e := <-failed:
			err = errors.Join(err, e)
		case <-late:
			return answers, err
		case <-ctx.Done():
			return answers, errors.Join(err, ctx.Err())
		}
	}
	return answers, err
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
