package tail

import (
	"errors"
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
	n.commit(&r, entries, false, nil, true)
	n.invalidate([]byte(s.Key))
	n.enqueue(s, readSwept)
	if !s.Log.View().Known().Head.IsZero() {
		t.Error("a read of another node is in the log")
	}
	n.retryFailing()
	unsure := n.takeUnsure()
	if tasks := n.take(nil, 1); len(tasks)+len(unsure)+len(n.sources) != 0 || n.failing || n.unsure {
		t.Errorf("something is left: %d tasks, %d unsure, failing %v, %d sources", len(tasks), len(unsure), n.failing, len(n.sources))
	}

	// The new node compares first, and what it notes is not for the old one to
	// take away.
	tasks := other.take(nil, 9)
	if len(tasks) != 1 || tasks[0].why != readChecked {
		t.Fatalf("the new node's tasks: %+v", tasks)
	}
	other.askMaster(s)
	n.takeUnsure()
	if unsure := other.takeUnsure(); len(unsure) != 1 || unsure[0] != s {
		t.Errorf("the new node has %v read from the master", unsure)
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

// Errors of one key do not keep the others from being read, and are retried with
// each probe until a read has worked.
func TestFailingSourceIsReadAgain(t *testing.T) {
	t.Parallel()
	n := newTestNode(t)
	s := newSource("a")
	n.Add(s)
	r := newRead(n.take(nil, 1)[0])
	for range 3 {
		if !n.failed(&r, resp.Error("ERR no")) {
			t.Fatal("the stream is to be reconciled")
		}
		if len(n.take(nil, 1)) != 0 {
			t.Fatal("it is read again at once")
		}
		n.retryFailing()
		tasks := n.take(nil, 9)
		if len(tasks) != 1 || tasks[0].why != readChecked {
			t.Fatalf("with the next probe: %+v", tasks)
		}
	}
	n.commit(&r, nil, false, nil, true)
	if n.retryFailing(); len(n.take(nil, 1)) != 0 || n.failing {
		t.Error("it is read again although a read has worked")
	}
	if n.failed(&r, resp.Error("WRONGTYPE Operation against a key holding the wrong kind of value")) {
		t.Error("a key of another type is not reconciled")
	}
}

// MOVED and ASK have the master read, once each time, and the server is told.
func TestRedirected(t *testing.T) {
	t.Parallel()
	srv := &redirectedServer{}
	n := NewNode(testConfig(t), "n", srv)
	s := newSource("a")
	n.Add(s)
	r := newRead(n.take(nil, 1)[0])
	for _, text := range []string{"MOVED 1 127.0.0.1:1", "ASK 1 127.0.0.1:1"} {
		n.failed(&r, resp.Error(text))
		if unsure := n.takeUnsure(); len(unsure) != 1 || unsure[0] != s || n.failing {
			t.Errorf("%s: unsure %v, failing %v", text, unsure, n.failing)
		}
		if unsure := n.takeUnsure(); len(unsure) != 0 {
			t.Errorf("%s: unsure again %v", text, unsure)
		}
	}
	if len(srv.told) != 2 || !resp.IsAsk(errors.Join(srv.told[1])) {
		t.Errorf("the server was told %v", srv.told)
	}
}

type redirectedServer struct {
	fixedServer
	told []error
}

func (s *redirectedServer) Changed(err error) { s.told = append(s.told, err) }
