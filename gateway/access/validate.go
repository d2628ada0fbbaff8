package access

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/sse-gateway/sse-gateway/gateway/access/fault"
	"github.com/sse-gateway/sse-gateway/gateway/access/keys"
	"github.com/sse-gateway/sse-gateway/gateway/access/outbound"
	"github.com/sse-gateway/sse-gateway/gateway/access/pattern"
)

// Params are the query parameters that the gateway itself reads. It takes no other
// for its own, so a name that is missing here has no effect. Whatever else a query
// holds may be a credential.
var Params = []string{"channel", "lastEventId", "last_event_id", "since", "replay", "envelope", "deliver", "heartbeat", "refusal", "limit", "wait"}

// ErrNoAccess is among the errors of [Config.Validate] if nobody could ever
// subscribe.
var ErrNoAccess = errors.New("nobody may subscribe: set SSE_PUBLIC_CHANNELS (** for all channels), one of SSE_JWT_SECRET, " +
	"SSE_JWT_SECRET_FILE, SSE_JWT_PUBLIC_KEY_FILE and SSE_JWKS_URL, or SSE_AUTH_URL")

// Validate reports every fault, joined by errors.Join: each is one line that
// names the variable, its value (masked if it is a secret) and what is accepted.
// It reads the key files, but asks nobody over the network.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	if _, err := pattern.Parse(c.PublicChannels); err != nil {
		faults = append(faults, fmt.Errorf("SSE_PUBLIC_CHANNELS: %w", err))
	}
	faults = append(faults, c.validateTokens()...)
	faults = append(faults, c.validateForward()...)
	if len(c.PublicChannels) == 0 && !c.Identifies() {
		faults = append(faults, ErrNoAccess)
	}
	return errors.Join(faults...)
}

func (c Config) validateTokens() (faults []error) {
	set := c.keySources()
	switch {
	case len(set) == 0:
		return c.validateNoTokens()
	case len(set) > 1:
		faults = append(faults, fmt.Errorf("%s are both set: accepted is one source of the key for tokens", strings.Join(set, " and ")))
	case c.JWKSURL != "":
		if err := validateURL("SSE_JWKS_URL", c.JWKSURL); err != nil {
			faults = append(faults, err)
		}
	case c.JWTSecret != "":
		if err := keys.CheckSecret("SSE_JWT_SECRET", outbound.Masked, []byte(c.JWTSecret)); err != nil {
			faults = append(faults, err)
		}
	default:
		if _, _, err := c.openKeys(nil); err != nil {
			faults = append(faults, err)
		}
	}
	if c.JWTCookie != "" && !isHTTPToken(c.JWTCookie) {
		faults = append(faults, fault.Invalid("SSE_JWT_COOKIE", c.JWTCookie, "the name of a cookie: letters, digits and !#$%&'*+-.^_`|~"))
	}
	if slices.Contains(Params, c.JWTQueryParam) {
		faults = append(faults, fault.Invalid("SSE_JWT_QUERY_PARAM", c.JWTQueryParam, "a name that the gateway does not use itself ("+strings.Join(Params, ", ")+")"))
	}
	return faults
}

// validateNoTokens finds settings of tokens that would silently do nothing.
func (c Config) validateNoTokens() (faults []error) {
	for _, v := range []struct{ name, value string }{
		{"SSE_JWT_ISSUER", c.JWTIssuer},
		{"SSE_JWT_AUDIENCE", c.JWTAudience},
		{"SSE_JWT_COOKIE", c.JWTCookie},
		{"SSE_JWT_QUERY_PARAM", c.JWTQueryParam},
	} {
		if v.value != "" {
			faults = append(faults, fault.Invalid(v.name, v.value, "together with a key: SSE_JWT_SECRET, SSE_JWT_SECRET_FILE, SSE_JWT_PUBLIC_KEY_FILE or SSE_JWKS_URL"))
		}
	}
	return faults
}

func (c Config) validateForward() (faults []error) {
	if c.AuthURL == "" {
		return nil
	}
	if err := validateURL("SSE_AUTH_URL", c.AuthURL); err != nil {
		faults = append(faults, err)
	}
	if c.AuthTimeout < MinAuthTimeout || c.AuthTimeout > MaxAuthTimeout {
		faults = append(faults, fault.Invalid("SSE_AUTH_TIMEOUT", c.AuthTimeout.String(), fmt.Sprintf("a duration from %v to %v", MinAuthTimeout, MaxAuthTimeout)))
	}
	if c.AuthConcurrency < 1 || c.AuthConcurrency > MaxAuthConcurrency {
		faults = append(faults, fault.Invalid("SSE_AUTH_CONCURRENCY", fmt.Sprint(c.AuthConcurrency), fmt.Sprintf("a number from 1 to %d", MaxAuthConcurrency)))
	}
	if c.AuthCacheTTL < 0 || c.AuthCacheTTL > MaxAuthCacheTTL {
		faults = append(faults, fault.Invalid("SSE_AUTH_CACHE_TTL", c.AuthCacheTTL.String(), "a duration from 0 (off) to "+MaxAuthCacheTTL.String()))
	}
	return faults
}

// validateURL refuses also a password in the URL: net/http would send it as the
// gateway's own Authorization.
func validateURL(name, raw string) error {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return fault.Invalid(name, outbound.MaskURL(raw), "a URL http://host/path or https://host/path without user, password and fragment")
	}
	return nil
}

// isHTTPToken reports whether s is a token of RFC 9110, 5.6.2.
func isHTTPToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
