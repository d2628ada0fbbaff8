package topology

import (
	"cmp"
	"context"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// querier is a redisstream.Querier over go-redis's client of a server, which may
// be used concurrently. go-redis itself makes a map of an entry's fields, which
// loses their order and repeated names, and holds a reply as a whole, whatever its
// size. So replies are read as they arrive.
type querier struct {
	clients *clients
	addr    string
}

// redirections is how many MOVED and ASK are followed for one answer.
const redirections = 3

// Pipeline is of redisstream.Querier. In a cluster the commands are sent again
// wherever the servers redirect the key; elsewhere a redirection is an error reply
// like others.
func (q querier) Pipeline(ctx context.Context, cmds ...redisstream.Command) error {
	addr, asking := q.addr, false
	for n := 0; ; n++ {
		err := send(ctx, q.clients.at(addr), asking, cmds)
		asking = resp.IsAsk(err)
		if !q.clients.isCluster() || n == redirections || !asking && !resp.IsMoved(err) {
			return err
		}
		words := strings.Fields(err.Error()) // MOVED or ASK, the slot, the address
		addr = absolute(words[len(words)-1], addr)
	}
}

// absolute returns an address that the server at from has told. A server that
// does not know its own address leaves the host out.
func absolute(addr, from string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host != "" {
		return addr
	}
	host, _, _ = net.SplitHostPort(from)
	return net.JoinHostPort(host, port)
}

// send sends the commands in one go, each after an ASKING if asking is set. The
// error is that of the connection, or else the first of the commands' own.
func send(ctx context.Context, client *redis.Client, asking bool, cmds []redisstream.Command) error {
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
