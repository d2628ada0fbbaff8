package redisurl

import (
	"net/url"
	"slices"
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
	shown += rest
	separator := "?"
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		switch {
		case pair == "":
			continue
		case name == "sentinel_password" || !slices.Contains(params, name): // it may be escaped
			pair = name + "=***"
		}
		shown += separator + pair
		separator = "&"
	}
	return shown
}
