package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestForwardTimeout(t *testing.T) {
	stop := make(chan struct{})
	url, _ := application(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	})
	defer close(stop)
	a := newAuthorizer(t, Config{AuthURL: url, AuthTimeout: 30 * time.Millisecond, AuthConcurrency: 1})
	var wg sync.WaitGroup
	for i := range 3 { // one is asked, the others wait for the slot
		wg.Go(func() {
			_, err := a.Authorize(withCookie(fmt.Sprint("s=", i)), []string{"a"})
			var r *Refusal
			if !errors.As(err, &r) || !r.Temporary || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	redistest.Eventually(t, patience, "all slots are free", func() bool { return len(a.forward.slots) == 0 })
}

func TestForwardBodyIsBounded(t *testing.T) {
	url, _ := application(t, func(w http.ResponseWriter, r *http.Request) {
		chunk := bytes.Repeat([]byte("x"), 1<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	if _, err := newAuthorizer(t, Config{AuthURL: url}).Authorize(withCookie("s=1"), []string{"a"}); err != nil {
		t.Error(err)
	}
}

func TestForwardConcurrencyIsBounded(t *testing.T) {
	const limit, clients = 2, 12
	var now, most atomic.Int64
	answer := make(chan struct{})
	url, asked := application(t, func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-answer
		now.Add(-1)
	})
	a := newAuthorizer(t, Config{AuthURL: url, AuthConcurrency: limit})
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			if _, err := a.Authorize(withCookie(fmt.Sprint("s=", i)), []string{"a"}); err != nil {
				t.Error(err)
			}
		})
	}
	redistest.Eventually(t, patience, "all wait and as many as may are asked", func() bool {
		questions, _ := a.forward.flights.waiting()
		return questions == clients && now.Load() >= limit
	})
	for i := range clients { // one slot after the other is free
		answer <- struct{}{}
		left := clients - i - 1
		redistest.Eventually(t, patience, "the next is asked", func() bool {
			return now.Load() >= int64(min(limit, left)) && asked.Load() >= int64(min(i+1+limit, clients))
		})
	}
	wg.Wait()
	if asked.Load() != clients || most.Load() > limit {
		t.Errorf("asked %d times, up to %d at once", asked.Load(), most.Load())
	}
}

// startAsking begins n equal requests and returns when all of them wait.
func startAsking(t *testing.T, a *Authorizer, ctx context.Context, n int) <-chan error {
	t.Helper()
	_, before := a.forward.flights.waiting()
	errs := make(chan error, n)
	for range n {
		go func() {
			_, err := a.Authorize(withCookie("s=1").WithContext(ctx), []string{"a"})
			errs <- err
		}()
	}
	redistest.Eventually(t, patience, "all wait", func() bool { _, w := a.forward.flights.waiting(); return w == before+n })
	return errs
}

func TestForwardEqualQuestionsShareAnAnswer(t *testing.T) {
	answer := make(chan struct{})
	url, asked := application(t, func(http.ResponseWriter, *http.Request) { <-answer })
	a := newAuthorizer(t, Config{AuthURL: url})
	errs := startAsking(t, a, t.Context(), 20)
	close(answer)
	for range 20 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	if _, err := a.Authorize(withCookie("s=1"), []string{"a"}); err != nil || asked.Load() != 2 {
		t.Errorf("%v: a later question was answered by an old answer", err)
	}
}

func TestForwardOneCancelDoesNotEndTheOthers(t *testing.T) {
	answer := make(chan struct{})
	url, asked := application(t, func(http.ResponseWriter, *http.Request) { <-answer })
	a := newAuthorizer(t, Config{AuthURL: url})
	ctx, cancel := context.WithCancel(t.Context())
	first := startAsking(t, a, ctx, 1) // the one whose request began the flight
	others := startAsking(t, a, t.Context(), 3)
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled one got %v", err)
	}
	close(answer)
	for range 3 {
		if err := <-others; err != nil {
			t.Error(err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
}

func TestForwardQuestionEndsWithItsLastClient(t *testing.T) {
	ended := make(chan struct{})
	url, asked := application(t, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(ended)
	})
	var log bytes.Buffer
	a, err := New(Config{AuthURL: url, AuthTimeout: time.Minute}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	errs := startAsking(t, a, ctx, 2)
	redistest.Eventually(t, patience, "the question is asked", func() bool { return asked.Load() == 1 })
	cancel()
	for range 2 {
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the question goes on")
	}
	redistest.Eventually(t, patience, "the slot is free", func() bool { return len(a.forward.slots) == 0 })
	if n, _ := a.forward.flights.waiting(); n != 0 || log.Len() != 0 {
		t.Errorf("%d flights are left; log: %s", n, log.String())
	}
}
