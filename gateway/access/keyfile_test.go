package access

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sse-gateway/sse-gateway/gateway/access/keys"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// rotation is an authorizer with a key file that a test writes.
type rotation struct {
	*Authorizer
	t    *testing.T
	path string
	log  bytes.Buffer
}

func newRotation(t *testing.T, content string, cfg func(path string) Config) *rotation {
	r := &rotation{t: t, path: filepath.Join(t.TempDir(), "keys")}
	r.write(content)
	a, err := New(cfg(r.path), slog.New(slog.NewTextHandler(&r.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	r.Authorizer = a
	return r
}

func (r *rotation) write(content string) {
	r.t.Helper()
	if err := os.WriteFile(r.path, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// require checks which tokens are good.
func (r *rotation) require(when string, good map[string]bool) {
	r.t.Helper()
	for token, want := range good {
		_, err := r.Authorize(bearer(token), []string{"orders:1"})
		var refusal *Refusal
		if (err == nil) != want || !want && (!errors.As(err, &refusal) || refusal.Status != 401) {
			r.t.Errorf("%s: a token is answered %v, want good: %v", when, err, want)
		}
	}
}

func secretFile(path string) Config { return Config{JWTSecretFile: path} }

// Old and new tokens are good during the overlap, and only then.
func TestSecretRotation(t *testing.T) {
	first, second := strings.Repeat("1", 40), strings.Repeat("2", 40)
	r := newRotation(t, first+"\n", secretFile)
	before := sign(t, jwt.SigningMethodHS256, []byte(first), claims())
	after := sign(t, jwt.SigningMethodHS512, []byte(second), claims())
	r.require("before", map[string]bool{before: true, after: false})
	r.write(first + "\r\n" + second) // as editors leave it
	r.Reload()
	r.require("during the overlap", map[string]bool{before: true, after: true})
	r.write(second + "\n")
	r.Reload()
	r.require("after", map[string]bool{before: false, after: true})
	r.requireNoSecret(first, second)
}

func (r *rotation) requireNoSecret(secrets ...string) {
	r.t.Helper()
	for _, s := range secrets {
		if strings.Contains(r.log.String(), s[:8]) {
			r.t.Errorf("the log has a secret: %s", &r.log)
		}
	}
}

func TestPublicKeyRotation(t *testing.T) {
	r := newRotation(t, publicPEM(t, testKeys.rsa.Public()), func(path string) Config { return Config{JWTPublicKeyFile: path} })
	before := sign(t, jwt.SigningMethodRS256, testKeys.rsa, claims())
	same := sign(t, jwt.SigningMethodRS256, testKeys.rsa2, claims())
	other := sign(t, jwt.SigningMethodEdDSA, testKeys.ed, claims())
	// The public key's own text as a secret is refused before and after.
	forged := sign(t, jwt.SigningMethodHS256, []byte(publicPEM(t, testKeys.rsa.Public())), claims())
	r.require("before", map[string]bool{before: true, same: false, other: false, forged: false})
	r.write("a comment\n" + publicPEM(t, testKeys.rsa.Public()) + publicPEM(t, testKeys.rsa2.Public()) + certificatePEM(t))
	r.Reload()
	r.require("during the overlap", map[string]bool{before: true, same: true, other: true, forged: false})
	r.write(certificatePEM(t))
	r.Reload()
	r.require("after", map[string]bool{before: false, same: false, other: true, forged: false})
}

// What cannot be used leaves the keys as they were, is logged once, and a file
// that is good again counts.
func TestBrokenKeyFileKeepsTheKeys(t *testing.T) {
	first, second := strings.Repeat("1", 40), strings.Repeat("2", 40)
	r := newRotation(t, first, secretFile)
	before, after := sign(t, jwt.SigningMethodHS256, []byte(first), claims()), sign(t, jwt.SigningMethodHS256, []byte(second), claims())
	warnings := 0
	for _, broken := range []string{"", "\n", second + "\nhunter2\n", publicPEM(t, testKeys.ed.Public()), strings.Repeat("x", keys.MaxFile+1)} {
		r.write(broken)
		for range 3 {
			r.Reload()
		}
		warnings++
		r.require("broken", map[string]bool{before: true, after: false})
		if n := strings.Count(r.log.String(), "level=WARN"); n != warnings && broken != "\n" {
			t.Errorf("%.20q: %d warnings, want %d:\n%s", broken, n, warnings, &r.log)
		} else {
			warnings = n
		}
	}
	if !strings.Contains(r.log.String(), "line 2 has 7") || strings.Contains(r.log.String(), "hunter2") {
		t.Errorf("the log does not name the short line, or shows it:\n%s", &r.log)
	}
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	r.Reload()
	r.require("missing", map[string]bool{before: true, after: false})
	r.write(first)
	r.Reload()
	r.require("back", map[string]bool{before: true, after: false})
	r.write(first + "\n" + second)
	r.Reload()
	r.require("new", map[string]bool{before: true, after: true})
	r.requireNoSecret(first, second)
}

// Without a signal a change counts soon, but not before the file has been the
// same twice: what is being written may look complete.
func TestKeyFileIsReadAgainWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := strings.Repeat("1", 64), strings.Repeat("2", 64)
		r := newRotation(t, first, secretFile)
		before, after := sign(t, jwt.SigningMethodHS256, []byte(first), claims()), sign(t, jwt.SigningMethodHS256, []byte(second), claims())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.Run(ctx); close(done) }()
		redistest.Pass(keys.FileInterval / 2)
		for n := keys.MinSecret; n <= len(second); n++ { // every reading finds another beginning
			r.write(second[:n])
			redistest.Pass(keys.FileInterval)
			r.require("while it is written", map[string]bool{before: true, after: false})
		}
		redistest.Pass(keys.FileInterval)
		r.require("once it is written", map[string]bool{before: false, after: true})
		if n := strings.Count(r.log.String(), "read again"); n != 1 {
			t.Errorf("read again %d times:\n%s", n, &r.log)
		}
		cancel()
		<-done
	})
}
