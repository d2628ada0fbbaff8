package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

const revocationsKey = "sse:gateway.revocations"

func revocationEnv(redisURL string, env ...string) []string {
	return append(gatewayEnv(redisURL, "SSE_PUBLIC_CHANNELS=", "SSE_JWT_SECRET="+revocationSecret, "SSE_REVOCATIONS=true"), env...)
}

// revocationRig are replicas, and users with streams on them.
type revocationRig struct {
	t        *testing.T
	redis    *redistest.Server
	fleet    fleet
	replicas []*gatewayProcess
	agents   []*agent
	issued   time.Time // the latest iat
	running  sync.WaitGroup
	ctx      context.Context
	tokens   int // made so far
	slowest  time.Duration
}

const (
	revocationSubjects = 100
	revocationStreams  = 300
	revokedPerRound    = 10
)

// A user who is signed out loses all streams, on every replica, also on one that
// stood still meanwhile and on one that starts afterwards; everybody else keeps
// theirs, and the user may sign in again at once. SSE_CHAOS=long has more rounds.
func TestChaosRevocation(t *testing.T) {
	t.Parallel()
	rounds := 2
	if os.Getenv("SSE_CHAOS") == "long" {
		rounds = 20
	}
	r := &revocationRig{t: t, redis: redistest.Start(t), issued: time.Now().Add(-time.Minute)}
	ctx, cancel := context.WithCancel(context.Background())
	r.ctx = ctx
	t.Cleanup(func() { cancel(); r.running.Wait() })
	for range 3 {
		r.replicas = append(r.replicas, r.start())
	}
	for i := range revocationStreams {
		subject := strconv.Itoa(i % revocationSubjects)
		r.connect(subject, r.issued, r.replicas[i%len(r.replicas)])
	}
	r.requireMarker("start", func(*agent) bool { return false })
	for round := range rounds {
		r.round(round)
	}
	t.Logf("%d rounds: from when a replica could know to the end of the last stream concerned %v at most", rounds, r.slowest)
}

func (r *revocationRig) start() *gatewayProcess {
	p := startGateway(r.t, revocationEnv(r.redis.URL(), "SSE_DRAIN_WINDOW=500ms")...)
	p.awaitReady()
	r.fleet.add(p)
	return p
}

// connect opens a stream of a user's.
func (r *revocationRig) connect(subject string, issued time.Time, on *gatewayProcess) *agent {
	r.tokens++
	a := &agent{subject: subject, jti: "t" + strconv.Itoa(r.tokens), on: on}
	a.token = signIn(r.t, subject, a.jti, issued)
	r.agents = append(r.agents, a)
	r.running.Go(func() { a.run(r.ctx, &r.fleet) })
	return a
}

// round revokes some users while one replica stands still and another is rolled.
func (r *revocationRig) round(round int) {
	t, still, rolled := r.t, r.replicas[round%3], r.replicas[(round+1)%3]
	redistest.Eventually(t, 10*time.Second, "a second has passed since the last sign-in", func() bool {
		return time.Now().Unix() > r.issued.Unix()
	})
	revoked := make(map[*agent]bool)
	var subjects []string
	for i := range revokedPerRound {
		subjects = append(subjects, strconv.Itoa((round*revokedPerRound+i)%revocationSubjects))
	}
	for _, a := range r.agents {
		for _, s := range subjects {
			if a.subject == s {
				revoked[a] = true
			}
		}
	}

	sendSignal(t, still, syscall.SIGSTOP)
	r.fleet.remove(still)
	onStill := make(map[*agent]bool)
	for a := range revoked {
		onStill[a] = a.replica() == still
	}
	// Requests that a replica has not seen yet when the token is revoked.
	waiting := make(chan string, revokedPerRound)
	for a := range revoked {
		go func() { waiting <- r.lateRequest(still, a.token) }()
	}
	r.fleet.remove(rolled)
	rolled.terminate()
	r.revoke(subjects, revoked)
	at := time.Now()
	r.awaitOver(at, "on the replicas that run", revoked, func(a *agent) bool { return !onStill[a] })
	rolled.requireExit(30 * time.Second)
	r.replicas[(round+1)%3] = r.start()
	sendSignal(t, still, syscall.SIGCONT)
	at = time.Now()
	r.fleet.add(still)
	r.awaitOver(at, "everywhere", revoked, func(a *agent) bool { return onStill[a] })
	for range revoked {
		if problem := <-waiting; problem != "" {
			t.Errorf("round %d: %s", round, problem)
		}
	}
	r.requireMarker(strconv.Itoa(round), func(a *agent) bool { return revoked[a] })
	for a := range revoked {
		for _, p := range r.replicas {
			if status, _ := fetch(t, p.eventsURL("channel=news"), http.Header{"Authorization": {"Bearer " + a.token}}); status != http.StatusUnauthorized {
				t.Errorf("round %d: a revoked token is answered %d", round, status)
			}
		}
	}
	r.signInAgain(revoked)
	if t.Failed() {
		t.FailNow()
	}
}

