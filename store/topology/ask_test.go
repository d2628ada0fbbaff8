package topology

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Who is silent holds up nobody for long if most of the others answer.
func TestAskAll(t *testing.T) {
	t.Parallel()
	const (
		answers = iota
		fails
		silent
	)
	for name, c := range map[string]struct {
		do     []int
		took   time.Duration
		failed bool
	}{
		"nobody is there":       {},
		"all answer":            {do: []int{answers, answers, answers}},
		"one is silent":         {do: []int{silent, answers, answers}, took: askGrace},
		"one fails":             {do: []int{answers, fails, answers}, failed: true},
		"two are silent":        {do: []int{silent, answers, silent}, took: questionTimeout, failed: true},
		"one fails, one silent": {do: []int{fails, silent, answers}, took: questionTimeout, failed: true},
		"all fail":              {do: []int{fails, fails, fails}, failed: true},
		"two fail, one answers": {do: []int{fails, fails, answers}, failed: true},
		"two of five silent":    {do: []int{silent, answers, answers, silent, answers}, took: askGrace},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, want := time.Now(), 0
				taken, err := askAll(t.Context(), c.do, func(ctx context.Context, do int) (int, error) {
					switch do {
					case fails:
						return 0, errors.New("no")
					case silent:
						<-ctx.Done()
						return 0, ctx.Err()
					}
					return 0, nil
				})
				for _, do := range c.do {
					if do == answers {
						want++
					}
				}
				if took := time.Since(start); took != c.took || len(taken) != want || (err != nil) != c.failed {
					t.Errorf("took %v, %d answers, %v", took, len(taken), err)
				}
			})
		})
	}
}
