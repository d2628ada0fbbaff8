package redisstream

import (
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

func TestInfoReader(t *testing.T) {
	t.Parallel()
	length, last := []string{str("length"), num(0)}, []string{str("last-generated-id"), str("6-1")}
	basis := append(length, last...)
	with := func(items ...string) string { return array(append(append([]string{}, basis...), items...)...) }
	seven := Info{Exists: true, Length: 3, Last: ID{6, 1}, Added: 9, Deleted: ID{3, 0}, First: ID{1, 2}, Newest: ID{5, 0}, Size: 3}
	six := seven
	six.Added, six.Deleted = -1, ID{}
	emptied := Info{Exists: true, Last: ID{6, 1}, Added: -1}
	partial := Info{Exists: true, Last: ID{6, 1}, Added: -1, Partial: true}
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
		"the embedded server":            {respMap(basis...), partial},
		"the embedded server, no entry":  {array(str("length"), num(0), str("last-generated-id"), str("")), Info{Exists: true, Added: -1, Partial: true}},
		"unknown fields that hold a lot": {with(str("groups"), array(array(str("name"), str("g"), str("pending"), array(array(num(1), "_\r\n"), respMap(str("length"), num(77))))), str("x"), "%0\r\n", str("y"), "#t\r\n", str("z"), "-ERR no\r\n"), partial},
		"a name that is long":            {with(str(strings.Repeat("length", 20)), num(1), str("q"), str(strings.Repeat("x", 1000))), partial},
		"names that are simple strings":  {array("+length\r\n", num(0), "+last-generated-id\r\n", "+6-1\r\n"), partial},
		"an entry without fields":        {with(str("first-entry"), array(str("1-2"), array())), Info{Exists: true, Last: ID{6, 1}, Added: -1, First: ID{1, 2}}},
	} {
		for cut := range len(c.in) {
			var r InfoReader
			p := resp.NewParser(nil)
			_, _, err1 := p.Feed([]byte(c.in[:cut]), &r)
			_, done, err2 := p.Feed([]byte(c.in[cut:]), &r)
			got, err := r.Info()
			if err := errors.Join(err1, err2, err); err != nil || !done || got != c.want {
				t.Fatalf("%s, cut at %d: %+v, %v, want %+v", name, cut, got, err, c.want)
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
		"an entry that is a string":     with(str("first-entry"), str("1-1")),
		"an entry of three":             with(str("last-entry"), array(str("1-1"), array(), array())),
		"an entry of one":               with(str("last-entry"), array(str("1-1"))),
		"an entry without an id":        with(str("first-entry"), array(array(), array())),
		"an entry of two ids":           with(str("first-entry"), array(str("1-1"), str("1-1"))),
		"an entry with a bad id":        with(str("first-entry"), array(str("1-x"), array())),
		"an entry of nested fields":     with(str("last-entry"), array(str("1-1"), array(array(str("a"))))),
	} {
		var r InfoReader
		if err := read(in, &r); !errors.Is(err, resp.ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInfoReaderErrors(t *testing.T) {
	t.Parallel()
	var r InfoReader
	for _, in := range []string{"-ERR no such key\r\n", "!15\r\nERR no such key\r\n"} {
		if err := read(in, &r); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Info(); err != nil || got != (Info{}) {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	if err := read("-WRONGTYPE no\r\n", &r); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Info(); err != resp.Error("WRONGTYPE no") || r.Err() != err {
		t.Errorf("got %v", err)
	}
	// After an error reply a reader may be given another one.
	if err := read(infoText[0], &r); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Info(); err != nil || got.Length != 3 || r.Err() != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTransactionReader(t *testing.T) {
	t.Parallel()
	entries := entriesText([]Entry{entry(ID{4, 0}, "a", "b"), entry(ID{5, 0}, "c", "de")})
	const missing, wrongType = "-ERR no such key\r\n", "-WRONGTYPE no\r\n"
	for name, c := range map[string]struct {
		in                  string
		err, infoErr, esErr error
		exists              bool
		seen                int
	}{
		"RESP2":                  {array(infoText[0], entries), nil, nil, nil, true, 2},
		"RESP3":                  {array(infoText[1], entries), nil, nil, nil, true, 2},
		"no such key":            {array(missing, array()), nil, nil, nil, false, 0},
		"no stream":              {array(wrongType, wrongType), nil, resp.Error("WRONGTYPE no"), resp.Error("WRONGTYPE no"), false, 0},
		"an error of the second": {array(infoText[0], "-ERR no\r\n"), nil, nil, resp.Error("ERR no"), true, 0},
		"refused":                {"-EXECABORT Transaction discarded\r\n", resp.Error("EXECABORT Transaction discarded"), nil, nil, false, 0},
		"a bulk error":           {"!13\r\nEXECABORT now\r\n", resp.Error("EXECABORT now"), nil, nil, false, 0},
		"not carried out, RESP2": {"*-1\r\n", ErrAborted, nil, nil, false, 0},
		"not carried out, RESP3": {"_\r\n", ErrAborted, nil, nil, false, 0},
	} {
		for cut := range len(c.in) {
			r := TransactionReader{Entries: &EntryReader{}}
			p := resp.NewParser(nil)
			_, _, err1 := p.Feed([]byte(c.in[:cut]), &r)
			_, done, err2 := p.Feed([]byte(c.in[cut:]), &r)
			info, err := r.Info.Info()
			if err1 != nil || err2 != nil || !done || r.Err() != c.err || err != c.infoErr || r.Entries.Err() != c.esErr || info.Exists != c.exists || r.Entries.Seen != c.seen {
				t.Fatalf("%s, cut at %d: %v, %v, %v, %v; %v, %+v, %+v", name, cut, err1, err2, r.Err(), err, r.Entries.Err(), info, r.Entries)
			}
		}
	}
	for name, in := range map[string]string{
		"a status":       "+OK\r\n",
		"a string":       str("a"),
		"three replies":  array(infoText[0], entries, entries),
		"one reply":      array(infoText[0]),
		"a map":          respMap(infoText[0], entries),
		"null as XINFO":  array("_\r\n", entries),
		"null as XRANGE": array(infoText[0], "_\r\n"),
		"in other order": array(entries, infoText[0]),
		"statuses":       array("+OK\r\n", "+OK\r\n"),
	} {
		if err := read(in, &TransactionReader{Entries: &EntryReader{}}); !errors.Is(err, resp.ErrProtocol) {
			t.Errorf("%s: %v", name, err)
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
			want.Partial, want.First, want.Newest, want.Size = want.Exists, ID{}, ID{}, 0
		}
		if want.Exists && (!whole || !counts) {
			want.Added, want.Deleted = -1, ID{}
		}
		var got []ID
		r := TransactionReader{Entries: &EntryReader{Anchor: ID{2, 0}, Each: func(e Entry) { got = append(got, e.ID) }}}
		conn.Append("MULTI")
		conn.Append("XINFO", "STREAM", key)
		conn.Append("XRANGE", key, "2-0", "+")
		conn.Append("EXEC")
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			var v resp.Value
			if err := conn.Reply(&v); err != nil {
				t.Fatal(err)
			}
			if _, err := v.Any(); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.Reply(&r); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		info, err := r.Info.Info()
		if err := errors.Join(r.Err(), err, r.Entries.Err()); err != nil || info != want || r.Entries.Found != found || fmt.Sprint(got) != fmt.Sprint(ids) {
			t.Errorf("%s: %+v, found %v, %v, %v; want %+v, %v, %v", what, info, r.Entries.Found, got, err, want, found, ids)
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
	var info InfoReader
	entries := EntryReader{}
	conn.Append("XINFO", "STREAM", key)
	conn.Append("XRANGE", key, "-", "+")
	err = errors.Join(conn.Flush(), conn.Reply(&info), conn.Reply(&entries))
	if err != nil || info.Err() == nil || entries.Err() == nil || !strings.HasPrefix(info.Err().Error(), "WRONGTYPE") || !strings.HasPrefix(entries.Err().Error(), "WRONGTYPE") {
		t.Errorf("no stream: %v, %v, %v", err, info.Err(), entries.Err())
	}
}
