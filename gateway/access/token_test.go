package access

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func newAuthorizer(t testing.TB, cfg Config) *Authorizer {
	t.Helper()
	a, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// secretConfig reads tokens from all three places.
func secretConfig() Config {
	return Config{
		PublicChannels: []string{"public:*"}, JWTSecret: Secret(testKeys.secret),
		JWTIssuer: "issuer", JWTAudience: "gateway", JWTCookie: "session", JWTQueryParam: "token",
	}
}

// goodClaims fit secretConfig.
func goodClaims(changes ...any) jwt.MapClaims {
	return claims(append([]any{"iss", "issuer", "aud", "gateway"}, changes...)...)
}

func request(target string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func bearer(token string) *http.Request { return request("/events", "Authorization", "Bearer "+token) }

// refused checks that an error is a refusal of a status, and returns it.
func refused(t testing.TB, err error, status int) *Refusal {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a refusal %d", err, status)
	}
	if r.Status != status || r.Temporary != (status == 503) || r.Message == "" || (r.Challenge != "" && status != 401) {
		t.Fatalf("got %+v, want a refusal %d", r, status)
	}
	return r
}

// badTokens are all the ways in which a token can be bad, by the words that the
// client is told.
func badTokens(t testing.TB) map[string][2]string {
	t.Helper()
	now := time.Now()
	good := signHS(t, goodClaims())
	parts := strings.Split(good, ".")
	hs := func(changes ...any) string { return signHS(t, goodClaims(changes...)) }
	none := sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, goodClaims())
	return map[string][2]string{
		"forged":                  {sign(t, jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), goodClaims()), "signature"},
		"one bit of signature":    {flip(good), "signature"},
		"claims of another":       {parts[0] + "." + b64(`{"exp":9999999999,"channels":["**"]}`) + "." + parts[2], "signature"},
		"no signature":            {parts[0] + "." + parts[1] + ".", "signature"},
		"expired":                 {hs("exp", now.Add(-time.Hour).Unix()), "expired"},
		"expired within leeway":   {hs("exp", now.Add(-time.Second).Unix()), "expired"},
		"no exp":                  {hs("exp", nil), "lacks exp"},
		"exp zero":                {hs("exp", 0), "lacks exp"},
		"exp text":                {hs("exp", "tomorrow"), "cannot be verified"},
		"exp null":                {rawToken(t, `{"alg":"HS256"}`, `{"exp":null,"iss":"issuer","aud":"gateway"}`), "cannot be verified"},
		"exp huge":                {hs("exp", 1e300), "expired"},
		"exp beyond years":        {hs("exp", 1e13), "dates"},
		"exp negative":            {hs("exp", -1), "expired"},
		"not yet valid":           {hs("nbf", now.Add(time.Minute).Unix()), "not valid yet"},
		"nbf huge":                {hs("nbf", 1e300), "dates"},
		"nbf text":                {hs("nbf", "x"), "cannot be verified"},
		"issued in the future":    {hs("iat", now.Add(time.Minute).Unix()), "future"},
		"wrong issuer":            {hs("iss", "other"), "issuer"},
		"no issuer":               {hs("iss", nil), "lacks"},
		"issuer of another type":  {hs("iss", 1), "cannot be verified"},
		"wrong audience":          {hs("aud", []string{"a", "b"}), "audience"},
		"no audience":             {hs("aud", nil), "lacks"},
		"alg none":                {none, "signature"},
		"alg None":                {strings.Replace(none, b64(`{"alg":"none","typ":"JWT"}`), b64(`{"alg":"None","typ":"JWT"}`), 1), "cannot be verified"},
		"alg none with signature": {rawToken(t, `{"alg":"none"}`, `{"exp":9999999999}`), "signature"},
		"alg missing":             {rawToken(t, `{}`, `{"exp":9999999999}`), "cannot be verified"},
		"alg of another type":     {rawToken(t, `{"alg":5}`, `{"exp":9999999999}`), "cannot be verified"},
		"alg unknown":             {rawToken(t, `{"alg":"HS257"}`, `{"exp":9999999999}`), "cannot be verified"},
		"alg RS256":               {sign(t, jwt.SigningMethodRS256, testKeys.rsa, goodClaims()), "signature"},
		"alg ES256":               {sign(t, jwt.SigningMethodES256, testKeys.p256, goodClaims()), "signature"},
		"critical header":         {signHS(t, goodClaims(), "crit", []string{"exp"}), "critical"},
		"too long":                {hs("x", strings.Repeat("x", maxToken)), "too long"},
		"empty":                   {"", "malformed"},
		"word":                    {"hello", "malformed"},
		"two parts":               {parts[0] + "." + parts[1], "malformed"},
		"four parts":              {good + ".x", "malformed"},
		"dots":                    {"..", "malformed"},
		"padding":                 {good + "==", "malformed"},
		"loose base64":            {loose(good), "malformed"},
		"standard base64":         {parts[0] + "." + parts[1] + ".a+/b", "malformed"},
		"not base64":              {parts[0] + ".ä." + parts[2], "malformed"},
		"two tokens in one":       {good + ", Bearer " + good, "malformed"},
		"header no JSON":          {b64("{") + "." + parts[1] + "." + parts[2], "malformed"},
		"header an array":         {b64("[]") + "." + parts[1] + "." + parts[2], "malformed"},
		"header null":             {rawToken(t, `null`, `{"exp":9999999999}`), "cannot be verified"},
		"claims no JSON":          {rawToken(t, `{"alg":"HS256"}`, `{"exp":`), "malformed"},
		"claims an array":         {rawToken(t, `{"alg":"HS256"}`, `[]`), "malformed"},
		"claims null":             {rawToken(t, `{"alg":"HS256"}`, `null`), "lacks"},
		"claims deep":             {rawToken(t, `{"alg":"HS256"}`, strings.Repeat("[", 5000)), "malformed"},
		"NUL":                     {"\x00", "malformed"},
		"exp in other case":       {rawToken(t, `{"alg":"HS256"}`, `{"EXP":9999999999,"iss":"issuer","aud":"gateway"}`), "lacks exp"},
	}
}

