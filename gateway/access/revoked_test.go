package access

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sse-gateway/sse-gateway/gateway/revocation"
	"github.com/sse-gateway/sse-gateway/metrics"
)

func newRevocations() *revocation.List {
	return revocation.NewList(&metrics.New(prometheus.NewRegistry(), metrics.Build{}).Revocations)
}

func revokeSubject(l *revocation.List, sub string) {
	now := time.Now()
	l.Add(revocation.Revocation{Subject: revocation.SubjectKey(sub), At: now, Until: now.Add(time.Hour)})
}

func TestRevokedTokenIsRefused(t *testing.T) {
	list := newRevocations()
	a := newAuthorizer(t, Config{PublicChannels: []string{"public:*"}, JWTSecret: Secret(testKeys.secret), Revocations: list})
	token := func(changes ...any) *http.Request {
		return bearer(sign(t, jwt.SigningMethodHS256, testKeys.secret, claims(changes...)))
	}
	now := time.Now()
	before, after := now.Add(-time.Minute).Unix(), now.Add(5*time.Second).Unix()

	// Nothing can be said about a token before the revocations are known.
	_, err := a.Authorize(token("sub", "u"), []string{"orders:1"})
	refused(t, err, 503)
	if _, err := a.Authorize(request("/events"), []string{"public:1"}); err != nil {
		t.Errorf("a public channel without a token: %v", err)
	}
	list.SetKnown()
	revokeSubject(list, "u")
	list.Add(revocation.Revocation{Token: revocation.TokenKey("t1"), At: now, Until: now.Add(time.Hour)})
	for name, tt := range map[string]struct {
		r    *http.Request
		good bool
	}{
		"issued before":          {token("sub", "u", "iat", before), false},
		"no iat":                 {token("sub", "u"), false},
		"a new sign-in":          {token("sub", "u", "iat", after), true},
		"another subject":        {token("sub", "v", "iat", before), true},
		"no subject":             {token("iat", before), true},
		"revoked by its id":      {token("sub", "v", "jti", "t1", "iat", after), false},
		"another id":             {token("sub", "v", "jti", "t2"), true},
		"a subject like the id":  {token("sub", "t1"), true},
		"an id like the subject": {token("sub", "v", "jti", "u"), true},
	} {
		for _, channel := range []string{"orders:1", "public:1"} {
			_, err := a.Authorize(tt.r, []string{channel})
			if tt.good && err != nil {
				t.Errorf("%s: %v", name, err)
			} else if !tt.good {
				refused(t, err, 401)
			}
		}
	}
}

// The answer of the application counts until its subject is revoked, in the cache
// as well; what it says afterwards counts anew.
func TestRevokedAnswerIsAskedForAgain(t *testing.T) {
	var asked atomic.Int64
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("X-Sse-Subject", "u")
	}))
	defer app.Close()
	list := newRevocations()
	a := newAuthorizer(t, Config{AuthURL: app.URL, AuthCacheTTL: time.Minute, Revocations: list})
	_, err := a.Authorize(request("/events"), []string{"orders:1"})
	refused(t, err, 503)
	list.SetKnown()
	ask := func() Grant {
		t.Helper()
		g, err := a.Authorize(request("/events"), []string{"orders:1"})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	first := ask()
	if ask() != first || asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	revokeSubject(list, "v")
	if ask() != first || asked.Load() != 1 {
		t.Errorf("asked %d times after somebody else was revoked", asked.Load())
	}
	revokeSubject(list, "u")
	if !list.Revoked(first.Identity) {
		t.Error("the grant was not revoked")
	}
	if second := ask(); list.Revoked(second.Identity) || asked.Load() != 2 {
		t.Errorf("asked %d times after the revocation; the new grant is revoked: %v", asked.Load(), list.Revoked(second.Identity))
	}
}

// An answer that is older than the revocation is not used.
func TestAnswerDuringRevocationIsNotUsed(t *testing.T) {
	list := newRevocations()
	list.SetKnown()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		revokeSubject(list, "u") // between the question and the answer
		w.Header().Set("X-Sse-Subject", "u")
	}))
	defer app.Close()
	a := newAuthorizer(t, Config{AuthURL: app.URL, Revocations: list})
	_, err := a.Authorize(request("/events"), []string{"orders:1"})
	refused(t, err, 503)
}

func TestReservedChannels(t *testing.T) {
	a := newAuthorizer(t, Config{PublicChannels: []string{"**"}})
	for _, name := range []string{"gateway.revocations", "gateway.", "gateway.x:y"} {
		_, err := a.Authorize(request("/events"), []string{"a", name})
		refused(t, err, 400)
	}
	for _, name := range []string{"gateway", "gateway:x", "Gateway.x", "my.gateway.x"} {
		if _, err := a.Authorize(request("/events"), []string{name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
