package tail

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// bulk is a string in RESP.
func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

// invalidation is a push about keys.
func invalidation(keys ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, ">2\r\n%s*%d\r\n", bulk("invalidate"), len(keys))
	for _, k := range keys {
		b.WriteString(bulk(k))
	}
	return b.String()
}

func TestInvalidations(t *testing.T) {
	t.Parallel()
	all := []string{"a", "b", "c"}
	for name, c := range map[string]struct {
		push string
		want []string
	}{
		"one key":                    {invalidation("sse:a"), []string{"a"}},
		"several keys":               {invalidation("sse:a", "sse:unknown", "other", "sse:c"), []string{"a", "c"}},
		"a key twice":                {invalidation("sse:a", "sse:a"), []string{"a"}},
		"two pushes":                 {invalidation("sse:a") + invalidation("sse:b"), []string{"a", "b"}},
		"a flushed database":         {">2\r\n$10\r\ninvalidate\r\n_\r\n", all},
		"a flush with RESP2's null":  {">2\r\n$10\r\ninvalidate\r\n*-1\r\n", all},
		"the kind as simple string":  {">2\r\n+invalidate\r\n*1\r\n" + bulk("sse:b"), []string{"b"}},
		"keys as simple strings":     {">2\r\n+invalidate\r\n*2\r\n+sse:b\r\n+sse:c\r\n", []string{"b", "c"}},
		"keys as a set":              {">2\r\n+invalidate\r\n~1\r\n+sse:b\r\n", []string{"b"}},
		"no keys":                    {invalidation(), nil},
		"an empty key":               {invalidation("", "sse:a"), []string{"a"}},
		"no elements":                {">0\r\n" + invalidation("sse:a"), []string{"a"}},
		"the kind alone":             {">1\r\n+invalidate\r\n" + invalidation("sse:a"), []string{"a"}},
		"numbers and null for keys":  {">2\r\n+invalidate\r\n*4\r\n:5\r\n_\r\n,1.5\r\n" + bulk("sse:a"), []string{"a"}},
		"a string for the list":      {">2\r\n+invalidate\r\n" + bulk("sse:a"), nil},
		"a number for the list":      {">2\r\n+invalidate\r\n:1\r\n", nil},
		"a key in a list of its own": {">2\r\n+invalidate\r\n*2\r\n*1\r\n" + bulk("sse:a") + bulk("sse:b"), []string{"b"}},
		"a kind in a list":           {">2\r\n*1\r\n+invalidate\r\n*1\r\n" + bulk("sse:a"), nil},
		"a simple key in a list":     {">2\r\n+invalidate\r\n*2\r\n*1\r\n+sse:a\r\n+sse:b\r\n", []string{"b"}},
		"a list for a kind after us": {invalidation("sse:b") + ">2\r\n*1\r\n+x\r\n*1\r\n" + bulk("sse:a"), []string{"b"}},
		"a kind of null":             {">2\r\n_\r\n*1\r\n" + bulk("sse:a"), nil},
		"another kind":               {">2\r\n+tracking-redir-broken\r\n*1\r\n" + bulk("sse:a"), nil},
		"another kind with null":     {">2\r\n+flush\r\n_\r\n", nil},
		"a kind that is longer":      {">2\r\n+invalidated\r\n*1\r\n" + bulk("sse:a"), nil},
		"a message of Pub/Sub":       {">3\r\n+message\r\n" + bulk("__redis__:invalidate") + bulk("sse:a"), nil},
		"a message that is a list":   {">3\r\n+message\r\n" + bulk("__redis__:invalidate") + "*1\r\n" + bulk("sse:a"), nil},
		"another kind, then ours":    {">2\r\n+x\r\n*2\r\n*1\r\n:1\r\n:2\r\n" + invalidation("sse:c"), []string{"c"}},
		"a huge key":                 {invalidation(strings.Repeat("k", 1<<20), "sse:b"), []string{"b"}},
		"a huge kind":                {">2\r\n" + bulk(strings.Repeat("i", 1<<20)) + "*1\r\n" + bulk("sse:a"), nil},
	} {
		for _, step := range []int{1, len(c.push)} {
			if step == 1 && len(c.push) > 1000 {
				continue
			}
			n := newTestNode(t)
			for _, channel := range all {
				n.Add(newSource(channel))
			}
			for len(n.take(nil, readBatch)) > 0 {
			}
			src := io.Reader(strings.NewReader(c.push + okReply))
			if step == 1 {
				src = iotest.OneByteReader(src)
			}
			if err := resp.NewReader(src, n.readPush).Status(); err != nil {
				t.Errorf("%s: the next reply: %v", name, err)
			}
			var got []string
			for _, task := range n.take(nil, readBatch) {
				if got = append(got, task.Channel); task.why != readInvalidated {
					t.Errorf("%s: reasons %b", name, task.why)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, in pieces of %d: %q are read, want %q", name, step, got, c.want)
			}
		}
	}
}

// Once anybody could end a session, or have all streams read, by PUBLISH to the
// channel of invalidations. Now nobody is subscribed to it.
func TestPublishToTheInvalidationChannel(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	n := newNodeAt(t, srv.Addr(), testConfig(t))
	s := newSource("a")
	n.Add(s)
	runNode(t, n)
	awaitAlive(t, n)
	awaitHead(t, s, srv.XAdd("sse:a", "d", "x"))
	for _, message := range []string{"sse:a", "", "nonsense"} {
		if heard := srv.Do("PUBLISH", "__redis__:invalidate", message); heard != int64(0) {
			t.Errorf("%v clients have heard %q", heard, message)
		}
	}
	awaitHead(t, s, srv.XAdd("sse:a", "d", "y"))
	if sessions := value(n.cfg.Metrics.TailSessions); sessions != 1 {
		t.Errorf("%v sessions", sessions)
	}
}

// An entry is announced, read and appended; a flushed database vanishes.
func TestFollow(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	n := newNodeAt(t, srv.Addr(), testConfig(t))
	s := newSource("a")
	n.Add(s)
	runNode(t, n)
	awaitAlive(t, n)
	for range 20 {
		awaitHead(t, s, srv.XAdd("sse:a", "d", "x"))
	}
	if finds := value(n.cfg.Metrics.SweepFinds); s.Log.View().Len() != 20 || finds != 0 {
		t.Errorf("%d entries, %v finds of the sweep", s.Log.View().Len(), finds)
	}
	srv.Do("FLUSHALL")
	redistest.Eventually(t, patience, "the flush to be noticed", func() bool { return s.Log.View().Gone() })
	awaitHead(t, s, srv.XAdd("sse:a", "d", "new"))
	if since := n.Lag(time.Now()); since > patience {
		t.Errorf("a lag of %v", since)
	}
}