func TestBadTokens(t *testing.T) {
	a := newAuthorizer(t, secretConfig())
	for name, tc := range badTokens(t) {
		t.Run(name, func(t *testing.T) {
			for _, channels := range [][]string{{"orders:1"}, {"public:1"}, {"public:1", "orders:1"}} {
				g, err := a.Authorize(bearer(tc[0]), channels)
				r := refused(t, err, http.StatusUnauthorized)
				if !strings.Contains(r.Message, tc[1]) || !strings.Contains(r.Challenge, "invalid_token") || g != (Grant{}) {
					t.Errorf("%v: %+v, want a message with %q", channels, r, tc[1])
				}
			}
		})
	}
}

func TestGoodToken(t *testing.T) {
	a := newAuthorizer(t, secretConfig())
	exp := time.Now().Add(time.Hour).Truncate(time.Second)
	for name, token := range map[string]string{
		"HS256":                   signHS(t, goodClaims()),
		"HS384":                   sign(t, jwt.SigningMethodHS384, testKeys.secret, goodClaims()),
		"HS512":                   sign(t, jwt.SigningMethodHS512, testKeys.secret, goodClaims()),
		"one of several audience": signHS(t, goodClaims("aud", []string{"other", "gateway"})),
		"nbf within leeway":       signHS(t, goodClaims("nbf", time.Now().Add(leeway/2).Unix())),
		"iat within leeway":       signHS(t, goodClaims("iat", time.Now().Add(leeway/2).Unix())),
		"exp with a fraction":     signHS(t, goodClaims("exp", float64(exp.Unix())+.9)),
		"unknown kid and typ":     signHS(t, goodClaims(), "kid", 5, "typ", "at+jwt"),
	} {
		t.Run(name, func(t *testing.T) {
			g, err := a.Authorize(bearer(token), []string{"orders:1", "public:1"})
			if err != nil {
				t.Fatal(err)
			}
			if d := g.Expires.Sub(exp); d < -2*time.Second || d > time.Minute {
				t.Errorf("expires %v, want %v", g.Expires, exp)
			}
			if _, err := a.Authorize(bearer(token), []string{"orders:1", "other"}); err != nil {
				refused(t, err, http.StatusForbidden)
			} else {
				t.Error("a channel that the token does not name was allowed")
			}
		})
	}
}

func TestSecretFileIsReadWithoutItsLineEnd(t *testing.T) {
	a := newAuthorizer(t, Config{JWTSecretFile: file(t, string(testKeys.secret)+"\r\n")})
	if _, err := a.Authorize(bearer(signHS(t, claims())), []string{"orders:1"}); err != nil {
		t.Error(err)
	}
}

func FuzzAuthorize(f *testing.F) {
	a := newAuthorizer(f, secretConfig())
	for _, tc := range badTokens(f) {
		f.Add("Bearer "+tc[0], "session="+tc[0], "token="+tc[0])
	}
	f.Fuzz(func(t *testing.T, authorization, cookie, query string) {
		r := request("/events", "Authorization", authorization, "Cookie", cookie)
		r.URL.RawQuery = query
		if _, err := a.Authorize(r, []string{"orders:1"}); err == nil {
			t.Error("allowed")
		} else if r := new(Refusal); !errors.As(err, &r) || (r.Status != 401 && r.Status != 400) {
			t.Errorf("got %v", err)
		}
	})
}
