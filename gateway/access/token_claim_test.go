package access

import (
	"crypto"
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func TestClaimForms(t *testing.T) {
	for name, tc := range map[string]struct {
		claim string
		set   []any
		open  string // channels that open; of a, b, c:d
	}{
		"array":                 {"channels", []any{"channels", []any{"a", "c:*"}}, "a c:d"},
		"string is one":         {"channels", []any{"channels", "a"}, "a"},
		"string is not a list":  {"channels", []any{"channels", "a b"}, ""},
		"nor with commas":       {"channels", []any{"channels", "a,b"}, ""},
		"all":                   {"channels", []any{"channels", []any{"**"}}, "a b c:d"},
		"missing":               {"channels", []any{"channels", nil}, ""},
		"number":                {"channels", []any{"channels", 5}, ""},
		"null":                  {"channels", []any{"channels", jwt.MapClaims(nil)}, ""},
		"object":                {"channels", []any{"channels", map[string]any{"a": "a"}}, ""},
		"mixed":                 {"channels", []any{"channels", []any{5, nil, "a***", "b\x00", "b", []any{"a"}}}, "b"},
		"empty pattern":         {"channels", []any{"channels", []any{""}}, ""},
		"no regular expression": {"channels", []any{"channels", []any{".", "[a-z]", "a|b", "?"}}, ""},
		"name is a URL":         {"https://example.com/channels", []any{"https://example.com/channels", "a"}, "a"},
		"nested":                {"app.sse.channels", []any{"app", map[string]any{"sse": map[string]any{"channels": []any{"a"}}}}, "a"},
		"literal comes first":   {"app.channels", []any{"app.channels", "a", "app", map[string]any{"channels": "b"}}, "a"},
		"nested through text":   {"app.channels", []any{"app", "x"}, ""},
		"nested missing":        {"app.channels", []any{"app", map[string]any{}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthorizer(t, Config{JWTSecret: Secret(testKeys.secret), JWTClaim: tc.claim})
			token := signHS(t, claims(append([]any{"channels", nil}, tc.set...)...))
			var open []string
			for _, ch := range []string{"a", "b", "c:d"} {
				if _, err := a.Authorize(bearer(token), []string{ch}); err == nil {
					open = append(open, ch)
				} else {
					refused(t, err, http.StatusForbidden)
				}
			}
			if got := strings.Join(open, " "); got != tc.open {
				t.Errorf("opens %q, want %q", got, tc.open)
			}
		})
	}
}

func TestPublicKeyKinds(t *testing.T) {
	type signer struct {
		method jwt.SigningMethod
		key    any
	}
	all := map[string]signer{
		"RS256": {jwt.SigningMethodRS256, testKeys.rsa}, "RS512": {jwt.SigningMethodRS512, testKeys.rsa},
		"PS256": {jwt.SigningMethodPS256, testKeys.rsa}, "PS384": {jwt.SigningMethodPS384, testKeys.rsa},
		"ES256": {jwt.SigningMethodES256, testKeys.p256}, "ES384": {jwt.SigningMethodES384, testKeys.p384},
		"ES512": {jwt.SigningMethodES512, testKeys.p521}, "EdDSA": {jwt.SigningMethodEdDSA, testKeys.ed},
		"HS256": {jwt.SigningMethodHS256, testKeys.secret},
		"none":  {jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType},
	}
	for name, tc := range map[string]struct {
		public crypto.PublicKey
		good   string
	}{
		"RSA": {testKeys.rsa.Public(), "RS256 RS512 PS256 PS384"}, "P-256": {testKeys.p256.Public(), "ES256"},
		"P-384": {testKeys.p384.Public(), "ES384"}, "P-521": {testKeys.p521.Public(), "ES512"}, "Ed25519": {testKeys.ed.Public(), "EdDSA"},
	} {
		t.Run(name, func(t *testing.T) {
			pem := publicPEM(t, tc.public)
			a := newAuthorizer(t, Config{JWTPublicKeyFile: file(t, pem)})
			for alg, s := range all {
				_, err := a.Authorize(bearer(sign(t, s.method, s.key, claims())), []string{"orders:1"})
				if strings.Contains(" "+tc.good+" ", " "+alg+" ") {
					if err != nil {
						t.Errorf("%s: %v", alg, err)
					}
				} else {
					refused(t, err, http.StatusUnauthorized)
				}
			}
			// The classic confusion: the public key, known to all, as secret.
			for _, secret := range []string{pem, strings.TrimSpace(pem)} {
				_, err := a.Authorize(bearer(sign(t, jwt.SigningMethodHS256, []byte(secret), claims())), []string{"orders:1"})
				refused(t, err, http.StatusUnauthorized)
			}
		})
	}
}
