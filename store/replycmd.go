package store

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// replyCmd is a command and the keeper of its reply.
type replyCmd struct {
	*redis.RawWriteToCmd
	keeper *keeper
}

// newReplyCmd is a command whose first key is at the position, 0 if it has none.
func newReplyCmd(ctx context.Context, k *keeper, keyAt int8, args ...any) replyCmd {
	c := replyCmd{redis.NewRawWriteToCmd(ctx, k, args...), k}
	if keyAt > 0 {
		c.SetFirstKeyPos(keyAt)
	}
	return c
}

// Val returns what was kept of the reply.
func (c replyCmd) Val() []byte { return c.keeper.b }
