package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

// checkTimeout bounds all that is asked of Redis.
const checkTimeout = 10 * time.Second

// check prints the effective configuration and looks at Redis once. An error is
// one for the user to mend.
func check(ctx context.Context, cfg *config.Config, p program) error {
	cfg.Print(p.out)
	for _, w := range cfg.Warnings() {
		fmt.Fprintln(p.err, "sse-gateway: warning:", w)
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := checkRedis(ctx, cfg, p.out); err != nil {
		return usageError{fmt.Errorf("%s=%q: %w", config.RedisVariable(), redisurl.Redact(string(cfg.RedisURL)), err)}
	}
	fmt.Fprintln(p.out, "\nthe configuration is good")
	return nil
}

// checkRedis asks the server, or each master of a cluster, for what the gateway
// needs of it.
func checkRedis(ctx context.Context, cfg *config.Config, w io.Writer) error {
	addr, err := redisurl.Parse(string(cfg.RedisURL))
	if err != nil {
		return err
	}
	if err := addr.SetCredentials(cfg.RedisUsername, cfg.RedisPasswordFile); err != nil {
		return err
	}
	opts := addr.Universal()
	opts.DisableIdentity, opts.MaxRetries, opts.PoolSize = true, -1, 1
	key := cfg.KeyPrefix + "gateway.check"
	if addr.Topology == redisurl.Single { // the only one that may be a socket
		o := addr.Options(addr.Addrs[0])
		o.DisableIdentity, o.MaxRetries = true, -1
		c := redis.NewClient(o)
		defer c.Close()
		return checkServer(ctx, c, key, w)
	}
	c := redis.NewUniversalClient(opts)
	defer c.Close()
	if cluster, ok := c.(*redis.ClusterClient); ok {
		found := make(chan string, 1000)
		err := cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
			var b strings.Builder
			err := checkServer(ctx, c, key, &b)
			found <- b.String()
			return err
		})
		for range len(found) {
			fmt.Fprint(w, <-found)
		}
		return err
	}
	return checkServer(ctx, c.(*redis.Client), key, w)
}

// checkServer looks at one server, and prints what it is and whether changes of
// streams are announced there.
func checkServer(ctx context.Context, c *redis.Client, key string, w io.Writer) error {
	if err := c.Ping(ctx).Err(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s: %s\n", c.Options().Addr, productOf(ctx, c))
	var denied []error
	for _, command := range [][]any{
		{"XRANGE", key, "-", "+", "COUNT", 1}, {"XREVRANGE", key, "+", "-", "COUNT", 1}, {"XINFO", "STREAM", key},
	} {
		if err := c.Do(ctx, command...).Err(); isDenied(err) {
			denied = append(denied, err)
		}
	}
	if _, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error { p.XRangeN(ctx, key, "-", "+", 1); return nil }); isDenied(err) {
		denied = append(denied, err)
	}
	conn := c.Conn()
	defer conn.Close()
	switch err := conn.Do(ctx, "CLIENT", "TRACKING", "ON").Err(); {
	case err == nil:
		fmt.Fprintln(w, "  CLIENT TRACKING: yes")
		_ = conn.Do(ctx, "CLIENT", "TRACKING", "OFF").Err()
	case ctx.Err() != nil:
		return ctx.Err()
	case isDenied(err):
		denied = append(denied, err)
	default:
		fmt.Fprintf(w, "  CLIENT TRACKING: no, so it is polled (%v)\n", err)
	}
	if len(denied) == 0 {
		fmt.Fprintln(w, "  rights: enough to read streams")
	}
	return errors.Join(denied...)
}

func isDenied(err error) bool { return err != nil && strings.Contains(err.Error(), "NOPERM") }

// productOf names the server's product and version, as far as INFO tells.
func productOf(ctx context.Context, c *redis.Client) string {
	info, err := c.Info(ctx, "server").Result()
	if err != nil {
		return "version unknown: " + err.Error()
	}
	values := make(map[string]string)
	for in := bufio.NewScanner(strings.NewReader(info)); in.Scan(); {
		if name, value, ok := strings.Cut(in.Text(), ":"); ok {
			values[name] = value
		}
	}
	for _, product := range []string{"valkey", "dragonfly", "redis"} {
		if v := values[product+"_version"]; v != "" {
			return product + " " + v
		}
	}
	return "version unknown"
}
