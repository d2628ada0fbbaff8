package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// SIGHUP reads keys and certificates again, keeps what it cannot replace, and
// ends neither the process nor a stream.
func TestHangupReloads(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	dir := t.TempDir()
	first, second := redistest.NewTLSFiles(t), redistest.NewTLSFiles(t)
	cert, key, secrets := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "secrets")
	old, new := strings.Repeat("o", 32), strings.Repeat("n", 32)
	write := func(path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	copyFile(t, first.ServerCertFile, cert)
	copyFile(t, first.ServerKeyFile, key)
	write(secrets, old+"\n")
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_PUBLIC_CHANNELS=", "SSE_JWT_SECRET_FILE="+secrets, "SSE_TLS_CERT_FILE="+cert, "SSE_TLS_KEY_FILE="+key)...)
	token := func(secret string) string {
		s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix(), "channels": "**"}).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + s
	}
	url := "https://" + p.public + "/events?channel=a"
	tr := transport(t, 2, first.ClientConfig())
	open := subscribe(t, tr, url, "Authorization", token(old)).ready(t)
	if c := subscribe(t, tr, url, "Authorization", token(new)); c.status != 401 {
		t.Fatalf("the new secret before it is there: %d", c.status)
	}
	hangups := 0
	hangup := func() {
		t.Helper()
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		hangups++
		redistest.Eventually(t, patience, "the log tells of the signal", func() bool {
			return strings.Count(p.err.String(), "SIGHUP") == hangups
		})
	}

	// Broken: the old state stays.
	write(secrets, old+"\nshort\n")
	copyFile(t, second.ServerCertFile, cert) // does not fit the key
	hangup()
	redistest.Eventually(t, patience, "the log tells of both", func() bool {
		s := p.err.String()
		return strings.Contains(s, "line 2 has 5") && strings.Contains(s, "the new certificate cannot be used")
	})
	subscribe(t, transport(t, 2, first.ClientConfig()), url, "Authorization", token(old)).ready(t).close()

	// Good: both secrets, and the new certificate.
	write(secrets, old+"\n"+new+"\n")
	copyFile(t, second.ServerKeyFile, key)
	hangup()
	redistest.Eventually(t, patience, "the log tells of both", func() bool {
		s := p.err.String()
		return strings.Contains(s, "the keys for tokens were read again") && strings.Contains(s, "the certificate was replaced")
	})
	tr2 := transport(t, 2, second.ClientConfig())
	for _, secret := range []string{old, new} {
		subscribe(t, tr2, url, "Authorization", token(secret)).ready(t).close()
	}
	r.XAdd("sse:a", "data", "still open")
	open.requireData(t, "still open")
	open.close()
	p.terminate()
	p.requireExit(patience)
}

// A SIGHUP before there is anything to reload, or while it stops, ends nothing
// either.
func TestHangupEndsNothing(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_DRAIN_WINDOW=2s")...)
	c := subscribe(t, transport(t, 1, nil), "http://"+p.public+"/events?channel=a").ready(t)
	for range 3 {
		_ = p.cmd.Process.Signal(syscall.SIGHUP)
	}
	r.XAdd("sse:a", "data", "x")
	c.requireData(t, "x")
	p.terminate()
	redistest.Eventually(t, patience, "it drains", func() bool { return strings.Contains(p.err.String(), "draining") })
	_ = p.cmd.Process.Signal(syscall.SIGHUP)
	p.requireExit(patience)
	c.close()
}
