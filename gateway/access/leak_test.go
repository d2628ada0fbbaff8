package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// outlet collects everything that leaves the package: the log at its most
// talkative, and each error in every form.
type outlet struct {
	bytes.Buffer
}

func (o *outlet) error(err error) {
	fmt.Fprintf(o, "%v %+v %q\n", err, err, err)
	var r *Refusal
	if errors.As(err, &r) {
		fmt.Fprintf(o, "%+v %#v\n", *r, *r)
	}
	for ; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(o, "%#v\n", err)
	}
}

// forms are the ways in which a credential could be recognised.
func forms(credential string) []string {
	var list []string
	for _, part := range append(strings.Split(credential, "."), credential) {
		if len(part) >= 8 {
			list = append(list, part)
		}
	}
	return list
}

// leakyTokens are refused tokens that carry words to look for.
func leakyTokens(t *testing.T, kid, claim string) []string {
	t.Helper()
	tokens := []string{
		sign(t, jwt.SigningMethodHS256, testKeys.secret, claims("x", claim), "kid", kid),
		sign(t, jwt.SigningMethodES256, testKeys.p256, claims("x", claim), "kid", kid),
		sign(t, jwt.SigningMethodES256, testKeys.p256, claims("x", claim, "iss", claim, "aud", claim), "alg", kid, "typ", kid),
		rawToken(t, `{"alg":"HS256","kid":"`+kid+`"}`, `{"`+claim+`":`), rawToken(t, kid, claim), b64(kid) + "." + b64(claim),
	}
	for _, tc := range badTokens(t) {
		tokens = append(tokens, tc[0])
	}
	return tokens
}

func TestNothingLeaks(t *testing.T) {
	const cookie, basic, ticket = "session-cookie-0123456789", "YmFzaWMtcGFzc3dvcmQ", "ticket-in-the-query-42"
	const kid, claim = "key-id-in-the-header", "private-claim-value"
	closed := must(net.Listen("tcp", "127.0.0.1:0"))
	away := "http://" + closed.Addr().String() + "/?key=url-key-0123456789"
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	echo, _ := application(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		_, _ = io.WriteString(w, r.Header.Get("Cookie")+r.Header.Get("Authorization"))
	})
	set, _ := application(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, jwksJSON(t, jwk(t, testKeys.p256.Public(), "kid", "e")))
	})
	secrets := []string{cookie, basic, ticket, kid, claim, "url-key-0123456789", string(testKeys.secret)}
	tokens := leakyTokens(t, kid, claim)
	for _, token := range tokens {
		secrets = append(secrets, forms(token)...)
	}

	var out outlet
	log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	with := func(c Config) Config {
		c.JWTCookie, c.JWTQueryParam, c.JWTIssuer, c.JWTAudience, c.AuthTimeout = "session", "token", "issuer", "gateway", time.Second
		return c
	}
	for _, cfg := range []Config{
		with(Config{JWTSecret: Secret(testKeys.secret), AuthURL: away}), with(Config{JWKSURL: set, AuthURL: echo}),
		with(Config{JWKSURL: away}), {AuthURL: echo}, {AuthURL: away}, {PublicChannels: []string{"public"}},
	} {
		a, err := New(cfg, log)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%v %+v %#v\n", a, a, a)
		for _, token := range tokens {
			for _, r := range []*http.Request{
				bearer(token), request("/?token="+url.QueryEscape(token), "Cookie", "session="+token), request("/?x="+ticket, "Cookie", cookie, "Authorization", "Basic "+basic),
			} {
				_, err := a.Authorize(r, []string{"private"})
				if err == nil {
					t.Fatalf("%s is allowed", cfg)
				}
				out.error(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := a.Authorize(bearer(token).WithContext(ctx), []string{"private"})
			out.error(err)
		}
	}
	if out.Len() < 10000 || !strings.Contains(out.String(), "connection refused") {
		t.Errorf("only %d bytes came out: the test proves nothing", out.Len())
	}
	for _, s := range secrets {
		if i := strings.Index(out.String(), s); i >= 0 {
			t.Errorf("%q came out: …%s", s, out.String()[max(0, i-200):min(out.Len(), i+200)])
		}
	}
}
