package listener

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// A request is decided once, in the reactor's workers, and not again by net/http.
func TestRequestIsDecidedOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]int{}
	l := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, early := w.(*decision)
		mu.Lock()
		seen[fmt.Sprintf("%s early=%v", r.URL.Path, early)]++
		mu.Unlock()
		http.Error(w, "no", http.StatusForbidden)
	}), nil)
	for _, path := range []string{"/stream", "/other"} {
		if got := exchange(t, l, "GET "+path+" HTTP/1.1\r\nHost: gateway\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 403 ") {
			t.Errorf("%s is answered %q", path, got)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if want := fmt.Sprint(map[string]int{"/stream early=true": 1, "/other early=false": 1}); fmt.Sprint(seen) != want {
		t.Errorf("seen %v, want %s", seen, want)
	}
}

// A client that goes while its request is decided ends the decision.
func TestDecisionEndsWithItsClient(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}), make(chan struct{})
	l := startServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(ended)
	}), nil)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /stream HTTP/1.1\r\nHost: gateway\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-began
	c.Close()
	<-ended
}

// Requests whose decisions wait, for a Redis that is away, keep no other from being
// decided, and hold their places.
func TestDecisionsThatWaitDelayNobody(t *testing.T) {
	t.Parallel()
	const waiting = 3 * maxWorkers
	release := make(chan struct{})
	l := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "wait" {
			<-release
		}
		w.WriteHeader(http.StatusNoContent)
	}), nil)
	var answers sync.WaitGroup
	for range waiting {
		answers.Go(func() {
			if got := exchange(t, l, "GET /stream?wait HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 204 ") {
				t.Errorf("a decision that waited is answered %q", got)
			}
		})
	}
	redistest.Eventually(t, waitedFor, "all to be decided", func() bool { return l.pending.open.Load() == waiting })
	if got := exchange(t, l, "GET /stream HTTP/1.1\r\nHost: gateway\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 204 ") {
		t.Errorf("one that does not wait is answered %q", got)
	}
	close(release)
	answers.Wait()
}
