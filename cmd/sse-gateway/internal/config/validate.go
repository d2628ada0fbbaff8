package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/access/address"
	"github.com/sse-gateway/sse-gateway/gateway/access/cors"
	"github.com/sse-gateway/sse-gateway/gateway/access/outbound"
	"github.com/sse-gateway/sse-gateway/gateway/access/pattern"
	"github.com/sse-gateway/sse-gateway/gateway/listener"
	"github.com/sse-gateway/sse-gateway/gateway/listener/certificate"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

// validPath is what the path of event streams may be. The root and /console/ are the
// console's.
var validPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+/?$`)

func (c *Config) validatePath() (mistakes []error) {
	if !validPath.MatchString(c.Path) || strings.HasPrefix(c.Path+"/", "/console/") || path.Clean(c.Path) != strings.TrimSuffix(c.Path, "/") {
		mistakes = append(mistakes, &valueError{"SSE_PATH", c.Path, "a path such as /events or /api/events, of A-Z a-z 0-9 . _ ~ - and /, outside /console/"})
	}
	return mistakes
}

// validate returns the mistakes that the types of the fields do not rule out.
func (c *Config) validate(dev bool) (mistakes []error) {
	for _, check := range []func() []error{
		c.validateDurations, c.validateNumbers, c.validateAddresses, c.validatePath,
		func() []error { return c.validateRedis(dev) }, c.validateTLS, c.validateAccess, c.validateNamespaces,
	} {
		mistakes = append(mistakes, check()...)
	}
	return mistakes
}

const (
	// minPeriod is the shortest period that is not a slip of the unit.
	minPeriod = time.Millisecond
	// maxDuration is the same for the longest, and keeps sums of durations
	// far from overflow.
	maxDuration = 365 * 24 * time.Hour
)

func (c *Config) validateDurations() (mistakes []error) {
	for _, d := range []struct {
		name            string
		value, min, max time.Duration
	}{
		{"SSE_HEARTBEAT", c.Heartbeat, minPeriod, maxDuration}, {"SSE_RETRY", c.Retry, minPeriod, maxDuration},
		{"SSE_WRITE_TIMEOUT", c.WriteTimeout, minPeriod, maxDuration}, {"SSE_POLL_INTERVAL", c.PollInterval, minPeriod, maxDuration},
		{"SSE_SWEEP_INTERVAL", c.SweepInterval, minPeriod, maxDuration}, {"SSE_WINDOW_LINGER", c.WindowLinger, 0, maxDuration},
		{"SSE_FLUSH_INTERVAL", c.FlushInterval, 0, maxDuration}, {"SSE_DRAIN_DELAY", c.DrainDelay, 0, maxDuration},
		{"SSE_DRAIN_WINDOW", c.DrainWindow, 0, maxDuration},
		// These are checked even without SSE_AUTH_URL, so that setting it brings no surprise.
		{"SSE_AUTH_TIMEOUT", c.AuthTimeout, access.MinAuthTimeout, access.MaxAuthTimeout},
		{"SSE_AUTH_CACHE_TTL", c.AuthCacheTTL, 0, access.MaxAuthCacheTTL},
	} {
		if d.value < d.min || d.value > d.max {
			mistakes = append(mistakes, &valueError{d.name, d.value.String(), fmt.Sprintf("a duration from %v to %v, such as 15s", d.min, d.max)})
		}
	}
	if age := c.MaxConnectionAge; age != 0 && (age < minPeriod || age > maxDuration) {
		mistakes = append(mistakes, &valueError{"SSE_MAX_CONNECTION_AGE", age.String(), fmt.Sprintf("0 (off), or a duration from %v to %v, such as 1h", minPeriod, maxDuration)})
	}
	return mistakes
}

func (c *Config) validateNumbers() (mistakes []error) {
	for _, n := range []struct {
		name       string
		value, min int
	}{
		{"SSE_MAX_CHANNELS", c.MaxChannels, 1}, {"SSE_MAX_CONNECTIONS", c.MaxConnections, 0},
		{"SSE_MAX_CONNECTIONS_PER_IP", c.MaxConnectionsPerIP, 0}, {"SSE_WINDOW_EVENTS", c.WindowEvents, 1},
	} {
		if n.value < n.min {
			mistakes = append(mistakes, &valueError{n.name, strconv.Itoa(n.value), fmt.Sprintf("a number from %d on", n.min)})
		}
	}
	for _, b := range []struct {
		name  string
		value size
	}{{"SSE_MAX_EVENT_BYTES", c.MaxEventBytes}, {"SSE_WINDOW_MEMORY", c.WindowMemory}} {
		if b.value == 0 {
			mistakes = append(mistakes, &valueError{b.name, "0", acceptedSize})
		}
	}
	if n := c.AuthConcurrency; n < 1 || n > access.MaxAuthConcurrency {
		mistakes = append(mistakes, &valueError{"SSE_AUTH_CONCURRENCY", strconv.Itoa(n), fmt.Sprintf("a number from 1 to %d", access.MaxAuthConcurrency)})
	}
	return mistakes
}

func (c *Config) validateRedis(dev bool) (mistakes []error) {
	name, topology := RedisVariable(), redisurl.Single
	switch {
	case c.RedisURL != "":
		addr, err := redisurl.Parse(string(c.RedisURL))
		if err != nil {
			return []error{fmt.Errorf("%s=%q: %w", name, redisurl.Redact(string(c.RedisURL)), err)}
		}
		topology = addr.Topology
		if err := addr.SetCredentials(c.RedisUsername, c.RedisPasswordFile); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", c.credentialVariables(), err))
		}
	case !dev:
		mistakes = append(mistakes, errors.New("SSE_REDIS_URL is not set: set it (or REDIS_URL) to the Redis to read from, such as redis://127.0.0.1:6379, "+
			"or try `sse-gateway dev`, which needs none"))
	case c.credentialVariables() != "":
		mistakes = append(mistakes, fmt.Errorf("%s: the embedded Redis has no users: set SSE_REDIS_URL as well", c.credentialVariables()))
	}
	if c.RedisRead == "replica" && topology == redisurl.Single {
		mistakes = append(mistakes, &valueError{"SSE_REDIS_READ", c.RedisRead, "master, unless " + name + " is redis+sentinel:// or redis+cluster://; " +
			"to read from one certain replica, make it the server in " + name})
	}
	return mistakes
}

// credentialVariables returns the credentials that are set outside the URL, for
// errors. None is secret: the password is in the file.
func (c *Config) credentialVariables() string {
	var set []string
	for _, v := range [][2]string{{"SSE_REDIS_USERNAME", c.RedisUsername}, {"SSE_REDIS_PASSWORD_FILE", c.RedisPasswordFile}} {
		if v[1] != "" {
			set = append(set, v[0]+"="+quote(v[1]))
		}
	}
	return strings.Join(set, ", ")
}

// validateTLS checks the public listener's certificate, and whom it believes.
func (c *Config) validateTLS() (mistakes []error) {
	switch cert, key := c.TLSCertFile, c.TLSKeyFile; {
	case cert != "" && key == "":
		mistakes = append(mistakes, &valueError{"SSE_TLS_CERT_FILE", cert, "a certificate with its key, and SSE_TLS_KEY_FILE is not set: set both or none"})
	case cert == "" && key != "":
		mistakes = append(mistakes, &valueError{"SSE_TLS_KEY_FILE", key, "a key with its certificate, and SSE_TLS_CERT_FILE is not set: set both or none"})
	case cert != "":
		if err := certificate.Check(cert, key); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	if c.ProxyProtocol && len(c.TrustedProxies) == 0 {
		mistakes = append(mistakes, &valueError{"SSE_PROXY_PROTOCOL", "true", "true only with SSE_TRUSTED_PROXIES, which says whose headers count"})
	}
	return mistakes
}

// validateAccess checks who may subscribe.
func (c *Config) validateAccess() (mistakes []error) {
	if _, err := cors.New(c.CORSOrigins); err != nil {
		mistakes = append(mistakes, err)
	}
	cfg, err := c.Access()
	if err != nil {
		mistakes = append(mistakes, err)
	}
	// validateDurations and validateNumbers check these, also without SSE_AUTH_URL.
	cfg.AuthTimeout, cfg.AuthConcurrency, cfg.AuthCacheTTL = 0, 0, 0
	if err := cfg.Validate(); err != nil {
		mistakes = append(mistakes, err)
	}
	if c.Revocations && !cfg.Identifies() {
		mistakes = append(mistakes, &valueError{"SSE_REVOCATIONS", "true", "true only with a key for tokens or SSE_AUTH_URL: nobody else has a subject that could be revoked"})
	}
	return mistakes
}

// maxNamespaces bounds the series of a replica: each namespace has 23.
const maxNamespaces = 50

func (c *Config) validateNamespaces() (mistakes []error) {
	seen := map[string]bool{metrics.OtherNamespace: true}
	for _, name := range c.MetricNamespaces {
		if len(c.MetricNamespaces) > maxNamespaces || !pattern.ValidChannel(name) || strings.Contains(name, ":") || seen[name] {
			return []error{&valueError{"SSE_METRIC_NAMESPACES", strings.Join(c.MetricNamespaces, ","),
				fmt.Sprintf("at most %d names such as chat, each once, that may be a channel's before the first colon, and are not %s", maxNamespaces, metrics.OtherNamespace)}}
		}
		seen[name] = true
	}
	return nil
}

// Access returns the part that package access is for.
func (c *Config) Access() (access.Config, error) {
	proxies, err := address.ParsePrefixes(c.TrustedProxies)
	return access.Config{
		PublicChannels: c.PublicChannels,
		JWTSecret:      c.JWTSecret, JWTSecretFile: c.JWTSecretFile, JWTPublicKeyFile: c.JWTPublicKeyFile, JWKSURL: c.JWKSURL,
		JWTIssuer: c.JWTIssuer, JWTAudience: c.JWTAudience, JWTClaim: c.JWTClaim, JWTCookie: c.JWTCookie, JWTQueryParam: c.JWTQueryParam,
		AuthURL: c.AuthURL, AuthTimeout: c.AuthTimeout, AuthConcurrency: c.AuthConcurrency, AuthCacheTTL: c.AuthCacheTTL,
		TrustedProxies: proxies,
	}, err
}

// Warnings are about settings that are valid but hardly meant.
func (c *Config) Warnings() (list []error) {
	for _, u := range unknownVariables() {
		list = append(list, u)
	}
	if limit := listener.ConnectionLimit(); c.MaxConnections > limit {
		list = append(list, fmt.Errorf("SSE_MAX_CONNECTIONS=%d is more than the limit of open files allows, %d", c.MaxConnections, limit))
	}
	if u, err := url.Parse(c.JWKSURL); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		list = append(list, fmt.Errorf("SSE_JWKS_URL=%s is not https: who answers in its place on the way signs tokens for any channel", outbound.MaskURL(c.JWKSURL)))
	}
	return list
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
