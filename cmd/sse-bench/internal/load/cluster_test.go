package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// fakeNode is a cluster node that drops the connection upon its first XADDs: a
// client cannot know whether they were carried out.
type fakeNode struct {
	net.Listener
	drops int

	mu   sync.Mutex
	seen []string // guarded by mu; the XADD and XREVRANGE commands in order
}

func startFakeNode(t *testing.T, drops int) *fakeNode {
	t.Helper()
	n := &fakeNode{drops: drops}
	n.Listener = redistest.ServeConns(t, n.serve)
	return n
}

func (n *fakeNode) serve(c net.Conn) {
	defer c.Close()
	for in := bufio.NewReader(c); ; {
		args, err := readCommand(in)
		if err != nil {
			return
		}
		reply := n.answer(args)
		if reply == "" {
			return
		}
		if _, err := io.WriteString(c, reply); err != nil {
			return
		}
	}
}

// answer returns what the node says, "" to drop the connection.
func (n *fakeNode) answer(args []string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch name := strings.ToLower(args[0]); name {
	case "cluster":
		port := n.Addr().(*net.TCPAddr).Port
		return fmt.Sprintf("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n", port)
	case "xrevrange":
		n.seen = append(n.seen, name)
		return "*0\r\n"
	case "xadd":
		n.seen = append(n.seen, name)
		if n.drops--; n.drops >= 0 {
			return ""
		}
		return "$3\r\n1-1\r\n"
	}
	return "-ERR unknown command\r\n"
}

func (n *fakeNode) commands() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.seen, " ")
}

// readCommand reads an array of bulk strings.
func readCommand(in *bufio.Reader) ([]string, error) {
	count, err := readLength(in)
	if err != nil {
		return nil, err
	}
	args := make([]string, count)
	for i := range args {
		size, err := readLength(in)
		if err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(in, b); err != nil {
			return nil, err
		}
		args[i] = string(b[:size])
	}
	return args, nil
}

func readLength(in *bufio.Reader) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

// An event whose fate is unknown is never written again before the stream was
// asked whether it has it, in a cluster neither.
func TestClusterWritesOnce(t *testing.T) {
	t.Parallel()
	n := startFakeNode(t, 2)
	s, err := newRedisSink("redis+cluster://"+n.Addr().String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.run, s.size, s.keys = "0123abcd", 100, []string{"a"}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	accepted := 0
	if err := s.send(ctx, []integrity.Payload{{Seq: 1}}, func(integrity.Payload, string) { accepted++ }); err != nil {
		t.Fatal(err)
	}
	if got := n.commands(); got != "xadd xrevrange xadd xrevrange xadd" || accepted != 1 {
		t.Errorf("the node got %s; %d accepted", got, accepted)
	}
}
