package store

import (
	"testing"
	"time"
)

// TestMovedWindow has a window go to another node while the first one is about to
// note something about it.
func TestMovedWindow(t *testing.T) {
	t.Parallel()
	s, err := Open(testConfig(t, "redis://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n, other := newNode(s, &endpoint{}, "n", nil), newNode(s, &endpoint{}, "other", nil)
	w := newWindow(ID{})
	w.node.Store(n)
	if n.suspect(w, 1); len(n.suspects) != 1 {
		t.Fatal("no suspect")
	}
	n.acquit()
	se := &session{n: n, doubts: newDoubts()}
	if se.certain(w) {
		t.Fatal("certain at once")
	}
	se.resolve(time.Now().Add(time.Second), nil)
	if len(se.doubts.proven) != 1 {
		t.Fatal("the doubt was not resolved")
	}
	w.node.Store(other)
	if n.suspect(w, 1); len(n.suspects) != 0 {
		t.Error("a suspect of another node")
	}
	if se.resolve(time.Now().Add(time.Second), nil); len(se.doubts.proven)+len(se.doubts.raised) != 0 {
		t.Error("a doubt about another node's window is kept")
	}
}
