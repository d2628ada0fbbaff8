package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
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
	redistest.Eventually(t, patience, "a second has passed since the last sign-in", func() bool {
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

	keeping := make(map[*agent]int) // who has no reason to lose a stream, and how many they have had
	for _, a := range r.agents {
		if !revoked[a] && a.replica() != rolled {
			keeping[a] = a.had()
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
	rolled.requireExit(patience)
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
	for a, had := range keeping {
		if now := a.had(); now != had {
			t.Errorf("round %d: subject %s, who was not revoked, lost %d streams", round, a.subject, now-had)
		}
	}
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
	redistest.Eventually(r.t, patience, "revoked streams have ended "+where, func() bool {
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
	ctx, cancel := context.WithTimeout(r.ctx, patience)
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
	redistest.Eventually(r.t, patience, "everybody who may has a stream", func() bool {
		for _, a := range r.agents {
			if open, _, _ := a.state(); !revoked(a) && !open {
				return false
			}
		}
		return true
	})
	r.redis.XAdd("sse:news", "data", "marker"+name)
	redistest.Eventually(r.t, patience, "everybody who may gets marker "+name, func() bool {
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
