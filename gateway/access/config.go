package access

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access/outbound"
	"github.com/sse-gateway/sse-gateway/gateway/revocation"
)

// Defaults of the variables of forward authentication and tokens.
const (
	DefaultClaim           = "channels"      // SSE_JWT_CLAIM
	DefaultAuthTimeout     = 5 * time.Second // SSE_AUTH_TIMEOUT
	DefaultAuthConcurrency = 64              // SSE_AUTH_CONCURRENCY
)

// Bounds of the same. They catch a slip of the unit or of a zero.
const (
	MinAuthTimeout     = time.Millisecond
	MaxAuthTimeout     = time.Minute
	MaxAuthConcurrency = 10000
	// MaxAuthCacheTTL is how late a withdrawn permission may be noticed.
	MaxAuthCacheTTL = 5 * time.Minute
)

// Config says who may subscribe. The comment at each field names the variable
// that errors of [Config.Validate] speak of. Printed, logged or encoded it
// shows no secret.
type Config struct {
	// PublicChannels are patterns of channels that need no permission
	// (SSE_PUBLIC_CHANNELS).
	PublicChannels []string

	// At most one of these four turns tokens on: the shared secret
	// (SSE_JWT_SECRET), a file of secrets, one per line (SSE_JWT_SECRET_FILE), a
	// PEM file of public keys or certificates (SSE_JWT_PUBLIC_KEY_FILE), the URL
	// of a JWK set (SSE_JWKS_URL). Files are read again when they change.
	JWTSecret        Secret
	JWTSecretFile    string
	JWTPublicKeyFile string
	JWKSURL          string

	JWTIssuer     string // SSE_JWT_ISSUER: iss must be equal; empty: not checked
	JWTAudience   string // SSE_JWT_AUDIENCE: aud must hold it; empty: not checked
	JWTClaim      string // SSE_JWT_CLAIM: empty means DefaultClaim
	JWTCookie     string // SSE_JWT_COOKIE: empty: no cookie is read
	JWTQueryParam string // SSE_JWT_QUERY_PARAM: empty: no parameter is read

	// AuthURL turns forward authentication on (SSE_AUTH_URL).
	AuthURL string
	// AuthTimeout bounds one question, the wait for a free slot included
	// (SSE_AUTH_TIMEOUT); 0 means DefaultAuthTimeout.
	AuthTimeout time.Duration
	// AuthConcurrency is how many questions are under way at once
	// (SSE_AUTH_CONCURRENCY); 0 means DefaultAuthConcurrency.
	AuthConcurrency int
	// AuthCacheTTL is how long an allowing answer is kept
	// (SSE_AUTH_CACHE_TTL); 0 means that none is.
	AuthCacheTTL time.Duration

	// Revocations are the grants that were withdrawn (SSE_REVOCATIONS); nil: none
	// ever is.
	Revocations *revocation.List

	// TrustedProxies are those whose X-Forwarded-For counts
	// (SSE_TRUSTED_PROXIES), see address.ParsePrefixes. Here they decide which address
	// the application is told.
	TrustedProxies []netip.Prefix

	keysTransport http.RoundTripper // for tests: fetches the JWK set; nil: the network
}

// withDefaults returns the configuration with defaults for what is zero.
func (c Config) withDefaults() Config {
	if c.JWTClaim == "" {
		c.JWTClaim = DefaultClaim
	}
	if c.AuthTimeout == 0 {
		c.AuthTimeout = DefaultAuthTimeout
	}
	if c.AuthConcurrency == 0 {
		c.AuthConcurrency = DefaultAuthConcurrency
	}
	return c
}

// tokensOn reports whether a key for tokens is configured.
func (c Config) tokensOn() bool { return len(c.keySources()) > 0 }

// Identifies reports whether clients can be told apart: by tokens or by the
// application.
func (c Config) Identifies() bool { return c.tokensOn() || c.AuthURL != "" }

// keySources returns the variables that name a key.
func (c Config) keySources() []string {
	var set []string
	for _, v := range []struct {
		name string
		set  bool
	}{
		{"SSE_JWT_SECRET", c.JWTSecret != ""},
		{"SSE_JWT_SECRET_FILE", c.JWTSecretFile != ""},
		{"SSE_JWT_PUBLIC_KEY_FILE", c.JWTPublicKeyFile != ""},
		{"SSE_JWKS_URL", c.JWKSURL != ""},
	} {
		if v.set {
			set = append(set, v.name)
		}
	}
	return set
}

// String lists the variables that are set, with secrets masked.
func (c Config) String() string {
	var b strings.Builder
	add := func(name, value string) {
		if value == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%s", name, value)
	}
	add("SSE_PUBLIC_CHANNELS", strings.Join(c.PublicChannels, ","))
	add("SSE_JWT_SECRET", c.JWTSecret.String())
	add("SSE_JWT_SECRET_FILE", c.JWTSecretFile)
	add("SSE_JWT_PUBLIC_KEY_FILE", c.JWTPublicKeyFile)
	add("SSE_JWKS_URL", outbound.MaskURL(c.JWKSURL))
	add("SSE_JWT_ISSUER", c.JWTIssuer)
	add("SSE_JWT_AUDIENCE", c.JWTAudience)
	add("SSE_JWT_CLAIM", c.JWTClaim)
	add("SSE_JWT_COOKIE", c.JWTCookie)
	add("SSE_JWT_QUERY_PARAM", c.JWTQueryParam)
	if c.AuthURL != "" {
		add("SSE_AUTH_URL", outbound.MaskURL(c.AuthURL))
		add("SSE_AUTH_TIMEOUT", c.AuthTimeout.String())
		add("SSE_AUTH_CONCURRENCY", fmt.Sprint(c.AuthConcurrency))
		add("SSE_AUTH_CACHE_TTL", c.AuthCacheTTL.String())
	}
	return b.String()
}

// Format prints String for every verb, so that %+v and %#v show no secret.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue is what slog prints.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText is what JSON and other encodings get.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
