// Package goredis runs commands over clients of go-redis whose replies are
// taken as they arrive.
//
// go-redis itself makes a map of an entry's fields, which loses their order and
// repeated names, and holds a reply as a whole, whatever its size.
package goredis

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// Querier is a redisstream.Querier over a client. It may be used concurrently.
type Querier struct{ Client redis.UniversalClient }

var _ redisstream.Querier = Querier{}

// Transaction is of redisstream.Querier. It is the only way in which go-redis
// follows the MOVED and ASK of a cluster for raw replies.
func (q Querier) Transaction(ctx context.Context, _ string, cmds ...redisstream.Command) error {
	raw := make([]rawCommand, len(cmds))
	pipe := q.Client.TxPipeline()
	for i, c := range cmds {
		raw[i] = newRawCommand(ctx, c)
		_ = pipe.Process(ctx, raw[i].RawWriteToCmd)
	}
	_, err := pipe.Exec(ctx)
	for _, c := range raw {
		if cause := c.Err(); resp.IsReply(cause) {
			return cause // of which the transaction says only that it failed
		}
	}
	return taken(raw, err)
}

const (
	// movedTries is how often a cluster's MOVED is followed.
	movedTries = 3
	// reloadWait is how long the cluster client takes to learn of a MOVED.
	reloadWait = 50 * time.Millisecond
)

// Pipeline is of redisstream.Querier. On a cluster it is a transaction, or where
// the server refuses that for want of memory, commands to the master of the
// key, of whose redirections only MOVED is followed.
func (q Querier) Pipeline(ctx context.Context, key string, cmds ...redisstream.Command) error {
	cluster, ok := q.Client.(*redis.ClusterClient)
	if !ok {
		return pipeline(ctx, q.Client, cmds)
	}
	if len(cmds) == 1 {
		if err := q.Transaction(ctx, key, cmds...); !resp.IsOutOfMemory(err) {
			return err
		}
	}
	var err error
	for range movedTries {
		var node *redis.Client
		if node, err = cluster.MasterForKey(ctx, key); err != nil {
			return err
		}
		if err = pipeline(ctx, node, cmds); err != nil {
			return err
		}
		if err = cmds[0].Sink.Err(); !resp.IsMoved(err) {
			return nil
		}
		cluster.ReloadState(ctx)
		select {
		case <-time.After(reloadWait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func pipeline(ctx context.Context, client redis.Cmdable, cmds []redisstream.Command) error {
	raw := make([]rawCommand, len(cmds))
	pipe := client.Pipeline()
	for i, c := range cmds {
		raw[i] = newRawCommand(ctx, c)
		_ = pipe.Process(ctx, raw[i].RawWriteToCmd)
	}
	_, err := pipe.Exec(ctx)
	return taken(raw, err)
}

// rawCommand is a command of go-redis whose reply goes to a Sink.
type rawCommand struct {
	*redis.RawWriteToCmd
	writer *resp.Writer
}

func newRawCommand(ctx context.Context, c redisstream.Command) rawCommand {
	args := make([]any, len(c.Args))
	for i, a := range c.Args {
		args[i] = a
	}
	w := &resp.Writer{Sink: c.Sink}
	raw := rawCommand{redis.NewRawWriteToCmd(ctx, w, args...), w}
	// A cluster client looks for the slot of the key.
	raw.SetFirstKeyPos(c.KeyPosition())
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
