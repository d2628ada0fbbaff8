package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/sse-gateway/sse-gateway/gateway/access"
)

// prefix begins the name of every variable.
const prefix = "SSE"

// config is the environment. The table of `sse-gateway help`, and README's,
// are made from its tags: default, shown (what the table says instead of the
// default), dev (the default of the dev command, where it is another one) and
// desc.
type config struct {
	Addr      string `split_words:"true" default:":8080" dev:"127.0.0.1:8080" desc:"public listener: /events and, if on, the console"`
	AdminAddr string `split_words:"true" default:":9090" dev:"127.0.0.1:9090" desc:"private listener: /metrics, /healthz, /readyz, /debug/pprof/"`
	// envconfig looks for the name in the tag without the prefix, too, which
	// is wanted for this variable and no other.
	RedisURL  access.Secret `envconfig:"REDIS_URL" desc:"redis://, rediss://, unix://, redis+sentinel://…?master=NAME or redis+cluster://h1:p,h2:p (each also as rediss+…) with user, password and database; ca=, cert= and key= name PEM files; REDIS_URL is read as well"`
	RedisRead role          `split_words:"true" default:"master" desc:"master or replica: which servers of redis+sentinel:// and redis+cluster:// are read from; replica falls back to the master while no replica is fit"`
	KeyPrefix string        `split_words:"true" default:"sse:" desc:"a channel's stream key is this prefix and its name"`

	PublicChannels list `split_words:"true" dev:"**" desc:"comma-separated globs (* within one segment between colons, ** anything) of channels that need no token"`

	Heartbeat           time.Duration `split_words:"true" default:"15s" desc:"a comment is sent when a connection was idle that long, jittered ±20 %"`
	Retry               time.Duration `split_words:"true" default:"2s" desc:"the retry: sent to clients, randomised per connection between 1× and 2×"`
	WriteTimeout        time.Duration `split_words:"true" default:"30s" desc:"a client that takes no byte for that long is cut; it resumes by id"`
	MaxChannels         int           `split_words:"true" default:"32" desc:"channels per connection"`
	MaxConnections      int           `split_words:"true" default:"0" shown:"from the file limit" desc:"connections per replica; 0 is about nine tenths of the limit of open files (ulimit -n)"`
	MaxConnectionsPerIP int           `split_words:"true" default:"0" desc:"connections per client address (IPv6: per /64); 0 is off"`
	TrustedProxies      list          `split_words:"true" desc:"comma-separated addresses and CIDRs of the proxies whose X-Forwarded-For counts"`
	ProxyProtocol       bool          `split_words:"true" default:"false" desc:"the trusted proxies begin each connection with a PROXY header (version 1 or 2), which names the client"`
	MaxConnectionAge    time.Duration `split_words:"true" default:"0s" desc:"a stream is ended after that long, jittered ±20 %, to rebalance after a roll-out; 0 is off"`
	MaxEventBytes       size          `split_words:"true" default:"1048576" desc:"a larger entry becomes a gap (too_large)"`

	WindowEvents  int           `split_words:"true" default:"256" desc:"recent events kept in memory per channel"`
	WindowMemory  size          `split_words:"true" default:"256MiB" desc:"memory for recent events over all channels"`
	WindowLinger  time.Duration `split_words:"true" default:"60s" desc:"a channel is followed for that long after its last subscriber left"`
	FlushInterval time.Duration `split_words:"true" default:"0s" desc:"0 writes at once; more lets a connection collect events that long and send them in one write"`
	PollInterval  time.Duration `split_words:"true" default:"50ms" desc:"only for a Redis without CLIENT TRACKING"`
	SweepInterval time.Duration `split_words:"true" default:"30s" desc:"safety re-read of every active channel, jittered ±20 %"`
	DrainDelay    time.Duration `split_words:"true" default:"3s" dev:"0s" desc:"after SIGTERM: not ready, and wait that long"`
	DrainWindow   time.Duration `split_words:"true" default:"20s" dev:"1s" desc:"then end the streams evenly over that long"`

	CORSOrigins      list          `split_words:"true" desc:"comma-separated exact origins, or * (then without credentials)"`
	JWTSecret        access.Secret `split_words:"true" desc:"shared secret of tokens (HS256, HS384, HS512), at least 32 bytes"`
	JWTSecretFile    string        `split_words:"true" desc:"a file that holds the shared secret"`
	JWTPublicKeyFile string        `split_words:"true" desc:"PEM file with the public key of tokens (RS, PS, ES, EdDSA)"`
	JwksURL          string        `split_words:"true" desc:"URL of the JWK set with the public keys of tokens"`
	JWTIssuer        string        `split_words:"true" desc:"the iss that tokens must have; empty: any"`
	JWTAudience      string        `split_words:"true" desc:"the aud that tokens must have; empty: any"`
	JWTClaim         string        `split_words:"true" default:"channels" desc:"the claim that lists globs of channels"`
	JWTCookie        string        `split_words:"true" desc:"the cookie that a token may be in; empty: none"`
	JWTQueryParam    string        `split_words:"true" desc:"the query parameter that a token may be in; empty: none"`
	AuthURL          string        `split_words:"true" desc:"forward authentication: this URL is asked with the client's cookies and Authorization"`
	AuthTimeout      time.Duration `split_words:"true" default:"5s" desc:"how long that may take"`
	AuthConcurrency  int           `split_words:"true" default:"64" desc:"how many such questions are under way at once"`
	AuthCacheTTL     time.Duration `split_words:"true" default:"0s" desc:"how long an allowing answer is kept, at most 5m; 0 is off"`

	TLSCertFile string `split_words:"true" desc:"certificate chain (PEM) for TLS and HTTP/2 on the public listener; re-read when it changes"`
	TLSKeyFile  string `split_words:"true" desc:"its key (PEM)"`

	Console   bool     `split_words:"true" default:"false" dev:"true" desc:"the console page at /"`
	LogLevel  logLevel `split_words:"true" default:"info" desc:"debug, info, warn or error"`
	LogFormat format   `split_words:"true" default:"text" desc:"text or json"`
}