func sendSignal(t *testing.T, p *gatewayProcess, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	if s == syscall.SIGSTOP {
		t.Cleanup(func() { _ = p.cmd.Process.Signal(syscall.SIGCONT) })
	}
}

// revoke signs the users out: half of them by subject, the others by all tokens.
func (r *revocationRig) revoke(subjects []string, revoked map[*agent]bool) {
	for i, s := range subjects {
		if i%2 == 0 {
			r.redis.XAdd(revocationsKey, "sub", s)
			continue
		}
		for a := range revoked {
			if a.subject == s {
				r.redis.XAdd(revocationsKey, "jti", a.jti, "until", fmt.Sprint(time.Now().Add(time.Hour).Unix()))
			}
		}
	}
}

// awaitOver waits until no chosen user has a stream, nor is let in again, and
// notes how long that took.
func (r *revocationRig) awaitOver(since time.Time, where string, revoked map[*agent]bool, chosen func(*agent) bool) {
	r.t.Helper()
	redistest.Eventually(r.t, 60*time.Second, "revoked streams have ended "+where, func() bool {
		for a := range revoked {
			if _, refused, _ := a.state(); chosen(a) && !refused {
				return false
			}
		}
		return true
	})
	for a := range revoked {
		if chosen(a) {
			a.set(func() { r.slowest = max(r.slowest, a.over.Sub(since)) })
		}
	}
}

// lateRequest asks a replica that stands still, and returns what was wrong with
// the answer: the stream must not stay open.
func (r *revocationRig) lateRequest(p *gatewayProcess, token string) string {
	ctx, cancel := context.WithTimeout(r.ctx, 60*time.Second)
	defer cancel()
	a := &agent{token: token}
	a.stream(ctx, &http.Transport{DisableKeepAlives: true}, p, "")
	if ctx.Err() != nil {
		return "a stream that was asked for before the revocation stays open"
	}
	return ""
}

// requireMarker publishes an event, which everybody but the revoked has to get.
func (r *revocationRig) requireMarker(name string, revoked func(*agent) bool) {
	r.t.Helper()
	redistest.Eventually(r.t, 60*time.Second, "everybody who may has a stream", func() bool {
		for _, a := range r.agents {
			if open, _, _ := a.state(); !revoked(a) && !open {
				return false
			}
		}
		return true
	})
	r.redis.XAdd("sse:news", "data", "marker"+name)
	redistest.Eventually(r.t, 60*time.Second, "everybody who may gets marker "+name, func() bool {
		for _, a := range r.agents {
			if open, refused, marker := a.state(); !revoked(a) && (!open || refused || marker != name) {
				return false
			}
		}
		return true
	})
	for _, a := range r.agents {
		if open, _, marker := a.state(); revoked(a) && (open || marker == name) {
			r.t.Errorf("a revoked user got marker %s", name)
		}
	}
}

