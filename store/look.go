package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// look is the reply to XINFO STREAM, and to a command that reads entries of the
// same stream at the same moment.
type look struct{ info, entries respReader }

// array is the look as the reply to EXEC would have it.
func (l look) array() []byte { return slices.Concat([]byte("*2\r\n"), l.info.b, l.entries.b) }

// lookTries is how often a look without a transaction is taken until nothing
// came between its parts.
const lookTries = 10

var errUnsteady = errors.New("the stream changes too fast to be looked at without a transaction")

// lookAt takes a look at the stream with the key, in a transaction if Redis can.
// entries, the command, may be nil; k keeps its reply.
func lookAt(ctx context.Context, q querier, key string, entries []any, k *keeper) (look, error) {
	cmds := []replyCmd{newReplyCmd(ctx, idsOnly(), 2, "XINFO", "STREAM", key)}
	if entries != nil {
		cmds = append(cmds, newReplyCmd(ctx, k, 1, entries...))
	}
	switch err := transaction(ctx, q, cmds); {
	case isOutOfMemory(err):
		return lookPlainly(ctx, q, key, entries, k)
	case err != nil:
		return look{}, err
	}
	l := look{info: respReader{cmds[0].Val()}}
	if entries != nil {
		l.entries.b = cmds[1].Val()
	}
	return l, nil
}

// transaction runs commands in a transaction. It is the only way in which
// go-redis follows the MOVED and ASK of a cluster for raw replies.
func transaction(ctx context.Context, q querier, cmds []replyCmd) error {
	pipe := q.TxPipeline()
	for _, c := range cmds {
		_ = pipe.Process(ctx, c.RawWriteToCmd)
	}
	_, err := pipe.Exec(ctx)
	for _, c := range cmds {
		if cause := c.Err(); isOutOfMemory(cause) || isDenied(cause) {
			return cause // of which the transaction says only that it failed
		}
	}
	return err
}

// isOutOfMemory reports that Redis has reached maxmemory. It then refuses even
// reads in a transaction, because it would have to remember them.
func isOutOfMemory(err error) bool { return isReply(err, "OOM ") }

// lookPlainly is lookAt without a transaction: XINFO before and after, which are
// the same if nothing came between.
func lookPlainly(ctx context.Context, q querier, key string, entries []any, k *keeper) (look, error) {
	for range lookTries {
		cmds := []replyCmd{newReplyCmd(ctx, idsOnly(), 2, "XINFO", "STREAM", key)}
		if entries != nil {
			cmds = append(cmds, newReplyCmd(ctx, k, 1, entries...), newReplyCmd(ctx, idsOnly(), 2, "XINFO", "STREAM", key))
		}
		if err := pipeline(ctx, q, key, cmds); err != nil {
			return look{}, err
		}
		l := look{info: respReader{cmds[0].Val()}}
		if entries == nil {
			return l, nil
		}
		if l.entries.b = cmds[1].Val(); bytes.Equal(l.info.b, cmds[2].Val()) {
			return l, nil
		}
	}
	return look{}, errUnsteady
}

// rawReply runs one command, whose key is the argument after its name, and
// returns the reply, without the fields of entries.
func rawReply(ctx context.Context, q querier, name, key string, args ...any) (respReader, error) {
	cmd := newReplyCmd(ctx, idsOnly(), 1, append([]any{name, key}, args...)...)
	if _, ok := q.(*redis.ClusterClient); ok {
		err := transaction(ctx, q, []replyCmd{cmd})
		if !isOutOfMemory(err) {
			return respReader{cmd.Val()}, err
		}
		cmd = newReplyCmd(ctx, idsOnly(), 1, cmd.Args()...)
	}
	err := pipeline(ctx, q, key, []replyCmd{cmd})
	return respReader{cmd.Val()}, err
}

// reloadWait is how long the cluster client takes to learn of a MOVED.
const reloadWait = 50 * time.Millisecond

// pipeline runs commands about one key, without a transaction. Of a cluster's
// redirections it follows only MOVED.
func pipeline(ctx context.Context, q querier, key string, cmds []replyCmd) error {
	cluster, ok := q.(*redis.ClusterClient)
	if !ok {
		return process(ctx, q, cmds)
	}
	var err error
	for range 3 {
		var node *redis.Client
		if node, err = cluster.MasterForKey(ctx, key); err != nil {
			return err
		}
		if err = process(ctx, node, cmds); err != nil {
			return err
		}
		if err = refusal(cmds[0].Val()); !isMoved(err) {
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

func process(ctx context.Context, q querier, cmds []replyCmd) error {
	pipe := q.Pipeline()
	for _, c := range cmds {
		c.keeper.reset() // of what an attempt before had
		_ = pipe.Process(ctx, c.RawWriteToCmd)
	}
	_, err := pipe.Exec(ctx)
	return err
}

// refusal returns the error that a reply is, nil if it is none.
func refusal(reply []byte) error {
	if len(reply) == 0 || reply[0] != '-' {
		return nil
	}
	_, err := (&respReader{reply}).scalar()
	return err
}
