package topology

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

const (
	// DialTimeout bounds one attempt to connect.
	DialTimeout = 3 * time.Second
	// replyTimeout bounds the wait for a reply of history.
	replyTimeout = 2 * time.Second
	// questionConns is how many connections to a server there may be for
	// questions about it, besides those for reads of history.
	questionConns = 2
	// replyBuffer and commandBuffer are what each of those connections takes, in
	// bytes. A page of history is read through the first; go-redis would take
	// 256 KiB for both, which is more than 1,000 idle streams.
	replyBuffer, commandBuffer = 16 << 10, 4 << 10
	// clientIdle is how long a client that nobody asks for is kept. Servers of a
	// cluster come and go, and their addresses with them.
	clientIdle = 5 * time.Minute
)

// clients has a client of each server that is asked: for its part in the
// topology, or for history. Its methods may be called concurrently.
type clients struct {
	options Options

	mu  sync.Mutex
	all map[string]*client // by address
}

type client struct {
	*redis.Client
	used time.Time // when it was last asked for
}

// at returns the client of the server at addr.
func (cs *clients) at(addr string) *redis.Client {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	now := time.Now()
	c := cs.all[addr]
	if c == nil {
		for old, c := range cs.all {
			if now.Sub(c.used) > clientIdle {
				_ = c.Close()
				delete(cs.all, old)
			}
		}
		c = &client{Client: redis.NewClient(cs.clientOptions(addr))}
		cs.all[addr] = c
	}
	c.used = now
	return c.Client
}

// clientOptions are the settings of a client. RESP2 is enough, and go-redis
// carries on with a server that refuses its HELLO. What one retry does not help
// with takes long, and whoever waits can try again. (A command whose reply goes to
// a resp.Writer is not repeated by go-redis.)
func (cs *clients) clientOptions(addr string) *redis.Options {
	c := cs.options.Address.Options(addr)
	c.Protocol, c.DisableIdentity, c.ContextTimeoutEnabled = 2, true, true
	c.DialTimeout, c.ReadTimeout, c.WriteTimeout = DialTimeout, replyTimeout, replyTimeout
	c.PoolSize, c.PipelinePoolSize, c.MaxRetries = cs.options.HistoryReads+questionConns, cs.options.HistoryReads, 1
	c.ReadBufferSize, c.PipelineReadBufferSize = replyBuffer, replyBuffer
	c.WriteBufferSize, c.PipelineWriteBufferSize = commandBuffer, commandBuffer
	if cs.options.ReadReplicas && cs.isCluster() {
		c.OnConnect = func(ctx context.Context, conn *redis.Conn) error { return conn.ReadOnly(ctx).Err() }
	}
	return c
}

func (cs *clients) isCluster() bool { return cs.options.Address.Topology == redisurl.Cluster }

// forget closes the client of a server that is gone. Reads under way fail.
func (cs *clients) forget(addr string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c := cs.all[addr]; c != nil {
		_ = c.Close()
		delete(cs.all, addr)
	}
}

func (cs *clients) close() error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	var errs []error
	for addr, c := range cs.all {
		errs = append(errs, c.Close())
		delete(cs.all, addr)
	}
	return errors.Join(errs...)
}

// asker returns a tail.Asker of the server at addr.
func (cs *clients) asker(ctx context.Context, addr string) asker { return asker{ctx, cs.at(addr)} }

// asker is a tail.Asker over a client.
type asker struct {
	ctx    context.Context
	client *redis.Client
}

func (a asker) Do(args ...string) (any, error) {
	all := make([]any, len(args))
	for i, arg := range args {
		all[i] = arg
	}
	return a.client.Do(a.ctx, all...).Result()
}
