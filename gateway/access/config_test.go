package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access/keys"
)

// checkConfigError checks that an error names the variable and what is accepted.
func checkConfigError(t *testing.T, err error, variable string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error for %s", variable)
		return
	}
	if s := err.Error(); !strings.Contains(s, variable) || !strings.Contains(s, "accepted is") {
		t.Errorf("the error does not say what to set: %v", err)
	}
}

// file writes a file for one test and returns its path.
func file(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestValidate(t *testing.T) {
	good := Secret(strings.Repeat("s", 32))
	for name, tc := range map[string]struct {
		cfg      Config
		variable string // of the error; empty: valid
	}{
		"public":               {Config{PublicChannels: []string{"**"}}, ""},
		"secret":               {Config{JWTSecret: good, JWTCookie: "__Host-t", JWTQueryParam: "token"}, ""},
		"secret file":          {Config{JWTSecretFile: file(t, string(good)+"\n")}, ""},
		"public key":           {Config{JWTPublicKeyFile: file(t, publicPEM(t, testKeys.p256.Public()))}, ""},
		"certificate":          {Config{JWTPublicKeyFile: file(t, certificatePEM(t))}, ""},
		"PKCS1":                {Config{JWTPublicKeyFile: file(t, pkcs1PEM())}, ""},
		"JWKS":                 {Config{JWKSURL: "https://id.example/keys?x=1"}, ""},
		"forward":              {Config{AuthURL: "http://app:8000/auth", AuthTimeout: time.Second, AuthConcurrency: 1, AuthCacheTTL: time.Second}, ""},
		"pattern":              {Config{PublicChannels: []string{"a b"}}, "SSE_PUBLIC_CHANNELS"},
		"short secret":         {Config{JWTSecret: "too-short-secret"}, "SSE_JWT_SECRET="},
		"short secret file":    {Config{JWTSecretFile: file(t, string(good[:31])+"\n\n")}, "SSE_JWT_SECRET_FILE"},
		"no secret file":       {Config{JWTSecretFile: "/nonexistent/secret"}, "SSE_JWT_SECRET_FILE"},
		"PEM as secret":        {Config{JWTSecret: Secret(publicPEM(t, testKeys.p256.Public()))}, "SSE_JWT_SECRET="},
		"PEM as secret file":   {Config{JWTSecretFile: file(t, publicPEM(t, testKeys.p256.Public()))}, "SSE_JWT_SECRET_FILE"},
		"huge key file":        {Config{JWTPublicKeyFile: file(t, strings.Repeat("x", keys.MaxFile+1))}, "SSE_JWT_PUBLIC_KEY_FILE"},
		"no PEM":               {Config{JWTPublicKeyFile: file(t, "hello")}, "SSE_JWT_PUBLIC_KEY_FILE"},
		"directory":            {Config{JWTPublicKeyFile: t.TempDir()}, "SSE_JWT_PUBLIC_KEY_FILE"},
		"two PEM blocks":       {Config{JWTPublicKeyFile: file(t, publicPEM(t, testKeys.p256.Public())+certificatePEM(t))}, ""},
		"second block cut off": {Config{JWTPublicKeyFile: file(t, publicPEM(t, testKeys.p256.Public())+certificatePEM(t)[:60])}, "SSE_JWT_PUBLIC_KEY_FILE"},
		"second block private": {Config{JWTPublicKeyFile: file(t, publicPEM(t, testKeys.p256.Public())+privatePEM(t))}, "SSE_JWT_PUBLIC_KEY_FILE"},
		"too many PEM blocks":  {Config{JWTPublicKeyFile: file(t, strings.Repeat(publicPEM(t, testKeys.p256.Public()), keys.MaxFileKeys+1))}, "SSE_JWT_PUBLIC_KEY_FILE"},
		"two secrets":          {Config{JWTSecretFile: file(t, string(good)+"\r\n\n"+string(good)+"x")}, ""},
		"short second secret":  {Config{JWTSecretFile: file(t, string(good)+"\ntoo-short-secret\n")}, "SSE_JWT_SECRET_FILE"},
		"too many secrets":     {Config{JWTSecretFile: file(t, strings.Repeat(string(good)+"\n", keys.MaxFileKeys+1))}, "SSE_JWT_SECRET_FILE"},
		"empty secret file":    {Config{JWTSecretFile: file(t, "\n")}, "SSE_JWT_SECRET_FILE"},
		"private key":          {Config{JWTPublicKeyFile: file(t, privatePEM(t))}, "SSE_JWT_PUBLIC_KEY_FILE"},
		"other PEM":            {Config{JWTPublicKeyFile: file(t, blockPEM("DH PARAMETERS", []byte("x")))}, "SSE_JWT_PUBLIC_KEY_FILE"},
		"broken PEM":           {Config{JWTPublicKeyFile: file(t, blockPEM("PUBLIC KEY", []byte("x")))}, "SSE_JWT_PUBLIC_KEY_FILE"},
		"RSA 1024":             {Config{JWTPublicKeyFile: file(t, publicPEM(t, testKeys.rsa1024.Public()))}, "SSE_JWT_PUBLIC_KEY_FILE"},
		"P-224":                {Config{JWTPublicKeyFile: file(t, publicPEM(t, testKeys.p224.Public()))}, "SSE_JWT_PUBLIC_KEY_FILE"},
		"JWKS scheme":          {Config{JWKSURL: "ftp://id.example/keys"}, "SSE_JWKS_URL"},
		"JWKS file":            {Config{JWKSURL: "/etc/keys"}, "SSE_JWKS_URL"},
		"JWKS no host":         {Config{JWKSURL: "https:///keys"}, "SSE_JWKS_URL"},
		"JWKS junk":            {Config{JWKSURL: "http://[::1"}, "SSE_JWKS_URL"},
		"JWKS with a password": {Config{JWKSURL: "https://u:hunter2hunter2@id.example/keys"}, "SSE_JWKS_URL"},
		"auth with a password": {Config{AuthURL: "https://u:hunter2hunter2@id.example/"}, "SSE_AUTH_URL"},
		"auth scheme":          {Config{AuthURL: "unix:/run/app"}, "SSE_AUTH_URL"},
		"two keys":             {Config{JWTSecret: good, JWKSURL: "https://id.example/"}, "SSE_JWT_SECRET and SSE_JWKS_URL"},
		"cookie name":          {Config{JWTSecret: good, JWTCookie: "a b"}, "SSE_JWT_COOKIE"},
		"query name":           {Config{JWTSecret: good, JWTQueryParam: "channel"}, "SSE_JWT_QUERY_PARAM"},
		"issuer without a key": {Config{PublicChannels: []string{"a"}, JWTIssuer: "i"}, "SSE_JWT_ISSUER"},
		"cookie without a key": {Config{AuthURL: "http://a/", JWTCookie: "i"}, "SSE_JWT_COOKIE"},
		"timeout":              {Config{AuthURL: "http://a/", AuthTimeout: time.Hour}, "SSE_AUTH_TIMEOUT"},
		"negative timeout":     {Config{AuthURL: "http://a/", AuthTimeout: -1}, "SSE_AUTH_TIMEOUT"},
		"concurrency":          {Config{AuthURL: "http://a/", AuthConcurrency: -1}, "SSE_AUTH_CONCURRENCY"},
		"cache":                {Config{AuthURL: "http://a/", AuthCacheTTL: time.Hour}, "SSE_AUTH_CACHE_TTL"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.cfg.Validate()
			if tc.variable == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			checkConfigError(t, err, tc.variable)
			for _, secret := range []string{"too-short-secret", "hunter2", string(good), "BEGIN"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows a secret: %v", err)
				}
			}
			if _, err := New(tc.cfg, slog.New(slog.DiscardHandler)); err == nil {
				t.Error("New takes it")
			}
		})
	}
}

