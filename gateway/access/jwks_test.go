package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sse-gateway/sse-gateway/gateway/access/keys"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// keyServer is a key server without a network, for tests in virtual time.
type keyServer struct {
	fetches atomic.Int64

	mu    sync.Mutex
	body  string
	down  bool
	delay time.Duration
}

func (s *keyServer) set(body string, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body, s.down = body, down
}

func (s *keyServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.fetches.Add(1)
	s.mu.Lock()
	body, down, delay := s.body, s.down, s.delay
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if down {
		return nil, errors.New("no route")
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// withKeyServer returns an Authorizer that fetches from s; start runs it until
// the test ends.
func withKeyServer(t *testing.T, s *keyServer) (a *Authorizer, start func(), log *bytes.Buffer) {
	t.Helper()
	log = new(bytes.Buffer)
	a, err := New(Config{JWKSURL: "https://id.example/keys?key=hidden-key", keysTransport: s}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return a, func() {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { a.Run(ctx); close(done) }()
		t.Cleanup(func() { cancel(); <-done })
		synctest.Wait()
	}, log
}

func es(t testing.TB, kid string) string {
	t.Helper()
	return sign(t, jwt.SigningMethodES256, testKeys.p256, claims(), "kid", kid)
}

func rs(t testing.TB, kid string) string {
	t.Helper()
	return sign(t, jwt.SigningMethodRS256, testKeys.rsa, claims(), "kid", kid)
}

func try(a *Authorizer, token string) error {
	_, err := a.Authorize(bearer(token), []string{"orders:1"})
	return err
}

func TestJWKSOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{body: jwksJSON(t, jwk(t, testKeys.p256.Public(), "kid", "e")), down: true}
		a, start, log := withKeyServer(t, s)
		start()
		refused(t, try(a, es(t, "e")), 503)
		redistest.Pass(5 * time.Second)
		refused(t, try(a, es(t, "e")), 503)

		s.set(s.body, false) // the start's retries find it
		redistest.Pass(2 * keys.RetryMax)
		if err := try(a, es(t, "e")); err != nil {
			t.Fatal(err)
		}

		s.set("", true)
		redistest.Pass(24 * time.Hour)
		if err := try(a, es(t, "e")); err != nil {
			t.Errorf("the keys did not survive the outage: %v", err)
		}
		// An unknown key may be a new one: the client is to come again.
		refused(t, try(a, es(t, "new")), 503)

		for _, broken := range []string{"", "{}", `{"keys":[]}`, "<html>", `{"keys":[{"kty":"oct","k":"` + strings.Repeat("A", 64) + `"}]}`, `{"keys":[{"kty":"RSA"}]}`} {
			s.set(broken, false)
			redistest.Pass(2 * keys.Interval)
			if err := try(a, es(t, "e")); err != nil {
				t.Errorf("the answer %q took the keys away: %v", broken, err)
			}
		}
		if n := strings.Count(log.String(), "\n"); n != 3 || strings.Contains(log.String(), "hidden-key") {
			t.Errorf("want a line for down, up, down:\n%s", log.String())
		}
	})
}

func TestJWKSRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{body: jwksJSON(t, jwk(t, testKeys.p256.Public(), "kid", "e"))}
		a, start, _ := withKeyServer(t, s)
		start()
		refused(t, try(a, rs(t, "r")), 401)
		redistest.Pass(keys.MinAge)
		s.set(jwksJSON(t, jwk(t, testKeys.rsa.Public(), "kid", "r", "alg", "RS256", "use", "sig")), false)
		before := s.fetches.Load()
		if err := try(a, rs(t, "r")); err != nil {
			t.Errorf("an unknown key id did not bring the new key: %v", err)
		}
		refused(t, try(a, es(t, "e")), 401) // withdrawn
		if n := s.fetches.Load() - before; n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
		s.set(jwksJSON(t, jwk(t, testKeys.p256.Public(), "kid", "e")), false)
		redistest.Pass(2 * keys.Interval)
		refused(t, try(a, rs(t, "r")), 401) // withdrawn by the schedule
	})
}

func TestJWKSUnknownKidIsRateLimitedAndShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{body: jwksJSON(t, jwk(t, testKeys.p256.Public(), "kid", "e")), delay: time.Second}
		a, start, _ := withKeyServer(t, s)
		start()
		// While the first fetch is under way, requests wait for it.
		if err := try(a, es(t, "e")); err != nil {
			t.Error(err)
		}
		if n := s.fetches.Load(); n != 1 {
			t.Fatalf("%d fetches at the start", n)
		}
		begin := time.Now()
		for range 30 { // a minute of forged key ids
			var wg sync.WaitGroup
			for i := range 10 {
				wg.Go(func() { refused(t, try(a, es(t, fmt.Sprint("forged", i))), 401) })
			}
			wg.Wait()
			redistest.Pass(2 * time.Second)
		}
		most := int64(time.Since(begin)/keys.MinAge) + 1
		if n := s.fetches.Load() - 1; n < 2 || n > most {
			t.Errorf("%d fetches, want at most %d", n, most)
		}
	})
}

func TestJWKSFetchOutlivesTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{body: jwksJSON(t, jwk(t, testKeys.p256.Public(), "kid", "e")), delay: 2 * time.Second}
		a, _, _ := withKeyServer(t, s) // not running: the request fetches
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.Authorize(bearer(es(t, "e")).WithContext(ctx), []string{"orders:1"})
		if refused(t, err, 503); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		redistest.Pass(2 * time.Second)
		if err := try(a, es(t, "e")); err != nil || s.fetches.Load() != 1 {
			t.Errorf("%v after %d fetches", err, s.fetches.Load())
		}
	})
}

func TestJWKSSlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{delay: time.Hour}
		a, start, _ := withKeyServer(t, s)
		start()
		begin := time.Now()
		refused(t, try(a, es(t, "e")), 503)
		if d := time.Since(begin); d > keys.Timeout {
			t.Errorf("waited %v", d)
		}
	})
}

func TestJWKSAnswerIsBounded(t *testing.T) {
	many := make([]map[string]any, keys.MaxKeys+1)
	for i := range many {
		many[i] = jwk(t, testKeys.p256.Public(), "kid", "e")
	}
	one := jwksJSON(t, jwk(t, testKeys.p256.Public(), "kid", "e"))
	for name, h := range map[string]http.HandlerFunc{
		"too many keys": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, jwksJSON(t, many...)) },
		"too long": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"x":"`+strings.Repeat("x", keys.MaxBody)+`",`+one[1:])
		},
		"status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); _, _ = io.WriteString(w, one) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/keys" {
				_, _ = io.WriteString(w, one)
				return
			}
			http.Redirect(w, r, "/keys", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := application(t, h)
			a := newAuthorizer(t, Config{JWKSURL: url})
			refused(t, try(a, es(t, "e")), 503)
		})
	}
	url, _ := application(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, one) })
	if err := try(newAuthorizer(t, Config{JWKSURL: url}), es(t, "e")); err != nil {
		t.Errorf("a good answer over the network: %v", err)
	}
}
