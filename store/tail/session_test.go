package tail

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// age has a node look as if so much time had passed since it was alive.
func age(n *Node, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.aliveAt = n.aliveAt.Add(-d)
}

// newNodeAt returns a node of the server at an address.
func newNodeAt(t testing.TB, addr string, cfg *Config) *Node {
	t.Helper()
	return NewNode(cfg, addr, fixedServer{Target{Addr: addr}})
}

// awaitHead waits until the log has an entry.
func awaitHead(t testing.TB, s *Source, id string) {
	t.Helper()
	want, err := redisstream.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, patience, "the entry "+id, func() bool { return !s.Log.View().Known().Head.Less(want) })
}

// emptyServer answers as a server without streams does, and to the commands of
// the handshake as given.
func emptyServer(t testing.TB, handshake map[string]string, seen func(args []string)) (addr string) {
	return redistest.ServeCommands(t, func(args []string) (string, bool) {
		seen(args)
		switch {
		case args[0] == "XINFO":
			return "-ERR no such key\r\n", false
		case args[0] == "MULTI":
			return okReply, false
		case args[0] == "EXEC":
			return "*0\r\n", false
		case args[0] == "XRANGE":
			return "*0\r\n", false
		}
		return handshake[args[0]], false
	})
}

// A server that cannot announce changes is polled, and one line in the log says
// so, in the server's words.
func TestServerWithoutTrackingIsPolled(t *testing.T) {
	t.Parallel()
	const words = "ERR Client tracking is currently not supported for RESP2. Please use RESP3."
	var reads atomic.Int64
	addr := emptyServer(t, map[string]string{"HELLO": hello3("redis", "6.2.11"), "CLIENT": refusal(words)}, func(args []string) {
		if args[0] == "XRANGE" && args[1] == "sse:a" {
			reads.Add(1)
		}
	})
	lines := &logLines{}
	cfg := testConfig(t)
	cfg.Log = lines.logger()
	n := newNodeAt(t, addr, cfg)
	n.Add(newSource("a"))
	stop := runNode(t, n)
	redistest.Eventually(t, patience, "the stream to be read again and again", func() bool { return reads.Load() >= 5 })
	stop()
	warnings := lines.with("level=WARN")
	if len(warnings) != 1 || !strings.Contains(warnings[0], words) || !strings.Contains(warnings[0], "polling") {
		t.Errorf("warnings: %q", warnings)
	}
	if sessions := value(cfg.Metrics.TailSessions); sessions != 1 {
		t.Errorf("%v sessions", sessions)
	}
}

// A server without HELLO is polled in RESP2.
func TestServerWithoutHelloIsPolled(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, redistest.WithConfig(`rename-command HELLO ""`))
	n := newNodeAt(t, srv.Addr(), testConfig(t))
	s, w := newSource("a"), &countingWaker{}
	n.Add(s)
	s.Subscribe(w)
	stop := runNode(t, n)
	for range 3 {
		awaitHead(t, s, srv.XAdd("sse:a", "d", "x"))
	}
	stop()
	if finds := value(n.cfg.Metrics.SweepFinds); s.Log.View().Len() != 3 || w.calls == 0 || finds != 0 {
		t.Errorf("%d entries, woken %d times, %v finds of the sweep", s.Log.View().Len(), w.calls, finds)
	}
}

// Why a server is not reached stands in the status and in the line of the log
// that says since when, not only in the lines for debugging.
func TestLastErrorStands(t *testing.T) {
	t.Parallel()
	const wrongPass = "WRONGPASS invalid username-password pair or user is disabled."
	for name, c := range map[string]struct {
		hello  string
		status string
		words  string
	}{
		"refused":            {refusal(wrongPass), "refuses the gateway's user: HELLO: " + wrongPass, wrongPass},
		"loading":            {refusal("LOADING Redis is loading"), "has not been reached yet: HELLO: LOADING Redis is loading", "LOADING"},
		"too many clients":   {refusal("ERR max number of clients reached"), "has not been reached yet: HELLO: ERR max number of clients reached", "max number"},
		"hangs up":           {"", "has not been reached yet: HELLO: EOF", "EOF"},
		"is no Redis at all": {"HTTP/1.1 400 Bad Request\r\n\r\n", "has not been reached yet: HELLO: ", "not of the expected form"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := emptyServer(t, map[string]string{"HELLO": c.hello}, func([]string) {})
			lines := &logLines{}
			cfg := testConfig(t)
			cfg.Log = lines.logger()
			n := newNodeAt(t, addr, cfg)
			if status := n.Status(time.Now()); !strings.HasSuffix(status, "has not been reached yet") {
				t.Errorf("at first: %q", status)
			}
			stop := runNode(t, n)
			redistest.Eventually(t, patience, "the words of the server in the status", func() bool {
				return strings.Contains(n.Status(time.Now()), c.status)
			})
			age(n, StalledAfter)
			redistest.Eventually(t, patience, "the line of the log", func() bool { return len(lines.with("has been unreachable")) > 0 })
			// Each attempt is a line for debugging, but the first, and the wait is doubled.
			redistest.Eventually(t, patience, "three attempts", func() bool { return len(lines.with("the session with Redis ended")) >= 3 })
			stop()
			if line := lines.with("has been unreachable"); len(line) != 1 || !strings.Contains(line[0], c.words) || !strings.Contains(line[0], addr) {
				t.Errorf("lines: %q", line)
			}
			for i, line := range lines.with("the session with Redis ended")[:3] {
				want := "retry=" + (minBackoff << i).String()
				if !strings.Contains(line, want) || !strings.Contains(line, c.words) || strings.Contains(line, "level=WARN") != (i == 0) {
					t.Errorf("attempt %d: %q", i+1, line)
				}
			}
			if !n.Stalled() || n.Started() || n.Alive(time.Now()) {
				t.Errorf("stalled %v, started %v, alive %v", n.Stalled(), n.Started(), n.Alive(time.Now()))
			}
		})
	}
}

