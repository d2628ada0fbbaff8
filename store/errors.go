package store

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// Errors of Subscribe and Fetch.
var (
	// ErrWrongType: the channel's key holds a Redis type other than a stream.
	ErrWrongType = errors.New("the channel's key does not hold a Redis stream")
	// ErrUnavailable: Redis could not be asked. It is passing.
	ErrUnavailable = errors.New("redis is unavailable")
	// ErrClosed: the store is closed or closing.
	ErrClosed = errors.New("the store is closed")
	// ErrStale: what Redis has is older than what the window has. The tail finds
	// out why, mostly within milliseconds: the stream was reset, or a replica
	// that is behind was asked.
	ErrStale = errors.New("redis has less of the stream than the window")
)

func isNoSuchKey(err error) bool { return isReply(err, "ERR no such key") }

func isWrongType(err error) bool { return isReply(err, "WRONGTYPE") }

// isReply reports whether err is, or wraps, an error reply of Redis that begins
// with one of the prefixes.
func isReply(err error, prefixes ...string) bool {
	var reply redis.Error
	return errors.As(err, &reply) && hasAnyPrefix(reply.Error(), prefixes...)
}

func hasAnyPrefix(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// isDenied reports an error of authentication or of the access control list.
func isDenied(err error) bool {
	return isReply(err, "NOAUTH", "WRONGPASS", "NOPERM", "ERR AUTH", "ERR invalid password")
}

// isMoved reports that another node has the key, for good or for now.
func isMoved(err error) bool { return isReply(err, "MOVED ", "ASK ") }

// isLoading reports that the node cannot serve yet or for the moment.
func isLoading(err error) bool {
	return isReply(err, "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY")
}

// errorKind maps an error to its metric label.
func errorKind(err error) string {
	var netErr net.Error
	var opErr *net.OpError
	var re redis.Error
	switch {
	case isWrongType(err):
		return metrics.RedisWrongType
	case isDenied(err):
		return metrics.RedisDenied
	case isMoved(err):
		return metrics.RedisMoved
	case isLoading(err):
		return metrics.RedisLoading
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout(), errors.Is(err, redis.ErrPoolTimeout):
		return metrics.RedisTimeout
	case errors.As(err, &opErr) && opErr.Op == "dial", errors.Is(err, errNoMaster):
		return metrics.RedisUnreachable
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, errRedialled):
		return metrics.RedisClosed
	case errors.As(err, &re):
		return metrics.RedisOther
	}
	return metrics.RedisOther
}
