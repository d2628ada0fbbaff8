// Package goredis runs commands over clients of go-redis whose replies are
// taken as they arrive.
//
// go-redis itself makes a map of an entry's fields, which loses their order and
// repeated names, and holds a reply as a whole, whatever its size.
package goredis

import (
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

// Transaction is of redisstream.Querier.
func (q Querier) Transaction(ctx context.Context, cmds ...redisstream.Command) error {
	return q.send(ctx, transaction, cmds)
}

// Pipeline is of redisstream.Querier.
func (q Querier) Pipeline(ctx context.Context, cmds ...redisstream.Command) error {
	return q.send(ctx, pipeline, cmds)
}

type sendFunc func(ctx context.Context, c *redis.Client, asking bool, cmds []redisstream.Command) error

// send sends commands about one key, again wherever the servers redirect it.
func (q Querier) send(ctx context.Context, send sendFunc, cmds []redisstream.Command) error {
	client, asking := q.Client, false
	for n := 0; ; n++ {
		err := send(ctx, client, asking, cmds)
		cause := err
		if err == nil {
			cause = cmds[0].Sink.Err()
		}
		asking = resp.IsAsk(cause)
		if q.At == nil || n == redirections || !asking && !resp.IsMoved(cause) {
			return err
		}
		words := strings.Fields(cause.Error()) // MOVED or ASK, the slot, the address
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

// transaction sends the commands in one MULTI. ASKING counts for all of it.
func transaction(ctx context.Context, c *redis.Client, asking bool, cmds []redisstream.Command) error {
	pipe := c.TxPipeline()
	if asking {
		conn := c.Conn()
		defer conn.Close()
		if err := conn.Do(ctx, "ASKING").Err(); err != nil {
			return err
		}
		pipe = conn.TxPipeline()
	}
	raw := appendTo(ctx, pipe, false, cmds)
	_, err := pipe.Exec(ctx)
	for _, c := range raw {
		if cause := c.Err(); resp.IsReply(cause) {
			return cause // of which the transaction says only that it failed
		}
	}
	return taken(raw, err)
}

// pipeline sends the commands in one go.
func pipeline(ctx context.Context, c *redis.Client, asking bool, cmds []redisstream.Command) error {
	pipe := c.Pipeline()
	raw := appendTo(ctx, pipe, asking, cmds)
	_, err := pipe.Exec(ctx)
	return taken(raw, err)
}

// rawCommand is a command of go-redis whose reply goes to a Sink.
type rawCommand struct {
	*redis.RawWriteToCmd
	writer *resp.Writer
}

// appendTo adds commands to a pipeline, each after an ASKING if asking is set.
func appendTo(ctx context.Context, pipe redis.Pipeliner, asking bool, cmds []redisstream.Command) []rawCommand {
	raw := make([]rawCommand, len(cmds))
	for i, c := range cmds {
		args := make([]any, len(c.Args))
		for j, arg := range c.Args {
			args[j] = arg
		}
		w := &resp.Writer{Sink: c.Sink}
		raw[i] = rawCommand{redis.NewRawWriteToCmd(ctx, w, args...), w}
		if asking {
			pipe.Do(ctx, "ASKING")
		}
		_ = pipe.Process(ctx, raw[i].RawWriteToCmd)
	}
	return raw
}

// taken is the error of running commands: err, or that of a reply that its Sink
// could not take.
func taken(cmds []rawCommand, err error) error {
	if err != nil {
		return err
	}
	for _, c := range cmds {
		if err := c.writer.Err(); err != nil {
			return err
		}
	}
	return nil
}
