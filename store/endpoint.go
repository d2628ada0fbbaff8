package store

import (
	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

// endpoint is the address of Redis, and which of its servers are read from.
type endpoint struct {
	*redisurl.Address
	replicas bool
}

// options are the settings of a client for the server at addr.
func (e *endpoint) options(addr string) *redis.Options { return withLimits(e.Options(addr)) }

// withLimits sets what holds for every client of one server.
func withLimits(o *redis.Options) *redis.Options {
	o.Protocol, o.DisableIdentity, o.ContextTimeoutEnabled = 2, true, true
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, replyTimeout, replyTimeout
	return o
}
