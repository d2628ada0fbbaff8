// Package goredis runs commands over clients of go-redis whose replies are
// taken as they arrive.
//
// go-redis itself makes a map of an entry's fields, which loses their order and
// repeated names, and holds a reply as a whole, whatever its size.
package goredis

import (
	"cmp"
	"context"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// Querier is a redisstream.Querier over the client of one server. It may be used
// concurrently.
type Querier struct {
	Client *redis.Client
	// At returns the client of another server, to follow the redirections of a
	// cluster. Without it they are error replies like others.
	At func(addr string) *redis.Client
}

var _ redisstream.Querier = Querier{}

// redirections is how many MOVED and ASK are followed for one answer.
const redirections = 3

// Pipeline is of redisstream.Querier. The commands are sent again wherever the
// servers redirect the key.
func (q Querier) Pipeline(ctx context.Context, cmds ...redisstream.Command) error {
	client, asking := q.Client, false
	for n := 0; ; n++ {
		err := run(ctx, client, asking, cmds)
		asking = resp.IsAsk(err)
		if q.At == nil || n == redirections || !asking && !resp.IsMoved(err) {
			return err
		}
		words := strings.Fields(err.Error()) // MOVED or ASK, the slot, the address
		client = q.At(Absolute(words[len(words)-1], client.Options().Addr))
	}
}

// Absolute returns an address that the server at from has told. A server that
// does not know its own address leaves the host out.
func Absolute(addr, from string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host != "" {
		return addr
	}
	host, _, _ = net.SplitHostPort(from)
	return net.JoinHostPort(host, port)
}

// run sends the commands in one go, each after an ASKING if asking is set. The
// error is that of the connection, or else the first of the commands' own.
func run(ctx context.Context, client *redis.Client, asking bool, cmds []redisstream.Command) error {
	pipe := client.Pipeline()
	writers := make([]*resp.Writer, len(cmds))
	for i, c := range cmds {
		args := make([]any, len(c.Args))
		for j, arg := range c.Args {
			args[j] = arg
		}
		if asking {
			pipe.Do(ctx, "ASKING")
		}
		writers[i] = &resp.Writer{Read: c.Read}
		_ = pipe.Process(ctx, redis.NewRawWriteToCmd(ctx, writers[i], args...))
	}
	_, err := pipe.Exec(ctx)
	var own error
	for _, w := range writers {
		own = cmp.Or(own, w.Err())
	}
	return cmp.Or(err, own)
}
