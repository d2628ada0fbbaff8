package access

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rs/cors"
)

// corsMaxAge is how long a browser may keep the answer to a preflight, in
// seconds. Chromium keeps none for longer.
const corsMaxAge = 7200

// originRule tells in errors what an origin may be.
const originRule = "* alone, or exact origins as browsers send them: scheme://host or scheme://host:port, without path and default port, punycode for other scripts"

// CORS lets pages of other origins subscribe. A nil *CORS adds nothing. It may
// be used concurrently.
type CORS struct {
	policy *cors.Cors
}

// NewCORS checks SSE_CORS_ORIGINS. Exact origins may send credentials, "*" may
// not. It returns nil if the list is empty: no other origin is let in. The error
// names the variable, the value and what is accepted.
func NewCORS(origins []string) (*CORS, error) {
	// rs/cors takes an empty list for "all origins".
	if len(origins) == 0 {
		return nil, nil
	}
	all := len(origins) == 1 && strings.TrimSpace(origins[0]) == "*"
	exact := make([]string, 0, len(origins))
	for _, o := range origins {
		o = strings.TrimSpace(o)
		if !all && !validOrigin(o) {
			return nil, invalid("SSE_CORS_ORIGINS", clip(o), originRule)
		}
		exact = append(exact, o)
	}
	return &CORS{policy: cors.New(cors.Options{
		AllowedOrigins:   exact,
		AllowedMethods:   []string{http.MethodGet},
		AllowedHeaders:   []string{"Last-Event-ID", "Cache-Control", "Authorization"},
		AllowCredentials: !all,
		MaxAge:           corsMaxAge,
	})}, nil
}

// Handler answers preflights itself and calls next for everything else, with
// the headers for the browser already in the ResponseWriter's Header, where a
// handler that takes the connection over finds them too.
func (c *CORS) Handler(next http.Handler) http.Handler {
	if c == nil {
		return next
	}
	return c.policy.Handler(next)
}

// validOrigin takes any scheme, because applications have their own
// (capacitor://localhost). rs/cors would read a star as a wildcard.
func validOrigin(o string) bool {
	u, err := url.Parse(o)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || u.String() != u.Scheme+"://"+u.Host {
		return false
	}
	if strings.HasSuffix(u.Host, ":") || slices.Contains([]string{"http:80", "https:443"}, u.Scheme+":"+u.Port()) {
		return false
	}
	for i := range len(o) {
		if o[i] <= ' ' || o[i] >= 0x7f || strings.IndexByte(`*%?#@"'\`, o[i]) >= 0 {
			return false
		}
	}
	return true
}
