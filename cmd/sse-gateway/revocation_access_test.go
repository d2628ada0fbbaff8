package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

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
		gone.awaitEnd(t, patience)
		again := subscribe(t, tr, p.eventsURL("channel=a"), "Cookie", "user=1").ready(t)
		if n := asked.Load() - before; n != 1 {
			t.Errorf("HTTP/%d: the application was asked %d times after the revocation, want 1", version, n)
		}
		status.Store(http.StatusUnauthorized)
		r.XAdd(revocationsKey, "sub", "user=1")
		again.awaitEnd(t, patience)
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
	redistest.Eventually(t, patience, "the log tells why", func() bool { return strings.Contains(p.err.String(), "the revocations cannot be read") })
	redistest.Eventually(t, patience, "/readyz tells why", func() bool {
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
