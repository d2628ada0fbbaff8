package store

import (
	"crypto/tls"
	"net"

	"github.com/redis/go-redis/v9"
)

// options are the settings of a client for the server at addr.
func (e *endpoint) options(addr string) *redis.Options {
	o := &redis.Options{
		Network: e.network, Addr: addr, Username: e.username, Password: e.password, DB: e.db,
		Protocol: 2, DisableIdentity: true,
		DialTimeout: dialTimeout, ReadTimeout: replyTimeout, WriteTimeout: replyTimeout,
		ContextTimeoutEnabled: true,
	}
	if e.tls != nil {
		o.TLSConfig = e.tlsFor(addr)
	}
	return o
}

// tlsFor is the TLS configuration for the server at addr, whose name is
// checked unless the URL has another one.
func (e *endpoint) tlsFor(addr string) *tls.Config {
	c := e.tls.Clone()
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(addr)
	}
	return c
}
