package topology

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// newQuerier returns what reads history from the first server of a URL.
func newQuerier(t *testing.T, url string) querier {
	topo := New(testOptions(t, url))
	closeAtEnd(t, topo)
	return querier{topo.clients, topo.options.Address.Addrs[0]}
}

// entries is a reader that keeps all fields, and what it has read.
func entries(got *[]string) *redisstream.EntryReader {
	return &redisstream.EntryReader{
		MaxEntry: 1 << 20,
		Each:     func(e redisstream.Entry) { *got = append(*got, fmt.Sprintf("%s %q", e.ID, e.Fields)) },
	}
}

func xrange(key string, read func(*resp.Reader) error) redisstream.Command {
	return redisstream.Command{Args: []string{"XRANGE", key, "-", "+"}, Read: read}
}

func xinfo(key string, into *redisstream.Info) redisstream.Command {
	return redisstream.Command{Args: []string{"XINFO", "STREAM", key}, Read: func(r *resp.Reader) (err error) {
		*into, err = redisstream.ReadInfo(r)
		return err
	}}
}

// Fields come in their order, repeated names included, and values of any bytes
// and any size.
func TestPipeline(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	long := strings.Repeat("x\r\n$5\r\n", 20_000)
	srv.Do("XADD", "sse:a", "1-1", "b", "1", "a", "2", "b", "", "a", long)
	var got []string
	var info redisstream.Info
	reader := entries(&got)
	if err := newQuerier(t, srv.URL()).Pipeline(t.Context(), xinfo("sse:a", &info), xrange("sse:a", reader.Read)); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("1-1 %q", []string{"b", "1", "a", "2", "b", "", "a", long})
	if info.Length != 1 || !slices.Equal(got, []string{want}) {
		t.Errorf("%+v; %d entries", info, len(got))
	}
}

// An error reply is the error of its command, the others are carried out, and the
// client can be used further.
func TestPipelineErrors(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.Do("SET", "sse:s", "x")
	srv.XAdd("sse:a", "d", "x")
	q := newQuerier(t, srv.URL())
	for range 2 {
		var got []string
		if err := q.Pipeline(t.Context(), xrange("sse:s", entries(&got).Read), xrange("sse:a", entries(&got).Read)); !resp.IsWrongType(err) || len(got) != 1 {
			t.Errorf("%v, %d entries", err, len(got))
		}
	}
}

// A snapshot is read also when Redis has reached maxmemory, and refuses even reads
// in a transaction.
func TestSnapshotWithoutMemory(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.XAdd("sse:a", "d", "x")
	srv.Do("CONFIG", "SET", "maxmemory", "1")
	var got []string
	info, err := redisstream.ReadSnapshot(t.Context(), newQuerier(t, srv.URL()), "sse:a", xrange("sse:a", nil).Args, entries(&got).Read)
	if err != nil || info.Length != 1 || len(got) != 1 {
		t.Errorf("%+v, %v, %d entries", info, err, len(got))
	}
}

// A reply that is not of the expected form, and a connection that ends, are
// errors.
func TestNonsense(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reply    string
		protocol bool
	}{
		"a number for the entries":     {":1\r\n", true},
		"an entry without an id":       {"*1\r\n*2\r\n$1\r\nx\r\n*0\r\n", true},
		"an entry without fields":      {"*1\r\n*1\r\n$3\r\n1-1\r\n", true},
		"lists all the way down":       {strings.Repeat("*1\r\n", 20) + ":1\r\n", true},
		"a connection that ends":       {"", false},
		"a reply that ends in a value": {"*1\r\n*2\r\n$3\r\n1-", false},
	} {
		addr := redistest.ServeCommands(t, func(args []string) (string, bool) {
			if args[0] == "XRANGE" {
				return c.reply, !strings.HasSuffix(c.reply, "\r\n")
			}
			return "-ERR unknown command\r\n", false // HELLO is not needed
		})
		var got []string
		err := newQuerier(t, "redis://"+addr).Pipeline(t.Context(), xrange("sse:a", entries(&got).Read))
		if err == nil || c.protocol && !errors.Is(err, resp.ErrProtocol) || len(got) > 0 {
			t.Errorf("%s: %v, %d entries", name, err, len(got))
		}
	}
}

// A key that has moved, or is on its way, is read where it is, also if the server
// leaves its own host out. A server that redirects for ever is given up.
func TestRedirections(t *testing.T) {
	t.Parallel()
	has := redistest.ServeCommands(t, func(args []string) (string, bool) {
		switch args[0] {
		case "ASKING":
			return "+OK\r\n", false
		case "XRANGE":
			return "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", false
		}
		return "-ERR unknown command\r\n", false
	})
	_, port, _ := net.SplitHostPort(has)
	for redirection, follows := range map[string]bool{
		"MOVED 1 " + has: true, "ASK 1 " + has: true, "MOVED 1 :" + port: true, "MOVED 1 self": false, "ERR no": false,
	} {
		var self string
		self = redistest.ServeCommands(t, func(args []string) (string, bool) {
			if args[0] == "XRANGE" {
				return "-" + strings.ReplaceAll(redirection, "self", self) + "\r\n", false
			}
			return "-ERR unknown command\r\n", false
		})
		for _, scheme := range []string{"redis+cluster://", "redis://"} {
			q := newQuerier(t, scheme+self)
			followed := follows && q.clients.isCluster()
			var got []string
			reader := entries(&got)
			err := q.Pipeline(t.Context(), xrange("sse:a", reader.Read))
			if (len(got) == 1) != followed || (len(got) == 1) != (err == nil) {
				t.Errorf("%s by way of %s: %d entries, %v", redirection, scheme, len(got), err)
			}
		}
	}
}
