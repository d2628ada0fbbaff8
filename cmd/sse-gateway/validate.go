package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/store"
)

// validate checks what the types do not.
func (c *config) validate(dev bool) error {
	if err := c.validateDurations(); err != nil {
		return err
	}
	if err := c.validateNumbers(); err != nil {
		return err
	}
	if err := c.validateAddresses(); err != nil {
		return err
	}
	if err := c.validateRedis(dev); err != nil {
		return err
	}
	switch cert, key := c.TLSCertFile, c.TLSKeyFile; {
	case cert != "" && key == "":
		return &valueError{"SSE_TLS_CERT_FILE", cert, "a certificate with its key, and SSE_TLS_KEY_FILE is not set: set both or none"}
	case cert == "" && key != "":
		return &valueError{"SSE_TLS_KEY_FILE", key, "a key with its certificate, and SSE_TLS_CERT_FILE is not set: set both or none"}
	}
	if c.ProxyProtocol && len(c.TrustedProxies) == 0 {
		return &valueError{"SSE_PROXY_PROTOCOL", "true", "true only with SSE_TRUSTED_PROXIES, which says whose headers count"}
	}
	return c.validateAccess()
}

const (
	// minPeriod is the shortest period that is not a slip of the unit.
	minPeriod = time.Millisecond
	// maxDuration is the same for the longest, and keeps sums of durations
	// far from overflow.
	maxDuration = 365 * 24 * time.Hour
)

func (c *config) validateDurations() error {
	for _, d := range []struct {
		name            string
		value, min, max time.Duration
	}{
		{"SSE_HEARTBEAT", c.Heartbeat, minPeriod, maxDuration}, {"SSE_RETRY", c.Retry, minPeriod, maxDuration},
		{"SSE_WRITE_TIMEOUT", c.WriteTimeout, minPeriod, maxDuration}, {"SSE_POLL_INTERVAL", c.PollInterval, minPeriod, maxDuration},
		{"SSE_SWEEP_INTERVAL", c.SweepInterval, minPeriod, maxDuration}, {"SSE_WINDOW_LINGER", c.WindowLinger, 0, maxDuration},
		{"SSE_FLUSH_INTERVAL", c.FlushInterval, 0, maxDuration}, {"SSE_DRAIN_DELAY", c.DrainDelay, 0, maxDuration},
		{"SSE_DRAIN_WINDOW", c.DrainWindow, 0, maxDuration},
		// These even without SSE_AUTH_URL, so that setting it brings no surprise.
		{"SSE_AUTH_TIMEOUT", c.AuthTimeout, access.MinAuthTimeout, access.MaxAuthTimeout},
		{"SSE_AUTH_CACHE_TTL", c.AuthCacheTTL, 0, access.MaxAuthCacheTTL},
	} {
		if d.value < d.min || d.value > d.max {
			return &valueError{d.name, d.value.String(), fmt.Sprintf("a duration from %v to %v, such as 15s", d.min, d.max)}
		}
	}
	if age := c.MaxConnectionAge; age != 0 && (age < minPeriod || age > maxDuration) {
		return &valueError{"SSE_MAX_CONNECTION_AGE", age.String(), fmt.Sprintf("0 (off), or a duration from %v to %v, such as 1h", minPeriod, maxDuration)}
	}
	return nil
}

func (c *config) validateNumbers() error {
	for _, n := range []struct {
		name       string
		value, min int
	}{
		{"SSE_MAX_CHANNELS", c.MaxChannels, 1}, {"SSE_MAX_CONNECTIONS", c.MaxConnections, 0},
		{"SSE_MAX_CONNECTIONS_PER_IP", c.MaxConnectionsPerIP, 0}, {"SSE_WINDOW_EVENTS", c.WindowEvents, 1},
	} {
		if n.value < n.min {
			return &valueError{n.name, strconv.Itoa(n.value), fmt.Sprintf("a number from %d on", n.min)}
		}
	}
	for _, b := range []struct {
		name  string
		value size
	}{{"SSE_MAX_EVENT_BYTES", c.MaxEventBytes}, {"SSE_WINDOW_MEMORY", c.WindowMemory}} {
		if b.value == 0 {
			return &valueError{b.name, "0", acceptedSize}
		}
	}
	if n := c.AuthConcurrency; n < 1 || n > access.MaxAuthConcurrency {
		return &valueError{"SSE_AUTH_CONCURRENCY", strconv.Itoa(n), fmt.Sprintf("a number from 1 to %d", access.MaxAuthConcurrency)}
	}
	return nil
}

func (c *config) validateRedis(dev bool) error {
	switch {
	case c.RedisURL != "":
		if err := store.ValidateURL(string(c.RedisURL)); err != nil {
			return fmt.Errorf("%s=%q: %w", redisVariable(), store.RedactURL(string(c.RedisURL)), err)
		}
	case !dev:
		return errors.New("SSE_REDIS_URL is not set: set it (or REDIS_URL) to the Redis to read from, such as redis://127.0.0.1:6379, " +
			"or try `sse-gateway dev`, which needs none")
	}
	if c.RedisRead == readReplica && !store.HasReplicas(string(c.RedisURL)) {
		name := redisVariable()
		return &valueError{"SSE_REDIS_READ", string(c.RedisRead), "master, unless " + name + " is redis+sentinel:// or redis+cluster://; " +
			"to read from one certain replica, make it the server in " + name}
	}
	return nil
}

// validateAccess checks who may subscribe.
func (c *config) validateAccess() error {
	if _, err := access.NewCORS(c.CORSOrigins); err != nil {
		return err
	}
	if c.JWTClaim == "" {
		return &valueError{"SSE_JWT_CLAIM", "", "the name of a claim, such as " + access.DefaultClaim}
	}
	cfg, err := c.access()
	if err != nil {
		return err
	}
	if err := cfg.Validate(); errors.Is(err, access.ErrNoAccess) {
		return errors.New("nobody may subscribe: set SSE_PUBLIC_CHANNELS (** for all channels), one of SSE_JWT_SECRET, " +
			"SSE_JWT_SECRET_FILE, SSE_JWT_PUBLIC_KEY_FILE and SSE_JWKS_URL, or SSE_AUTH_URL")
	} else if err != nil {
		return err
	}
	return nil
}

// access returns the part that package access is for.
func (c *config) access() (access.Config, error) {
	proxies, err := access.ParsePrefixes(c.TrustedProxies)
	return access.Config{
		PublicChannels: c.PublicChannels,
		JWTSecret:      c.JWTSecret, JWTSecretFile: c.JWTSecretFile, JWTPublicKeyFile: c.JWTPublicKeyFile, JWKSURL: c.JwksURL,
		JWTIssuer: c.JWTIssuer, JWTAudience: c.JWTAudience, JWTClaim: c.JWTClaim, JWTCookie: c.JWTCookie, JWTQueryParam: c.JWTQueryParam,
		AuthURL: c.AuthURL, AuthTimeout: c.AuthTimeout, AuthConcurrency: c.AuthConcurrency, AuthCacheTTL: c.AuthCacheTTL,
		TrustedProxies: proxies,
	}, err
}