// verifyingServer has each session ask for the role of its server.
type verifyingServer struct{ fixedServer }

func (verifyingServer) Verify(c Asker) error {
	_, err := c.Do("ROLE")
	return err
}

// A user who may no longer read is noticed, although the server answers to other
// commands.
func TestLostRightIsNoticed(t *testing.T) {
	t.Parallel()
	var lost atomic.Bool
	addr := redistest.ServeCommands(t, func(args []string) (string, bool) {
		switch {
		case args[0] == "HELLO":
			return hello3("redis", "7.0.15"), false
		case args[0] == "CLIENT":
			return okReply, false
		case args[0] == "ROLE":
			return "*1\r\n+master\r\n", false
		case lost.Load():
			return refusal("NOPERM this user has no permissions to access one of the keys used as arguments"), false
		}
		return "*0\r\n", false
	})
	n := NewNode(testConfig(t), "n", verifyingServer{fixedServer{Target{Addr: addr}}})
	runNode(t, n)
	awaitAlive(t, n)
	lost.Store(true)
	redistest.Eventually(t, patience, "the error", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return resp.IsDenied(n.failure)
	})
}

// A session that worked is followed at once by the next, however many there
// were: until then nothing is delivered.
func TestSessionsThatWorked(t *testing.T) {
	t.Parallel()
	probes := 0
	addr := redistest.ServeCommands(t, func(args []string) (string, bool) {
		switch args[0] {
		case "HELLO":
			return hello3("redis", "7.0.15"), false
		case "CLIENT":
			return okReply, false
		}
		probes++
		return "*0\r\n", probes%2 == 0 // the second one of each session is its last
	})
	lines := &logLines{}
	cfg := testConfig(t)
	cfg.Log = lines.logger()
	n := newNodeAt(t, addr, cfg)
	stop := runNode(t, n)
	const sessions = 4
	redistest.Eventually(t, patience, "the sessions to end", func() bool { return len(lines.with("the session with Redis ended")) >= sessions })
	stop()
	for _, line := range lines.with("the session with Redis ended") {
		if want := "retry=" + minBackoff.String(); !strings.Contains(line, want) {
			t.Errorf("%q lacks %q", line, want)
		}
	}
}

// Subscribers that were told that Redis is away are told that it is back before
// an entry comes.
func TestBackBeforeTheEntry(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	n := newNodeAt(t, srv.Addr(), testConfig(t))
	s := newSource("a")
	n.Add(s)
	runNode(t, n)
	awaitAlive(t, n)
	for range 3 {
		age(n, 2*StalledAfter)
		n.updateStalled(time.Now())
		id, err := redisstream.ParseID(srv.XAdd("sse:a", "d", "x"))
		if err != nil {
			t.Fatal(err)
		}
		redistest.Eventually(t, patience, "the entry", func() bool {
			arrived := !s.Log.View().Known().Head.Less(id)
			if _, stalled := s.Stalled(); arrived && stalled {
				t.Fatal("the entry came while the channel was stalled")
			}
			return arrived
		})
	}
}

// What is read in one batch grows again after a session that ended while one was
// under way.
func TestBatchShrinksAndGrows(t *testing.T) {
	t.Parallel()
	n := newTestNode(t)
	s := newSource("a")
	s.Size.Observe(1, 1000)
	before := redisstream.PageEntries(s.Size.Bytes())
	for range 10 {
		n.shrinkBatch([]task{{s, readPlain}})
	}
	if n.batchLimit != 1 || redisstream.PageEntries(s.Size.Bytes()) != 1 || before <= 1 {
		t.Errorf("a batch of %d streams, %d entries of each", n.batchLimit, redisstream.PageEntries(s.Size.Bytes()))
	}
	for range 40 {
		s.Size.Observe(1, 1000)
	}
	if got := redisstream.PageEntries(s.Size.Bytes()); got != before {
		t.Errorf("%d entries, want %d", got, before)
	}
}