// signInAgain replaces the users' streams, with tokens of this very second.
func (r *revocationRig) signInAgain(revoked map[*agent]bool) {
	var rest []*agent
	for _, a := range r.agents {
		if !revoked[a] {
			rest = append(rest, a)
		}
	}
	r.agents = rest
	r.issued = time.Now()
	i := 0
	for a := range revoked {
		r.connect(a.subject, r.issued, r.replicas[i%3])
		i++
	}
	r.requireMarker("again"+strconv.Itoa(r.tokens), func(*agent) bool { return false })
}

// The application's answers are revoked by the subject that they name. What it
// says afterwards counts.
func TestRevocationOfForwardAuthentication(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	var status, asked atomic.Int64
	status.Store(http.StatusOK)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked.Add(1)
		w.Header().Set("X-Sse-Subject", req.Header.Get("Cookie"))
		w.WriteHeader(int(status.Load()))
	}))
	t.Cleanup(app.Close)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_PUBLIC_CHANNELS=", "SSE_AUTH_URL="+app.URL, "SSE_AUTH_CACHE_TTL=5m", "SSE_REVOCATIONS=true")...)
	p.awaitReady()
	for _, version := range []int{1, 2} {
		tr := transport(t, version, nil)
		status.Store(http.StatusOK)
		gone := subscribe(t, tr, p.eventsURL("channel=a"), "Cookie", "user=1").ready(t)
		stays := subscribe(t, tr, p.eventsURL("channel=a"), "Cookie", "user=2").ready(t)
		before := asked.Load()
		r.XAdd(revocationsKey, "sub", "user=1")
		gone.awaitEnd(t, 15*time.Second)
		again := subscribe(t, tr, p.eventsURL("channel=a"), "Cookie", "user=1").ready(t)
		if n := asked.Load() - before; n != 1 {
			t.Errorf("HTTP/%d: the application was asked %d times after the revocation, want 1", version, n)
		}
		status.Store(http.StatusUnauthorized)
		r.XAdd(revocationsKey, "sub", "user=1")
		again.awaitEnd(t, 15*time.Second)
		if c := subscribe(t, tr, p.eventsURL("channel=a"), "Cookie", "user=1"); c.status != http.StatusUnauthorized {
			t.Errorf("HTTP/%d: a user who was signed out is answered %d", version, c.status)
		}
		r.XAdd("sse:a", "data", "to those who stay")
		stays.requireData(t, "to those who stay")
		stays.close()
	}
	if n := p.metric("sse_gateway_disconnects_total", "revoked"); n != 4 {
		t.Errorf("%v streams ended as revoked, want 4", n)
	}
}

// A replica is not ready, and lets nobody in by a token, before it has read the
// revocations; public channels do not depend on them.
func TestNotReadyBeforeRevocationsAreRead(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	r.Do("SET", revocationsKey, "not a stream")
	p := startGateway(t, revocationEnv(r.URL(), "SSE_PUBLIC_CHANNELS=public")...)
	redistest.Eventually(t, 20*time.Second, "the log tells why", func() bool { return strings.Contains(p.err.String(), "the revocations cannot be read") })
	redistest.Eventually(t, 20*time.Second, "/readyz tells why", func() bool {
		status, reason := p.ready()
		if status == http.StatusOK {
			t.Fatal("it is ready")
		}
		return strings.Contains(reason, "revocations")
	})
	token := "Bearer " + signIn(t, "u", "x", time.Now())
	if status, _ := fetch(t, p.eventsURL("channel=a"), http.Header{"Authorization": {token}}); status != http.StatusServiceUnavailable {
		t.Errorf("a token is answered %d", status)
	}
	tr := transport(t, 1, nil)
	subscribe(t, tr, p.eventsURL("channel=public")).ready(t).close()
	r.Do("DEL", revocationsKey)
	p.awaitReady()
	subscribe(t, tr, p.eventsURL("channel=a"), "Authorization", token).ready(t).close()
	for _, channel := range []string{"gateway.revocations", "gateway.x"} {
		if status, _ := fetch(t, p.eventsURL("channel="+channel), http.Header{"Authorization": {token}}); status != http.StatusBadRequest {
			t.Errorf("the reserved channel %s is answered %d", channel, status)
		}
	}
}
