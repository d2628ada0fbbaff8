package topology

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestParseNodes(t *testing.T) {
	t.Parallel()
	const id = "07c37dfeb235213a872192d90877d0cd55635b91"
	const others = "a 127.0.0.1:1@2 master - 0 0 7 connected 0-1 [93->-b]\nc 127.0.0.1:3@4 slave a 0 0 7 connected\n"
	for text, want := range map[string]struct {
		epoch     int64
		replica   bool
		migrating []int
	}{
		id + " 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-5460\n":                                         {1, false, nil},
		id + " 127.0.0.1:1@2,host myself,slave " + id + " 0 0 1 connected\n" + others:                          {7, true, nil},
		id + " 127.0.0.1:1@2 myself,master - 0 0 1 connected 3 7-9 16383 [93->-" + id + "] [77-<-" + id + "]":  {1, false, []int{93}},
		id + " 127.0.0.1:1@2 myself,master - 0 0 1 connected -5 x-9 7-3 99999 16380-99999 [x->-" + id + "] [-": {1, false, nil},
		others + id + " 127.0.0.1:2@3 myself,master - 0 0 12 connected 2-3\n":                                  {12, false, nil},
		others:  {7, false, nil},
		"":      {},
		"x y z": {},
		"a 127.0.0.1:1@2 master - 0 0 x connected\nshort 99\n":       {},
		"a 127.0.0.1:1@2 master - 0 0 9223372036854775807 connected": {1<<63 - 1, false, nil},
	} {
		v := parseNodes(text)
		if migrating := slices.Collect(maps.Keys(v.migrating)); v.epoch != want.epoch || v.replica != want.replica || !slices.Equal(migrating, want.migrating) {
			t.Errorf("%q is read as %+v", text, v)
		}
	}
}

// fakeNode is a node of a cluster of which one master has all slots.
type fakeNode struct {
	mu     sync.Mutex
	addr   string
	master string // the address that it names; empty: it is away
	epoch  int
}

// startFakeNodes starts nodes that name nobody yet.
func startFakeNodes(t *testing.T, n int) (nodes []*fakeNode, url string) {
	t.Helper()
	var addrs []string
	for range n {
		node := &fakeNode{}
		node.addr = redistest.ServeCommands(t, node.reply)
		nodes, addrs = append(nodes, node), append(addrs, node.addr)
	}
	return nodes, "redis+cluster://" + strings.Join(addrs, ",")
}

func (n *fakeNode) name(master string, epoch int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.master, n.epoch = master, epoch
}

func (n *fakeNode) reply(args []string) (bytes string, end bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.master == "" {
		return "", true
	}
	host, port, _ := net.SplitHostPort(n.master)
	switch strings.ToUpper(strings.Join(args, " ")) {
	case "CLUSTER SLOTS":
		return fmt.Sprintf("*1\r\n*3\r\n:0\r\n:%d\r\n*3\r\n$%d\r\n%s\r\n:%s\r\n$2\r\nid\r\n", slots-1, len(host), host, port), false
	case "CLUSTER NODES":
		text := fmt.Sprintf("id %s@1 myself,master - 0 0 %d connected 0-16383\n", n.master, n.epoch)
		return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text), false
	}
	return "-ERR unknown command\r\n", false
}

// A node that was cut off from the others goes on naming the old master. The one
// that knows the highest configuration epoch is believed, whoever answers first.
func TestIsolatedNodeIsNotBelieved(t *testing.T) {
	t.Parallel()
	nodes, url := startFakeNodes(t, 3)
	topo := New(testOptions(t, url))
	closeAtEnd(t, topo)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	before, after := nodes[0].addr, nodes[1].addr
	s := newSource("a")
	if err := topo.Follow(s); !errors.Is(err, rediserr.ErrUnreachable) {
		t.Errorf("before the cluster is known: %v", err)
	}
	if err := topo.refresh(ctx, &wg); !errors.Is(err, rediserr.ErrUnreachable) {
		t.Errorf("nobody answers: %v", err)
	}
	refresh := func(want string) {
		t.Helper()
		if err := topo.refresh(ctx, &wg); err != nil {
			t.Fatal(err)
		}
		n, err := topo.NodeOf(s.Key)
		if err != nil || n.Name() != want {
			t.Fatalf("the key is at %v, %v; want %s", n, err, want)
		}
	}
	for _, n := range nodes {
		n.name(before, 3)
	}
	refresh(before)
	if err := topo.Follow(s); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes[1:] {
		n.name(after, 4)
	}
	// Two of three are always waited for, of which one at least knows.
	for range 20 {
		refresh(after)
		if s.Node().Name() != after || len(topo.Nodes()) != 1 {
			t.Fatalf("followed at %s, by one of %d nodes", s.Node().Name(), len(topo.Nodes()))
		}
	}
	nodes[1].name("", 0)
	redistest.Eventually(t, patience, "the others to answer", func() bool { return topo.refresh(ctx, &wg) == nil })
	refresh(after)
}

// A node that does not know its own address leaves the host out: it is the one
// that was asked.
func TestNodeWithoutItsOwnAddress(t *testing.T) {
	t.Parallel()
	nodes, url := startFakeNodes(t, 1)
	topo := New(testOptions(t, url))
	closeAtEnd(t, topo)
	_, port, _ := net.SplitHostPort(nodes[0].addr)
	nodes[0].name(net.JoinHostPort("", port), 1)
	ranges, err := topo.askSlots(t.Context())
	if err != nil || len(ranges) != 1 || ranges[0].Nodes[0].Addr != nodes[0].addr {
		t.Errorf("%+v, %v", ranges, err)
	}
}