// loadConfig reads the environment. The error is one line that names the
// variable, its value unless that is secret, and what is accepted.
func loadConfig(dev bool) (*config, error) {
	var c config
	if err := envconfig.Process(prefix, &c); err != nil {
		var parse *envconfig.ParseError
		if errors.As(err, &parse) {
			return nil, &valueError{parse.KeyName, parse.Value, accepted(parse.TypeName)}
		}
		return nil, err
	}
	// envconfig looks no further than a variable that is set but empty, as
	// Compose and CI set those that they pass on.
	c.RedisURL = access.Secret(os.Getenv(redisVariable()))
	if dev {
		if err := c.applyDev(); err != nil {
			return nil, err
		}
	}
	return &c, c.validate(dev)
}

// redisVariable names the variable that the Redis URL is read from, so that an
// error blames the one that has to be changed.
func redisVariable() string {
	if os.Getenv("SSE_REDIS_URL") == "" && os.Getenv("REDIS_URL") != "" {
		return "REDIS_URL"
	}
	return "SSE_REDIS_URL"
}

// applyDev sets the variables that are unset to the defaults of dev.
func (c *config) applyDev() error {
	v := reflect.ValueOf(c).Elem()
	for _, f := range variables() {
		if _, set := os.LookupEnv(f.name); set || f.devDefault == "" {
			continue
		}
		switch field := v.FieldByName(f.field).Addr().Interface().(type) {
		case *string:
			*field = f.devDefault
		case *bool:
			*field = f.devDefault == "true"
		case *time.Duration:
			d, err := time.ParseDuration(f.devDefault)
			if err != nil {
				return fmt.Errorf("%s: dev default: %w", f.name, err)
			}
			*field = d
		case *list:
			if err := field.Decode(f.devDefault); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s: no dev default for a %T", f.name, field)
		}
	}
	return nil
}

// valueError says that a variable has a value that cannot be used.
type valueError struct{ name, value, accepted string }

func (e *valueError) Error() string {
	return fmt.Sprintf("%s=%s: accepted is %s", e.name, quote(e.value), e.accepted)
}

// quote quotes a value at a length that can be shown.
func quote(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return strconv.Quote(s)
}

// accepted says in words what a type of a variable takes.
func accepted(typeName string) string {
	switch typeName {
	case "time.Duration", "Duration":
		return "a duration such as 500ms, 15s or 2m"
	case "int":
		return "a whole number"
	case "bool":
		return "true or false"
	case "main.size":
		return acceptedSize
	case "main.logLevel":
		return "debug, info, warn or error"
	case "main.role":
		return "master or replica"
	case "main.format":
		return "text or json"
	}
	return typeName
}
