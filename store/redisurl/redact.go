package redisurl

import (
	"net/url"
	"strings"
)

// Redact returns a URL with its passwords masked, for logs. Of a URL that Parse
// refuses it returns only the scheme, because any part of such a URL may have
// been meant as the password.
func Redact(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || !isScheme(scheme) {
		return "(not a URL)"
	}
	a, err := parse(raw)
	if err != nil {
		return scheme + "://…"
	}
	shown := scheme + "://"
	if a.username != "" || a.password != "" {
		shown += url.PathEscape(a.username) + ":***@"
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:] // parse accepts no @ after the hosts
	rest, query, _ := strings.Cut(rest, "?")
	if query == "" {
		return shown + rest
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		if name, _, _ := strings.Cut(pair, "="); name == "sentinel_password" {
			pairs[i] = name + "=***"
		}
	}
	return shown + rest + "?" + strings.Join(pairs, "&")
}
