package store

import (
	"net/url"
	"slices"
	"strings"
)

// shownParams are the parameters of a Redis URL whose values are no secret.
var shownParams = []string{"db", "master", "sentinel_user", "ca", "cert", "key", "server_name"}

// RedactURL returns url with its passwords masked, for logs. Of a URL that Open
// does not accept, only the scheme is left: there is no telling which part of
// it was meant to be the password.
func RedactURL(raw string) string {
	e, err := parseURL(raw)
	scheme, rest, ok := strings.Cut(raw, "://")
	switch {
	case !ok || !isScheme(scheme):
		return "(not a URL)"
	case err != nil:
		return scheme + "://…"
	}
	var b strings.Builder
	b.WriteString(scheme + "://")
	if e.username != "" || e.password != "" {
		b.WriteString(url.PathEscape(e.username) + ":***@")
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 { // parseURL accepts none after the hosts
		rest = rest[i+1:]
	}
	rest, query, _ := strings.Cut(rest, "?")
	b.WriteString(rest)
	separator := "?"
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if !slices.Contains(shownParams, name) {
			value = "***"
		}
		b.WriteString(separator + name + "=" + value)
		separator = "&"
	}
	return b.String()
}

// isScheme reports whether s can be the scheme of a URL, and not, say, the
// password of one that has no scheme.
func isScheme(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; (c < 'a' || c > 'z') && (i == 0 || s[i] != '+') {
			return false
		}
	}
	return s != ""
}
