package main

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

const (
	redisDialTimeout = 5 * time.Second
	// redisReadTimeout is long, because a reply that was given up cannot be told
	// from an event that was never written.
	redisReadTimeout = 60 * time.Second
)

// newRedis connects as a URL says: redis://, rediss:// and unix:// for one
// server, redis+sentinel://host:port,host:port/db?master=NAME and
// redis+cluster://host:port,host:port, both also with rediss+. Commands are
// never repeated by the client: a repeated XADD would be a repeated event. What a
// gateway does not accept is not accepted here. No error names a password, nor a
// part of the URL that may be one.
func newRedis(raw string, connections int) (redis.UniversalClient, error) {
	addr, err := redisurl.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("the Redis URL: %w", err)
	}
	scheme, rest, _ := strings.Cut(raw, "://")
	o := &redis.UniversalOptions{
		DialTimeout: redisDialTimeout, ReadTimeout: redisReadTimeout, WriteTimeout: redisReadTimeout,
		MaxRetries: -1, PoolSize: connections + 1, ContextTimeoutEnabled: true,
	}
	secure := strings.HasPrefix(scheme, "rediss")
	if addr.Topology == redisurl.Single {
		return newSingleRedis(raw, o)
	}
	// net/url does not accept a list of hosts with ports.
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	userinfo, hosts := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		userinfo, hosts = authority[:i+1], authority[i+1:]
	}
	u, err := url.Parse("redis://" + userinfo + "host" + tail)
	if err != nil {
		return nil, notUnderstood(raw)
	}
	o.Addrs = strings.Split(hosts, ",")
	o.Username = u.User.Username()
	o.Password, _ = u.User.Password()
	if secure {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if strings.HasSuffix(scheme, "cluster") {
		o.IsClusterMode = true
		return redis.NewUniversalClient(o), nil
	}
	o.MasterName = u.Query().Get("master")
	if db := strings.Trim(u.Path, "/"); db != "" {
		if o.DB, err = strconv.Atoi(db); err != nil {
			return nil, notUnderstood(raw)
		}
	}
	return redis.NewUniversalClient(o), nil
}

func newSingleRedis(raw string, with *redis.UniversalOptions) (redis.UniversalClient, error) {
	o, err := redis.ParseURL(raw)
	if err != nil {
		return nil, notUnderstood(raw)
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = with.DialTimeout, with.ReadTimeout, with.WriteTimeout
	o.MaxRetries, o.PoolSize, o.ContextTimeoutEnabled = with.MaxRetries, with.PoolSize, true
	return redis.NewClient(o), nil
}

// notUnderstood is about a URL that a gateway accepts. The causes, of net/url and
// of go-redis, quote the URL or parts of it, so they are left out.
func notUnderstood(raw string) error {
	return fmt.Errorf("%s has a parameter or a part that sse-bench does not know", redisurl.Redact(raw))
}
