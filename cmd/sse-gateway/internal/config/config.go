package config

import (
	"errors"
	"os"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access"
)

// prefix begins the name of every variable.
const prefix = "SSE_"

// Config is the environment. Each field's tags describe its variable: env (the name),
// group (the heading in the help, for this and the following fields), default, shown
// (what tables say instead of the default), dev (the default of the dev command, if it
// differs), words (what the variable may be, if that is one of a few words) and desc.
// The table of `sse-gateway help` and that of CONFIG.md are made from them.
type Config struct {
	Addr           string   `group:"Listen" env:"SSE_ADDR" default:":8080" dev:"127.0.0.1:8080" desc:"public listener: event streams and, if on, the console"`
	Path           string   `env:"SSE_PATH" default:"/events" desc:"the path of event streams; a trailing slash is the same path"`
	AdminAddr      string   `env:"SSE_ADMIN_ADDR" default:":9090" dev:"127.0.0.1:9090" desc:"private listener: /metrics, /healthz, /readyz, /channels, /debug/pprof/"`
	TLSCertFile    string   `env:"SSE_TLS_CERT_FILE" desc:"certificate chain (PEM) for TLS and HTTP/2 on the public listener; re-read when it changes"`
	TLSKeyFile     string   `env:"SSE_TLS_KEY_FILE" desc:"its key (PEM)"`
	TrustedProxies []string `env:"SSE_TRUSTED_PROXIES" desc:"comma-separated addresses and CIDRs of the proxies whose X-Forwarded-For counts"`
	ProxyProtocol  bool     `env:"SSE_PROXY_PROTOCOL" default:"false" desc:"the trusted proxies begin each connection with a PROXY header (version 1 or 2), which names the client"`
	Console        bool     `env:"SSE_CONSOLE" default:"false" dev:"true" desc:"the console page at /"`

	RedisURL          access.Secret `group:"Redis" env:"SSE_REDIS_URL" desc:"redis://, rediss://, unix://, redis+sentinel://…?master=NAME or redis+cluster://h1:p,h2:p (each also as rediss+…) with user, password and database; ca=, cert= and key= name PEM files; REDIS_URL is read as well"`
	RedisUsername     string        `env:"SSE_REDIS_USERNAME" desc:"the user, instead of in the URL"`
	RedisPasswordFile string        `env:"SSE_REDIS_PASSWORD_FILE" desc:"a file with the password, instead of in the URL; it is read for each new connection, so a renewed password or token needs no restart"`
	RedisRead         string        `env:"SSE_REDIS_READ" words:"master replica" default:"master" desc:"master or replica: which servers of redis+sentinel:// and redis+cluster:// are read from; replica falls back to the master while no replica is fit"`
	Ready             string        `env:"SSE_READY" words:"any all started" default:"any" desc:"when /readyz is 200, while not draining: any: at least one node of Redis is alive; all: all are; started: all were alive once since the start"`
	KeyPrefix         string        `env:"SSE_KEY_PREFIX" default:"sse:" desc:"a channel's stream key is this prefix and its name; none: no prefix, so every stream of the database is a channel"`
	PollInterval      time.Duration `env:"SSE_POLL_INTERVAL" default:"50ms" desc:"only for a Redis without CLIENT TRACKING"`
	SweepInterval     time.Duration `env:"SSE_SWEEP_INTERVAL" default:"30s" desc:"safety re-read of every active channel, jittered ±20 %"`

	PublicChannels   []string      `group:"Access" env:"SSE_PUBLIC_CHANNELS" dev:"**" desc:"comma-separated globs (* within one segment between colons, ** anything) of channels that need no token"`
	CORSOrigins      []string      `env:"SSE_CORS_ORIGINS" desc:"comma-separated origins, https://*.example.com for all subdomains, or * (then without credentials)"`
	JWTSecret        access.Secret `env:"SSE_JWT_SECRET" desc:"shared secret of tokens (HS256, HS384, HS512), at least 32 bytes"`
	JWTSecretFile    string        `env:"SSE_JWT_SECRET_FILE" desc:"a file with shared secrets, one per line, of at least 32 bytes each; all are good, and the file is re-read when it changes"`
	JWTPublicKeyFile string        `env:"SSE_JWT_PUBLIC_KEY_FILE" desc:"PEM file with public keys or certificates (RS, PS, ES, EdDSA); all are good, and the file is re-read when it changes"`
	JWKSURL          string        `env:"SSE_JWKS_URL" desc:"URL of the JWK set with the public keys of tokens"`
	JWTIssuer        string        `env:"SSE_JWT_ISSUER" desc:"the iss that tokens must have; empty: any"`
	JWTAudience      string        `env:"SSE_JWT_AUDIENCE" desc:"the aud that tokens must have; empty: any"`
	JWTClaim         string        `env:"SSE_JWT_CLAIM" default:"channels" desc:"the claim that lists globs of channels"`
	JWTCookie        string        `env:"SSE_JWT_COOKIE" desc:"the cookie that a token may be in; empty: none"`
	JWTQueryParam    string        `env:"SSE_JWT_QUERY_PARAM" desc:"the query parameter that a token may be in; empty: none"`
	AuthURL          string        `env:"SSE_AUTH_URL" desc:"forward authentication: this URL is asked with the client's cookies and Authorization"`
	AuthTimeout      time.Duration `env:"SSE_AUTH_TIMEOUT" default:"5s" desc:"how long that may take"`
	AuthConcurrency  int           `env:"SSE_AUTH_CONCURRENCY" default:"64" desc:"how many such questions are under way at once"`
	AuthCacheTTL     time.Duration `env:"SSE_AUTH_CACHE_TTL" default:"0s" desc:"how long an allowing answer is kept, at most 5m; 0 is off"`

	Revocations bool `env:"SSE_REVOCATIONS" default:"false" desc:"follow the stream <prefix>gateway.revocations: end the streams of subjects (sub) and tokens (jti) that are revoked, and refuse them"`

	MaxConnections      int           `group:"Limits" env:"SSE_MAX_CONNECTIONS" default:"0" shown:"from the file limit" desc:"connections per replica; 0 is about nine tenths of the limit of open files (ulimit -n)"`
	MaxConnectionsPerIP int           `env:"SSE_MAX_CONNECTIONS_PER_IP" default:"0" desc:"connections per client address (IPv6: per /64); 0 is off"`
	MaxChannels         int           `env:"SSE_MAX_CHANNELS" default:"32" desc:"channels per connection"`
	MaxEventBytes       size          `env:"SSE_MAX_EVENT_BYTES" default:"1048576" desc:"a larger entry becomes a gap (too_large)"`
	WriteTimeout        time.Duration `env:"SSE_WRITE_TIMEOUT" default:"30s" desc:"a client that takes no byte of what waits for it for that long is cut; it resumes by id"`
	WindowEvents        int           `env:"SSE_WINDOW_EVENTS" default:"256" desc:"recent events kept in memory per channel"`
	WindowMemory        size          `env:"SSE_WINDOW_MEMORY" default:"256MiB" desc:"memory for recent events over all channels"`
	WindowLinger        time.Duration `env:"SSE_WINDOW_LINGER" default:"60s" desc:"a channel is followed for that long after its last subscriber left"`

	Heartbeat     time.Duration `group:"Delivery" env:"SSE_HEARTBEAT" default:"15s" desc:"a comment is sent when a connection was idle that long, jittered ±20 %; by it a client is found whose host has vanished"`
	Retry         time.Duration `env:"SSE_RETRY" default:"2s" desc:"the retry: sent to clients, randomised per connection between 1× and 2×"`
	Compression   string        `env:"SSE_COMPRESSION" words:"off gzip" default:"off" desc:"off or gzip: streams and pages are compressed for clients that accept it, each event once for all of them; a quarter of SSE_WINDOW_MEMORY is for compressed events then"`
	FlushInterval time.Duration `env:"SSE_FLUSH_INTERVAL" default:"0s" desc:"0 writes at once; more lets a connection collect events that long and send them in one write"`

	DrainDelay       time.Duration `group:"Drain" env:"SSE_DRAIN_DELAY" default:"3s" dev:"0s" desc:"after SIGTERM: not ready, and wait that long"`
	DrainWindow      time.Duration `env:"SSE_DRAIN_WINDOW" default:"20s" dev:"1s" desc:"then end the streams evenly over that long"`
	MaxConnectionAge time.Duration `env:"SSE_MAX_CONNECTION_AGE" default:"0s" desc:"a stream is ended after that long, jittered ±20 %, to rebalance after a roll-out; 0 is off"`

	LogLevel         string   `group:"Log and metrics" env:"SSE_LOG_LEVEL" words:"debug info warn error" default:"info" desc:"debug, info, warn or error"`
	LogFormat        string   `env:"SSE_LOG_FORMAT" words:"text json" default:"text" desc:"text or json"`
	MetricNamespaces []string `env:"SSE_METRIC_NAMESPACES" desc:"comma-separated namespaces (a channel's name before the first colon) that connections, deliveries, gaps and latency are told apart by, in a label namespace; all others are other"`
}

// Load reads the environment, with the defaults of the dev command or those of
// serve. The error holds every mistake, each in a line of its own that names the
// variable, its value unless that is secret, and what is accepted. If there is a
// mistake, unknown names are listed as well.
func Load(dev bool) (*Config, error) {
	var c Config
	mistakes := readVariables(&c, dev)
	c.RedisURL = access.Secret(os.Getenv(RedisVariable()))
	if c.KeyPrefix == noPrefix {
		c.KeyPrefix = ""
	}
	mistakes = append(mistakes, c.validate(dev)...)
	if len(mistakes) == 0 {
		return &c, nil
	}
	for _, u := range unknownVariables() {
		mistakes = append(mistakes, u)
	}
	return nil, errors.Join(mistakes...)
}

// noPrefix is the SSE_KEY_PREFIX that stands for the empty prefix. An empty
// value cannot: it counts as unset, and would open every stream of the database
// by accident.
const noPrefix = "none"

// RedisVariable names the variable that the Redis URL is read from, so that an
// error blames the one that has to be changed.
func RedisVariable() string {
	if os.Getenv("SSE_REDIS_URL") == "" && os.Getenv("REDIS_URL") != "" {
		return "REDIS_URL"
	}
	return "SSE_REDIS_URL"
}
