package access

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sse-gateway/sse-gateway/gateway/access/keys"
	"github.com/sse-gateway/sse-gateway/gateway/access/pattern"
	"github.com/sse-gateway/sse-gateway/gateway/revocation"
)

const (
	// maxToken bounds the work on a token whose signature is not yet known to
	// be good.
	maxToken = 8 << 10 // bytes
	// leeway is how far the issuer's clock may be ahead, for nbf and iat.
	leeway = 10 * time.Second
	// maxDate is the last second of the year 9999. A date beyond it would
	// overflow in the arithmetic of times.
	maxDate = 253402300799
)

// Faults of a token, each with the text that the client is told.
var (
	errExpired = errors.New("the token has expired")
	errDates   = errors.New("the dates of the token are out of range")
	errRevoked = errors.New("the token was revoked")
	errCrit    = errors.New("the token has a critical header that is not understood")
)

// tokens finds and checks the tokens of requests. It may be used concurrently.
type tokens struct {
	parser        *jwt.Parser
	keys          keys.Source
	claim         string
	cookie, param string // empty: not read
}

func newTokens(c Config, source keys.Source, algs []string) *tokens {
	opts := []jwt.ParserOption{
		jwt.WithValidMethods(algs), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway), jwt.WithStrictDecoding(),
	}
	if c.JWTIssuer != "" {
		opts = append(opts, jwt.WithIssuer(c.JWTIssuer))
	}
	if c.JWTAudience != "" {
		opts = append(opts, jwt.WithAudience(c.JWTAudience))
	}
	return &tokens{parser: jwt.NewParser(opts...), keys: source, claim: c.JWTClaim, cookie: c.JWTCookie, param: c.JWTQueryParam}
}

// found collects the tokens of one request.
type found struct {
	token string
	any   bool // also for an empty token
	two   bool // there are two different ones
}

func (f *found) add(token string) {
	f.two = f.two || f.any && f.token != token
	f.token, f.any = token, true
}

// presented returns the token of a request; false if there is none.
func (t *tokens) presented(r *http.Request) (string, bool, *Refusal) {
	var f found
	for _, v := range r.Header["Authorization"] {
		v = strings.TrimSpace(v)
		scheme := v
		if i := strings.IndexAny(v, " \t"); i >= 0 {
			scheme = v[:i]
		}
		if strings.EqualFold(scheme, "Bearer") {
			f.add(strings.TrimSpace(v[len(scheme):]))
		}
	}
	if t.cookie != "" {
		addCookies(&f, r.Header["Cookie"], t.cookie)
	}
	if t.param != "" && r.URL.RawQuery != "" {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			// The parameter that is lost might have been the token.
			return "", false, badRequest("the query cannot be parsed")
		}
		for _, v := range query[t.param] {
			f.add(v)
		}
	}
	switch {
	case f.two:
		return "", true, badToken("the request has two different tokens", nil)
	case len(f.token) > maxToken:
		return "", true, badToken("the token is too long", nil)
	}
	return f.token, f.any, nil
}

// addCookies adds the cookies of one name. net/http would pass over a cookie
// with a bad value, and so turn a bad token into none.
func addCookies(f *found, lines []string, name string) {
	for _, line := range lines {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			n, value, _ := strings.Cut(pair, "=")
			value = strings.Trim(strings.TrimSpace(value), `"`)
			if strings.TrimSpace(n) == name && value != "" {
				f.add(value)
			}
		}
	}
}

// verified is what a good token says.
type verified struct {
	allowed  pattern.Set // the channels that it opens
	expires  time.Time   // exp
	identity revocation.Identity
}

// verify checks a token.
func (t *tokens) verify(ctx context.Context, raw string) (verified, *Refusal) {
	claims := jwt.MapClaims{}
	_, err := t.parser.ParseWithClaims(raw, claims, func(token *jwt.Token) (any, error) {
		if _, ok := token.Header["crit"]; ok {
			return nil, errCrit
		}
		return t.keys.Find(ctx, token)
	})
	if err == nil {
		err = checkDates(claims)
	}
	if err != nil {
		return verified{}, tokenRefusal(err)
	}
	exp, err := claims.GetExpirationTime()
	if err != nil {
		return verified{}, tokenRefusal(err)
	}
	// The parser gave exp the leeway too, but the stream ends at exp.
	if !time.Now().Before(exp.Time) {
		return verified{}, tokenRefusal(errExpired)
	}
	return verified{pattern.ParseValid(claimStrings(findClaim(claims, t.claim))), exp.Time, identityOf(claims)}, nil
}

// identityOf returns what a token can be revoked by. The library has checked the
// types of the claims; its dates have no fractions of a second.
func identityOf(claims jwt.MapClaims) revocation.Identity {
	sub, _ := claims["sub"].(string)
	jti, _ := claims["jti"].(string)
	iat, ok := claims["iat"].(float64)
	return revocation.OfToken(sub, jti, iat, ok)
}

func checkDates(claims jwt.MapClaims) error {
	for _, name := range []string{"exp", "nbf", "iat"} {
		if v, ok := claims[name].(float64); ok && (v < 0 || v > maxDate) {
			return errDates
		}
	}
	return nil
}

// findClaim returns the value of the claim: the key as it stands, else, if its
// name has dots, the way that they lead.
func findClaim(claims jwt.MapClaims, name string) any {
	if v, ok := claims[name]; ok {
		return v
	}
	var at any = map[string]any(claims)
	for part := range strings.SplitSeq(name, ".") {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[part]
	}
	return at
}

// claimStrings returns the strings of an array, or the one string.
func claimStrings(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		list := make([]string, 0, len(v))
		for _, e := range v {
			if s, ok := e.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}

// tokenFaults are what can be wrong with a token. Only these errors leave this
// package: those of the parsers may quote the token.
var tokenFaults = []struct {
	is      error
	message string
}{
	{errExpired, errExpired.Error()},
	{errDates, errDates.Error()},
	{errCrit, errCrit.Error()},
	{keys.ErrNone, keys.ErrNone.Error()},
	{jwt.ErrTokenMalformed, "the token is malformed"},
	{jwt.ErrTokenSignatureInvalid, "the token has a bad signature or algorithm"},
	{jwt.ErrTokenExpired, "the token has expired"},
	{jwt.ErrTokenNotValidYet, "the token is not valid yet"},
	{jwt.ErrTokenUsedBeforeIssued, "the token was issued in the future"},
	{jwt.ErrTokenInvalidIssuer, "the token is of another issuer"},
	{jwt.ErrTokenInvalidAudience, "the token is for another audience"},
	{jwt.ErrTokenRequiredClaimMissing, "the token lacks exp, or a configured iss or aud"},
}

// tokenRefusal turns an error of the parser or of the keys into a refusal.
func tokenRefusal(err error) *Refusal {
	switch {
	case errors.Is(err, keys.ErrUnavailable):
		return unavailable("tokens cannot be checked now", keys.ErrUnavailable)
	case errors.Is(err, context.Canceled):
		return unavailable("the request was cancelled", context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		return unavailable("tokens cannot be checked now", context.DeadlineExceeded)
	}
	for _, f := range tokenFaults {
		if errors.Is(err, f.is) {
			return badToken(f.message, f.is)
		}
	}
	return badToken("the token cannot be verified", jwt.ErrTokenUnverifiable)
}
