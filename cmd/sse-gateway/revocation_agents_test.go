package main

import (
	"bufio"
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// fleet are the replicas that new connections are sent to, as by a balancer that
// knows which are up.
type fleet struct {
	mu sync.Mutex
	up []*gatewayProcess
}

func (f *fleet) add(p *gatewayProcess) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.up = append(f.up, p)
}

func (f *fleet) remove(p *gatewayProcess) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.up = slices.DeleteFunc(f.up, func(q *gatewayProcess) bool { return q == p })
}

func (f *fleet) pick() *gatewayProcess {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.up[rand.N(len(f.up))]
}

// agent is a browser with one stream: it comes back until it is told 401.
type agent struct {
	subject string
	jti     string
	token   string

	mu      sync.Mutex
	on      *gatewayProcess // where it connects, or is connected
	open    bool            // it has a stream
	streams int             // how many it has had
	refused bool            // it was told 401
	over    time.Time       // when it was, or lost the stream before that
	marker  string          // the data of the last event
}

const revocationSecret = "a-secret-for-the-test-of-revocation"

// signIn makes a token that was issued at a time, which has whole seconds.
func signIn(t *testing.T, subject, jti string, issued time.Time) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": subject, "jti": jti, "iat": issued.Unix(), "exp": time.Now().Add(time.Hour).Unix(), "channels": "**",
	}).SignedString([]byte(revocationSecret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// run keeps a stream open until ctx ends or the token is refused.
func (a *agent) run(ctx context.Context, f *fleet) {
	tr := &http.Transport{DisableKeepAlives: true}
	position := ""
	for ctx.Err() == nil {
		position = a.stream(ctx, tr, a.replica(), position)
		if _, refused, _ := a.state(); refused {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond): // the browser's pause
		}
		p := f.pick()
		a.set(func() { a.on = p })
	}
}

func (a *agent) replica() *gatewayProcess {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.on
}

// stream reads one response to its end and returns the position after it.
func (a *agent) stream(ctx context.Context, tr *http.Transport, p *gatewayProcess, position string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.eventsURL("channel=news"), nil)
	if err != nil {
		return position
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+a.token)
	if position != "" {
		req.Header.Set("Last-Event-ID", position)
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		return position
	}
	defer res.Body.Close()
	a.set(func() {
		if a.open = res.StatusCode == http.StatusOK; a.open {
			a.streams++
		}
		if a.refused = res.StatusCode == http.StatusUnauthorized; a.refused && a.over.IsZero() {
			a.over = time.Now()
		}
	})
	for in := bufio.NewScanner(res.Body); in.Scan(); {
		if id, ok := strings.CutPrefix(in.Text(), "id: "); ok {
			position = id
		}
		if data, ok := strings.CutPrefix(in.Text(), "data: marker"); ok {
			a.set(func() { a.marker = data })
		}
	}
	a.set(func() {
		if a.open {
			a.over = time.Now()
		}
		a.open = false
	})
	return position
}

func (a *agent) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

// had returns how many streams the agent has had.
func (a *agent) had() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.streams
}

// state returns whether the agent has a stream, was refused for good, and the
// last event that it got.
func (a *agent) state() (open, refused bool, marker string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open, a.refused, a.marker
}
