package rediserr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

func TestKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{resp.Error("WRONGTYPE Operation against a key holding the wrong kind of value"), metrics.RedisWrongType},
		{resp.Error("NOAUTH Authentication required."), metrics.RedisDenied},
		{resp.Error("NOPERM this user has no permissions to run the 'xrange' command"), metrics.RedisDenied},
		{resp.Error("WRONGPASS invalid username-password pair or user is disabled."), metrics.RedisDenied},
		{resp.Error("DENIED Redis is running in protected mode"), metrics.RedisDenied},
		{resp.Error("MOVED 1 127.0.0.1:1"), metrics.RedisMoved},
		{resp.Error("ASK 1 127.0.0.1:1"), metrics.RedisMoved},
		{resp.Error("LOADING Redis is loading the dataset in memory"), metrics.RedisLoading},
		{resp.Error("CLUSTERDOWN The cluster is down"), metrics.RedisLoading},
		{resp.Error("ERR max number of clients reached"), metrics.RedisLoading},
		{resp.Error("ERR unknown command 'XRANGE'"), metrics.RedisOther},
		{resp.Error("ERR MOVED on"), metrics.RedisOther},
		{context.DeadlineExceeded, metrics.RedisTimeout},
		{os.ErrDeadlineExceeded, metrics.RedisTimeout},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, metrics.RedisTimeout},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, metrics.RedisTimeout},
		{redis.ErrPoolTimeout, metrics.RedisTimeout},
		{resp.ErrSilent, metrics.RedisTimeout},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, metrics.RedisUnreachable},
		{ErrUnreachable, metrics.RedisUnreachable},
		{io.EOF, metrics.RedisClosed},
		{io.ErrUnexpectedEOF, metrics.RedisClosed},
		{net.ErrClosed, metrics.RedisClosed},
		{redis.ErrClosed, metrics.RedisClosed}, // the client was replaced by another server's
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, metrics.RedisClosed},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, metrics.RedisClosed},
		{resp.ErrProtocol, metrics.RedisOther},
		{errors.New("anything else"), metrics.RedisOther},
	} {
		for _, err := range []error{c.err, fmt.Errorf("wrapped: %w", c.err), errors.Join(errors.New("another"), c.err)} {
			if got := Kind(err); got != c.want {
				t.Errorf("%q counts as %s, want %s", err, got, c.want)
			}
		}
	}
}

// The errors of a closed client and of a connection that nobody accepts are what
// the table takes them for.
func TestKindOfRealErrors(t *testing.T) {
	t.Parallel()
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	if err := c.Ping(t.Context()).Err(); Kind(err) != metrics.RedisUnreachable {
		t.Errorf("nobody listens: %v counts as %s", err, Kind(err))
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()).Err(); Kind(err) != metrics.RedisClosed {
		t.Errorf("it is closed: %v counts as %s", err, Kind(err))
	}
}
