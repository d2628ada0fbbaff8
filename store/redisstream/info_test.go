package redisstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// respMap is a map of RESP3, of names and values in turn.
func respMap(items ...string) string {
	return fmt.Sprintf("%%%d\r\n%s", len(items)/2, strings.Join(items, ""))
}

// num is an integer.
func num(n int) string { return fmt.Sprintf(":%d\r\n", n) }

// infoText is the reply to XINFO STREAM of Redis 7, in RESP2 and RESP3.
var infoText = func() (both [2]string) {
	items := []string{
		str("length"), num(3), str("radix-tree-keys"), num(1), str("radix-tree-nodes"), num(2), str("last-generated-id"), str("6-1"),
		str("max-deleted-entry-id"), str("3-0"), str("entries-added"), num(9), str("recorded-first-entry-id"), str("1-2"), str("groups"), num(1),
		str("first-entry"), entryText(entry(ID{1, 2}, "a", "b")), str("last-entry"), entryText(entry(ID{5, 0}, "c", "de")),
	}
	return [2]string{array(items...), respMap(items...)}
}()

func TestReadInfo(t *testing.T) {
	t.Parallel()
	length, last := []string{str("length"), num(0)}, []string{str("last-generated-id"), str("6-1")}
	basis := append(length, last...)
	with := func(items ...string) string { return array(append(append([]string{}, basis...), items...)...) }
	seven := Info{Exists: true, Length: 3, Last: ID{6, 1}, Added: 9, Deleted: ID{3, 0}, Newest: ID{5, 0}, Size: 3}
	six := seven
	six.Added, six.Deleted = -1, ID{}
	emptied := Info{Exists: true, Last: ID{6, 1}, Added: -1}
	for name, c := range map[string]struct {
		in   string
		want Info
	}{
		"Redis 7 and Valkey, RESP2": {infoText[0], seven},
		"Redis 7 and Valkey, RESP3": {infoText[1], seven},
		"Redis 5 and 6": {array(str("length"), num(3), str("radix-tree-keys"), num(1), str("radix-tree-nodes"), num(2), str("last-generated-id"), str("6-1"), str("groups"), num(0),
			str("first-entry"), entryText(entry(ID{1, 2}, "a", "b")), str("last-entry"), entryText(entry(ID{5, 0}, "c", "de"))), six},
		"Redis 8, with more fields": {respMap(str("length"), num(3), str("last-generated-id"), str("6-1"), str("max-deleted-entry-id"), str("3-0"), str("entries-added"), num(9),
			str("idmp-duration"), num(100), str("idmp-maxsize"), num(100), str("pids-tracked"), num(0),
			str("first-entry"), entryText(entry(ID{1, 2}, "a", "b")), str("last-entry"), entryText(entry(ID{5, 0}, "c", "de"))), seven},
		"emptied, RESP2":                 {with(str("first-entry"), "$-1\r\n", str("last-entry"), "*-1\r\n"), emptied},
		"emptied, RESP3":                 {respMap(append(append([]string{}, basis...), str("first-entry"), "_\r\n", str("last-entry"), "_\r\n")...), emptied},
		"the embedded server":            {respMap(basis...), emptied},
		"the embedded server, no entry":  {array(str("length"), num(0), str("last-generated-id"), str("")), Info{Exists: true, Added: -1}},
		"unknown fields that hold a lot": {with(str("groups"), array(array(str("name"), str("g"), str("pending"), array(array(num(1), "_\r\n"), respMap(str("length"), num(77))))), str("x"), "%0\r\n", str("y"), "#t\r\n", str("z"), "-ERR no\r\n"), emptied},
		"a name that is long":            {with(str(strings.Repeat("length", 20)), num(1), str("q"), str(strings.Repeat("x", 1000))), emptied},
		"names that are simple strings":  {array("+length\r\n", num(0), "+last-generated-id\r\n", "+6-1\r\n"), emptied},
		"an entry without fields":        {with(str("last-entry"), array(str("1-2"), array())), Info{Exists: true, Last: ID{6, 1}, Added: -1, Newest: ID{1, 2}}},
	} {
		for size := 1; size < len(c.in); size++ {
			got, err := ReadInfo(resp.NewReader(&pieces{rest: c.in, size: size}, nil))
			if err != nil || got != c.want {
				t.Fatalf("%s, in pieces of %d bytes: %+v, %v, want %+v", name, size, got, err, c.want)
			}
		}
	}
	for name, in := range map[string]string{
		"a string":                      str("length"),
		"null":                          "_\r\n",
		"nothing":                       array(),
		"a name without a value":        array(str("length")),
		"no length":                     array(last...),
		"no last id":                    array(length...),
		"a length that is text":         array(append([]string{str("length"), str("x")}, last...)...),
		"a length that is null":         array(append([]string{str("length"), "_\r\n"}, last...)...),
		"a length that is an array":     array(append([]string{str("length"), array(num(1))}, last...)...),
		"a length that is an error":     array(append([]string{str("length"), "-ERR no\r\n"}, last...)...),
		"a length that is a long text":  array(append([]string{str("length"), str(strings.Repeat("1", 100))}, last...)...),
		"a last id that is none":        array(append([]string{str("last-generated-id"), str("x")}, length...)...),
		"a last id that is null":        array(append([]string{str("last-generated-id"), "_\r\n"}, length...)...),
		"a last id that is an array":    array(append([]string{str("last-generated-id"), array(str("1-1"))}, length...)...),
		"a last id that is a long text": array(append([]string{str("last-generated-id"), str(strings.Repeat("1", 100))}, length...)...),
		"a name that is an array":       with(array(str("a")), num(1)),
		"an entry that is a string":     with(str("last-entry"), str("1-1")),
		"an entry of three":             with(str("last-entry"), array(str("1-1"), array(), array())),
		"an entry of one":               with(str("last-entry"), array(str("1-1"))),
		"an entry without an id":        with(str("last-entry"), array(array(), array())),
		"an entry of two ids":           with(str("last-entry"), array(str("1-1"), str("1-1"))),
		"an entry with a bad id":        with(str("last-entry"), array(str("1-x"), array())),
		"an entry of nested fields":     with(str("last-entry"), array(str("1-1"), array(array(str("a"))))),
	} {
		if err := read(in, readInfo); !errors.Is(err, resp.ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func readInfo(rd *resp.Reader) error {
	_, err := ReadInfo(rd)
	return err
}

func TestReadInfoErrors(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"-ERR no such key\r\n", "!15\r\nERR no such key\r\n"} {
		if got, err := ReadInfo(resp.NewReader(strings.NewReader(in), nil)); err != nil || got != (Info{}) {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	if err := read("-WRONGTYPE no\r\n", readInfo); err != resp.Error("WRONGTYPE no") {
		t.Errorf("got %v", err)
	}
}

// scripted is a Querier that answers with given replies, one pipeline after the
// other.
type scripted struct{ replies [][]string }

func (q *scripted) Pipeline(_ context.Context, cmds ...Command) (own error) {
	text := strings.Join(q.replies[0], "")
	q.replies = q.replies[1:]
	rd := resp.NewReader(strings.NewReader(text), nil)
	for _, c := range cmds {
		own = cmp.Or(own, c.Read(rd))
	}
	return own
}

// A snapshot is of one moment: it is read again while the stream changes between
// its parts, and in the end it is an error.
func TestReadSnapshot(t *testing.T) {
	t.Parallel()
	info := func(last int) string {
		return array(str("length"), num(1), str("last-generated-id"), str(fmt.Sprintf("%d-0", last)))
	}
	one := func(ms uint64) string { return entriesText([]Entry{entry(ID{Ms: ms}, "a", "b")}) }
	steady := []string{info(7), one(6), one(7), info(7)}
	var changing [][]string
	for i := range snapshotTries {
		changing = append(changing, []string{info(i), array(), one(3), info(i + 1)})
	}
	for name, c := range map[string]struct {
		replies [][]string
		want    Info
		err     error
	}{
		"at once":           {[][]string{steady}, Info{Exists: true, Length: 1, Last: ID{7, 0}, Added: -1, First: ID{6, 0}}, nil},
		"the third time":    {[][]string{changing[0], changing[1], steady}, Info{Exists: true, Length: 1, Last: ID{7, 0}, Added: -1, First: ID{6, 0}}, nil},
		"never":             {changing, Info{}, ErrConcurrentChange},
		"emptied meanwhile": {[][]string{changing[0], {info(7), array(), array(), info(7)}}, Info{Exists: true, Length: 1, Last: ID{7, 0}, Added: -1}, nil},
		"no stream":         {[][]string{{"-ERR no such key\r\n", array(), array(), "-ERR no such key\r\n"}}, Info{}, nil},
		"of another type":   {[][]string{{"-WRONGTYPE\r\n", "-WRONGTYPE\r\n", "-WRONGTYPE\r\n", "-WRONGTYPE\r\n"}}, Info{}, resp.Error("WRONGTYPE")},
		"an error of one":   {[][]string{{info(7), one(7), "-ERR no\r\n", info(7)}}, Info{}, resp.Error("ERR no")},
	} {
		r := EntryReader{}
		got, err := ReadSnapshot(t.Context(), &scripted{c.replies}, "a", []string{"XRANGE", "a", "-", "+"}, r.Read)
		if got != c.want || err != c.err {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// The replies of a real server, in both protocols, and of the embedded one.
func TestReadersOnServers(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	embedded := miniredis.RunT(t)
	counts := strings.Split(srv.Info("server")["redis_version"], ".")[0] != "6"
	for name, addr := range map[string]string{"redis-server": srv.Addr(), "embedded": embedded.Addr()} {
		for _, protocol := range []string{"2", "3"} {
			t.Run(name+" RESP"+protocol, func(t *testing.T) {
				checkServer(t, addr, "s"+protocol, protocol, name == "redis-server", counts)
			})
		}
	}
}

func checkServer(t *testing.T, addr, key, protocol string, whole, counts bool) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	conn := resp.NewConn(c, 20*time.Second, nil)
	defer conn.Close()
	do := func(args ...string) {
		t.Helper()
		if _, err := conn.Do(args...); err != nil {
			t.Fatal(args, err)
		}
	}
	check := func(what string, want Info, found bool, ids ...ID) {
		t.Helper()
		if !whole {
			want.Newest, want.Size = ID{}, 0
		}
		if want.Exists && (!whole || !counts) {
			want.Added, want.Deleted = -1, ID{}
		}
		var got []ID
		r := EntryReader{Anchor: ID{2, 0}, Each: func(e Entry) { got = append(got, e.ID) }}
		info, err := ReadSnapshot(t.Context(), onConn{conn}, key, []string{"XRANGE", key, "2-0", "+"}, r.Read)
		if err != nil || info != want || r.Found != found || fmt.Sprint(got) != fmt.Sprint(ids) {
			t.Errorf("%s: %+v, found %v, %v, %v; want %+v, %v, %v", what, info, r.Found, got, err, want, found, ids)
		}
	}
	do("HELLO", protocol)
	check("no stream", Info{}, false)
	do("XADD", key, "1-0", "a", "b")
	do("XADD", key, "2-0", "a", "b")
	do("XADD", key, "3-0", "name", strings.Repeat("x", 300))
	check("three entries", Info{Exists: true, Length: 3, Last: ID{3, 0}, Added: 3, First: ID{1, 0}, Newest: ID{3, 0}, Size: 304}, true, ID{3, 0})
	do("XDEL", key, "2-0")
	check("the anchor deleted", Info{Exists: true, Length: 2, Last: ID{3, 0}, Added: 3, Deleted: ID{2, 0}, First: ID{1, 0}, Newest: ID{3, 0}, Size: 304}, false, ID{3, 0})
	do("XTRIM", key, "MAXLEN", "0")
	check("emptied", Info{Exists: true, Last: ID{3, 0}, Added: 3, Deleted: ID{2, 0}}, false)
	do("DEL", key)
	do("XGROUP", "CREATE", key, "g", "$", "MKSTREAM")
	check("never an entry", Info{Exists: true}, false)
	do("DEL", key)
	do("SET", key, "x")
	entries := EntryReader{}
	conn.Append("XINFO", "STREAM", key)
	conn.Append("XRANGE", key, "-", "+")
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{readInfo(conn.Reader), entries.Read(conn.Reader)} {
		if !resp.IsWrongType(err) {
			t.Errorf("no stream: %v", err)
		}
	}
}

// onConn is a Querier over a connection.
type onConn struct{ *resp.Conn }

func (q onConn) Pipeline(_ context.Context, cmds ...Command) (own error) {
	for _, c := range cmds {
		q.Append(c.Args...)
	}
	own = q.Flush()
	for _, c := range cmds {
		own = cmp.Or(own, c.Read(q.Reader))
	}
	return own
}
