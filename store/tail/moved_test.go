package tail

import (
	"sync"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// A node has no part in a source that has moved away, whatever it had noted
// before, and whatever it was about to note.
func TestMovedSource(t *testing.T) {
	t.Parallel()
	n, other := newTestNode(t), newTestNode(t)
	s, w := newSource("a"), &countingWaker{}
	n.Add(s)
	s.Subscribe(w)
	r := newRead(n.take(nil, 1)[0])
	n.failed(&r, resp.Error("MOVED 1 127.0.0.1:1"))
	n.failed(&r, resp.Error("ERR no"))
	if n.enqueue(s, readInvalidated); !n.Move(s, other) {
		t.Fatal("it did not move")
	}
	if n.Move(s, other) || n.Remove(s) || s.Node() != other || w.calls != 1 {
		t.Errorf("it is followed by the wrong node, or woke its subscriber %d times", w.calls)
	}

	// What the first node was about to note.
	n.failed(&r, resp.Error("ERR no"))
	n.failed(&r, resp.Error("ASK 1 127.0.0.1:1"))
	entries := []eventlog.Entry{{ID: redisstream.ID{Ms: 1}}}
	n.newReader(abilities{}, &Target{}).commit(&r, entries, false)
	n.invalidate([]byte(s.Key))
	n.enqueue(s, readSwept)
	if !s.Log.View().Known().Head.IsZero() {
		t.Error("a read of another node is in the log")
	}
	retries := n.retries()
	if tasks := n.take(nil, 1); len(tasks)+len(retries)+len(n.sources) != 0 || n.retry {
		t.Errorf("something is left: %d tasks, %d retries, %d sources", len(tasks), len(retries), len(n.sources))
	}

	// The new node compares first, and what it notes is not for the old one to
	// take away.
	tasks := other.take(nil, 9)
	if len(tasks) != 1 || tasks[0].why != readChecked {
		t.Fatalf("the new node's tasks: %+v", tasks)
	}
	other.retryLater(s)
	n.retries()
	if retries := other.retries(); len(retries) != 1 || retries[0] != s {
		t.Errorf("the new node retries %v", retries)
	}
}

// A source that moves is followed by one of the two nodes at any moment.
func TestMoveIsOneStep(t *testing.T) {
	t.Parallel()
	n, other := newTestNode(t), newTestNode(t)
	s := newSource("a")
	n.Add(s)
	other.mu.Lock() // which holds up the move in the middle
	done := make(chan bool)
	go func() { done <- n.Move(s, other) }()
	redistest.Eventually(t, patience, "the move to begin", func() bool {
		if s.Node() != n {
			return true
		}
		free := n.mu.TryLock()
		if free {
			n.mu.Unlock()
		}
		return !free
	})
	if s.Node() != n {
		t.Error("nobody follows it while it moves")
	}
	other.mu.Unlock()
	if !<-done || s.Node() != other {
		t.Error("it has not moved")
	}
}

// A source that is removed while it moves is followed by nobody afterwards.
// The loop is that of the store, which knows no lock of the topology's.
func TestRemoveWhileMoving(t *testing.T) {
	t.Parallel()
	for range 100 {
		a, b := newTestNode(t), newTestNode(t)
		s := newSource("a")
		a.Add(s)
		var both sync.WaitGroup
		both.Go(func() {
			for range 300 {
				if !a.Move(s, b) || !b.Move(s, a) {
					return
				}
			}
		})
		both.Go(func() {
			for n := s.Node(); n != nil && !n.Remove(s); n = s.Node() {
			}
		})
		both.Wait()
		if s.Node() != nil || len(a.sources)+len(b.sources) != 0 {
			t.Fatal("it is still followed")
		}
	}
}

// Errors of one key do not keep the others from being read. The key is retried, and
// told of once, until its server has read it; what the master has does not count.
func TestFailingSourceIsRetried(t *testing.T) {
	t.Parallel()
	for text, told := range map[string]int{"ERR no": 0, "MOVED 1 127.0.0.1:1": 1, "ASK 1 127.0.0.1:1": 1} {
		srv, lines, cfg := &redirectedServer{}, &logLines{}, testConfig(t)
		cfg.Log = lines.logger()
		n := NewNode(cfg, "n", srv)
		s := newSource("a")
		n.Add(s)
		r := newRead(n.take(nil, 1)[0])
		for range 3 {
			if !n.failed(&r, resp.Error(text)) {
				t.Fatalf("%s: the stream is to be reconciled", text)
			}
			n.newReader(abilities{}, nil).commit(&r, nil, false)
			if retries := n.retries(); len(retries) != 1 || retries[0] != s || len(n.take(nil, 1)) != 0 {
				t.Fatalf("%s: retried are %v", text, retries)
			}
		}
		if len(srv.told) != told || len(lines.with("cannot be read")) != 1-told {
			t.Errorf("%s: the server was told %v, the log has %v", text, srv.told, lines.with("cannot be read"))
		}
		n.newReader(abilities{}, &Target{}).commit(&r, nil, false)
		if retries := n.retries(); len(retries) != 0 || n.retry {
			t.Errorf("%s: retried are %v although a read has worked", text, retries)
		}
		if n.failed(&r, resp.Error("WRONGTYPE Operation against a key holding the wrong kind of value")) {
			t.Error("a key of another type is not reconciled")
		}
	}
}

// A key that no server can be asked for but the one that refuses it is read again,
// and again, and followed when the server relents.
func TestRefusedKeyIsFollowedLater(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.Do("ACL", "SETUSER", "default", "resetkeys", "~sse:gateway.probe", "~sse:b")
	n := newNodeAt(t, srv.Addr(), testConfig(t))
	a, b := newSource("a"), newSource("b")
	n.Add(a)
	n.Add(b)
	runNode(t, n)
	awaitHead(t, b, srv.XAdd("sse:b", "data", "x"))
	srv.Do("ACL", "SETUSER", "default", "allkeys")
	awaitHead(t, a, srv.XAdd("sse:a", "data", "x"))
}

type redirectedServer struct {
	fixedServer
	told []error
}

func (s *redirectedServer) Changed(err error) { s.told = append(s.told, err) }
