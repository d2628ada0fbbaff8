package load

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// An event whose fate is unknown is never written again before the stream was
// asked whether it has it, in a cluster neither. The node drops the connection upon
// its first two XADDs: a client cannot know whether they were carried out.
func TestClusterWritesOnce(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 10) // the XADD and XREVRANGE commands in order
	drops := 2
	port := make(chan string, 1)
	addr := redistest.ServeCommands(t, func(args []string) (reply string, end bool) {
		switch name := strings.ToLower(args[0]); name {
		case "cluster":
			own := <-port
			port <- own
			return "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:" + own + "\r\n", false
		case "xrevrange":
			seen <- name
			return "*0\r\n", false
		case "xadd":
			seen <- name
			if drops--; drops >= 0 {
				return "", true
			}
			return "$3\r\n1-1\r\n", false
		}
		return "-ERR unknown command\r\n", false
	})
	_, own, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	port <- own
	s, err := newRedisSink("redis+cluster://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.run, s.size, s.data, s.keys = "0123abcd", 100, (&Options{Size: 100}).payload("0123abcd"), []string{"a"}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	accepted := 0
	if err := s.send(ctx, []integrity.Payload{{Seq: 1}}, func(integrity.Payload, string) { accepted++ }); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range len(seen) {
		got = append(got, <-seen)
	}
	if want := []string{"xadd", "xrevrange", "xadd", "xrevrange", "xadd"}; !slices.Equal(got, want) || accepted != 1 {
		t.Errorf("the node got %s; %d accepted", got, accepted)
	}
}