func TestValidateNobody(t *testing.T) {
	if err := (Config{}).Validate(); !errors.Is(err, ErrNoAccess) {
		t.Errorf("got %v", err)
	}
}

func TestConfigNeverShowsSecrets(t *testing.T) {
	const secret = "correct-horse-battery-staple-0123456789"
	cfg := Config{
		JWTSecret: secret, JWTIssuer: "me",
		JWKSURL: "https://u:" + secret + "@id.example/keys?key=" + secret + "#" + secret,
		AuthURL: "https://id.example/keys?key=" + secret,
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", cfg, &cfg, struct{ Inner Config }{cfg})
		fmt.Fprintf(&out, verb+verb+"\n", cfg.JWTSecret, []Secret{cfg.JWTSecret})
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "cfg", cfg, "secret", cfg.JWTSecret)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "cfg", cfg, "ptr", &cfg, "in", map[string]any{"a": cfg.JWTSecret})
	if err := json.NewEncoder(&out).Encode([]any{cfg, &cfg, cfg.JWTSecret}); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), "Y29ycmVjdC1ob3JzZS"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("%q is shown in:\n%s", form, out.String())
		}
	}
	if !strings.Contains(out.String(), "SSE_JWT_SECRET=*** ") || !strings.Contains(out.String(), "SSE_JWT_ISSUER=me") {
		t.Errorf("the rest is not shown:\n%s", out.String())
	}
	if Secret("").String() != "" {
		t.Error("an empty secret looks set")
	}
}
