// Package rediserr tells by what label an error of Redis is counted: one of its
// error replies, or of the connection to it.
package rediserr

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// ErrUnreachable is wrapped by errors of a server of which no address is known.
var ErrUnreachable = errors.New("redis cannot be reached")

// Kind maps an error to its label of the metric of errors.
func Kind(err error) string {
	var netErr net.Error
	var opErr *net.OpError
	switch {
	case resp.IsWrongType(err):
		return metrics.RedisWrongType
	case resp.IsDenied(err):
		return metrics.RedisDenied
	case resp.IsMoved(err), resp.IsAsk(err):
		return metrics.RedisMoved
	case resp.IsLoading(err):
		return metrics.RedisLoading
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout(),
		errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, resp.ErrSilent):
		return metrics.RedisTimeout
	case errors.As(err, &opErr) && opErr.Op == "dial", errors.Is(err, ErrUnreachable):
		return metrics.RedisUnreachable
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, redis.ErrClosed):
		return metrics.RedisClosed
	}
	return metrics.RedisOther
}
