package main

import (
	"fmt"
	"io"
	"net"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
)

// welcome is what dev says when it has started.
type welcome struct {
	cfg      *config.Config
	embedded string // address of the Redis in memory, "" without
	cli      string // how to call redis-cli
}

// print says what to open and what to type.
func (w welcome) print(out io.Writer, a addrs) {
	scheme, curl := "http", "curl -N"
	if w.cfg.TLSCertFile != "" {
		scheme, curl = "https", "curl -Nk"
	}
	forgets := ""
	if w.embedded != "" {
		forgets = ", and the Redis in memory forgets all at the end"
	}
	public, admin := config.Reachable(a.public), config.Reachable(a.admin)
	fmt.Fprintf(out, `
sse-gateway dev: not for production (the console can publish%s)

  open     %s://%s/
  publish  %s XADD %sorders '*' data hello
  read     %s '%s://%s%s?channel=orders'
  metrics  http://%s/metrics

`, forgets, scheme, public, w.cli, w.cfg.KeyPrefix, curl, scheme, public, w.cfg.Path, admin)
}

// redisCLI is how to call redis-cli for a Redis, without a password.
func redisCLI(o *redis.Options) string {
	cli := "redis-cli"
	switch host, port, err := net.SplitHostPort(o.Addr); {
	case o.Network == "unix":
		cli += " -s " + o.Addr
	case err == nil && o.Addr != devRedisAddr:
		cli += " -h " + host + " -p " + port
	}
	if o.TLSConfig != nil {
		cli += " --tls"
	}
	if o.DB != 0 {
		cli += fmt.Sprintf(" -n %d", o.DB)
	}
	return cli
}
