package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// wireReplies are replies of every form, and of sizes around the buffer's.
func wireReplies() [][]byte {
	replies := [][]byte{
		[]byte("+OK\r\n"), []byte("-ERR no\r\n"), []byte(":-12\r\n"), []byte("$-1\r\n"), []byte("*-1\r\n"), []byte("*0\r\n"),
		[]byte("$0\r\n\r\n"), []byte("$4\r\n\r\n*9\r\n"), []byte("*2\r\n*1\r\n*0\r\n$3\r\nabc\r\n"),
		[]byte("*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$5\r\nsse:a\r\n"),
	}
	for _, n := range []int{wireBuffer - 20, wireBuffer, wireBuffer + 1, 3 * wireBuffer, 2 * wireKept} {
		replies = append(replies, fmt.Appendf(nil, "*2\r\n$%d\r\n%s\r\n:1\r\n", n, strings.Repeat("\r\n$", n/3+1)[:n]))
	}
	return replies
}

// Whatever the replies are and however they come in, each is returned as it
// was sent.
func TestWireReplies(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		client, server := net.Pipe()
		var sent [][]byte
		for range 60 {
			all := wireReplies()
			sent = append(sent, all[rng.IntN(len(all))])
		}
		cut := rng.IntN(5000) + 100
		go func() {
			defer server.Close()
			stream := bytes.Join(sent, nil)
			for len(stream) > 0 {
				n := min(len(stream), cut)
				if _, err := server.Write(stream[:n]); err != nil {
					return
				}
				stream = stream[n:]
			}
		}()
		w := newWire(client, time.Minute)
		for i, want := range sent {
			got, err := w.reply()
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("reply %d of pieces of %d bytes: %.60q, %v, want %.60q", i, cut, got, err, want)
			}
			if cap(w.in) > 8*wireKept {
				t.Fatalf("the buffer has %d bytes", cap(w.in))
			}
		}
		if _, err := w.reply(); !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %v", err)
		}
		if w.buffered() {
			t.Error("something is left over")
		}
		client.Close()
	}
}

// What is sent is what Redis reads, over a real socket and for commands larger
// than it takes at once.
func TestWireCommands(t *testing.T) {
	got := make(chan []byte, 1)
	l := redistest.ServeConns(t, func(conn net.Conn) {
		defer conn.Close()
		b, _ := io.ReadAll(conn)
		got <- b
	})
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(conn, time.Minute)
	large := strings.Repeat("x", 8<<20)
	w.command("XRANGE", "a", "-")
	w.command("ECHO", large)
	if err := w.send(); err != nil {
		t.Fatal(err)
	}
	w.command("PING")
	if err := w.send(); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	want := "*3\r\n$6\r\nXRANGE\r\n$1\r\na\r\n$1\r\n-\r\n*2\r\n$4\r\nECHO\r\n$8388608\r\n" + large + "\r\n*1\r\n$4\r\nPING\r\n"
	if b := <-got; string(b) != want {
		t.Errorf("%d bytes arrived, %.80q…, want %d", len(b), b, len(want))
	}
	w.command("PING")
	if err := w.send(); err == nil {
		t.Error("sending on a closed connection is no error")
	}
}

// A server that is silent ends a wait within the patience, also if the
// deadline was set for an earlier reply.
func TestWirePatience(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go func() { _, _ = server.Write([]byte("+OK\r\n+O")) }()
	w := newWire(client, 2*deadlineStep)
	if raw, err := w.reply(); err != nil || string(raw) != "+OK\r\n" {
		t.Fatalf("%q, %v", raw, err)
	}
	if _, err := w.reply(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a reply that does not come: %v", err)
	}
}

func TestWireRefusesWhatIsNotRESP(t *testing.T) {
	for _, b := range []string{"HTTP/1.1 400 Bad Request\r\n", "*x\r\n", "$-5\r\n", "\r\n\r\n"} {
		scan := respScan{need: 1}
		if n, err := scan.advance([]byte(b)); !errors.Is(err, errReply) {
			t.Errorf("%q: %d, %v", b, n, err)
		}
	}
}

// The end that is found piece by piece is the one that the reader finds.
func FuzzRespScan(f *testing.F) {
	for _, b := range wireReplies()[:10] {
		f.Add(b, 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		step = max(step, 1)
		scan := respScan{need: 1}
		length := 0
		for end := min(step, len(b)); ; end = min(end+step, len(b)) {
			n, err := scan.advance(b[:end])
			if length = n; err != nil || n > 0 || end == len(b) {
				break
			}
		}
		if length == 0 {
			return
		}
		r := respReader{b}
		if err := r.skip(); err == nil && len(b)-len(r.b) != length {
			t.Errorf("%q: the reply has %d bytes, not %d", b, len(b)-len(r.b), length)
		}
	})
}
