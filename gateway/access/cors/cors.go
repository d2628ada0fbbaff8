// Package cors lets pages of other origins subscribe.
package cors

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	rscors "github.com/rs/cors"

	"github.com/sse-gateway/sse-gateway/gateway/access/fault"
)

// maxAge is how long a browser may keep the answer to a preflight, in
// seconds. Chromium keeps none for longer.
const maxAge = 7200

// originRule tells in errors what an origin may be.
const originRule = "* alone, or origins as browsers send them: scheme://host or scheme://host:port, without path and default port, punycode for other scripts; scheme://*.domain names all subdomains of a domain"

// Policy says which pages of other origins may subscribe. A nil *Policy adds nothing. It may
// be used concurrently.
type Policy struct {
	policy *rscors.Cors
}

// New checks SSE_CORS_ORIGINS. Origins that are named, exactly or as the
// subdomains of a domain, may send credentials; "*" may not. It returns nil if
// the list is empty: no other origin is let in. The error names the variable, the
// value and what is accepted.
func New(origins []string) (*Policy, error) {
	// rs/cors takes an empty list for "all origins".
	if len(origins) == 0 {
		return nil, nil
	}
	options := rscors.Options{
		AllowedMethods: []string{http.MethodGet},
		// A page does not know what its tracing adds to a fetch: traceparent,
		// baggage, sentry-trace and more. None means anything here.
		AllowedHeaders: []string{"*"},
		ExposedHeaders: []string{"Retry-After"},
		MaxAge:         maxAge,
	}
	if len(origins) == 1 && strings.TrimSpace(origins[0]) == "*" {
		options.AllowedOrigins = []string{"*"}
		return &Policy{policy: rscors.New(options)}, nil
	}
	var list originList
	for _, o := range origins {
		if o = strings.TrimSpace(o); !list.add(strings.ToLower(o)) {
			return nil, fault.Invalid("SSE_CORS_ORIGINS", fault.Clip(o), originRule)
		}
	}
	options.AllowOriginFunc = list.allows
	options.AllowCredentials = true
	return &Policy{policy: rscors.New(options)}, nil
}

// Handler answers preflights itself and calls next for everything else, with
// the headers for the browser already in the ResponseWriter's Header, where a
// handler that takes the connection over finds them too.
func (c *Policy) Handler(next http.Handler) http.Handler {
	if c == nil {
		return next
	}
	return c.policy.Handler(next)
}

// originList is the origins that are let in, in lower case.
type originList struct {
	exact      []string
	subdomains []subdomains
}

// subdomains stands for the origins of all subdomains of a domain: scheme, any
// labels, and what follows them.
type subdomains struct {
	scheme string // with "://"
	domain string // with its leading dot, and the port if there is one
}

// add adds an origin, or the subdomains of a domain. It reports false for what
// is neither.
func (l *originList) add(o string) bool {
	scheme, domain, wild := strings.Cut(o, "://*.")
	if !wild {
		l.exact = append(l.exact, o)
		return validOrigin(o)
	}
	l.subdomains = append(l.subdomains, subdomains{scheme + "://", "." + domain})
	// All of *.com is nobody's.
	host, _, _ := strings.Cut(domain, ":")
	return validOrigin(scheme+"://"+domain) && (strings.Contains(host, ".") || host == "localhost")
}

// allows reports whether an origin, as a browser sends it, is one of the list.
func (l *originList) allows(origin string) bool {
	origin = strings.ToLower(origin)
	return slices.Contains(l.exact, origin) ||
		slices.ContainsFunc(l.subdomains, func(s subdomains) bool { return s.has(origin) })
}

func (s subdomains) has(origin string) bool {
	rest, isScheme := strings.CutPrefix(origin, s.scheme)
	labels, isDomain := strings.CutSuffix(rest, s.domain)
	return isScheme && isDomain && !slices.ContainsFunc(strings.Split(labels, "."), notLabel)
}

// notLabel reports that s cannot be a label of a host name in an origin. What is
// not one could be another host's: a user name, a port, a path.
func notLabel(s string) bool {
	return s == "" || strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// validOrigin takes any scheme, because applications have their own
// (capacitor://localhost).
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
