package resp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/redis/go-redis/v9"
)

// A Writer has read what a Reader of a connection does, by either way in and
// whatever the pieces; half of it is an error.
func TestWriter(t *testing.T) {
	t.Parallel()
	for _, c := range samples {
		if c.pushed != "" {
			continue
		}
		for cut := range len(c.in) {
			for way := range 6 {
				var values recorder
				w := &Writer{Read: values.read}
				for i, piece := range []string{c.in[:cut], c.in[cut:]} {
					r := io.Reader(strings.NewReader(piece))
					switch {
					case way >= 3 && i == 1: // it does not come
					case way%3 == 1:
						_, _ = w.ReadFrom(iotest.OneByteReader(r))
					case way%3 == 2:
						_, _ = w.ReadFrom(iotest.DataErrReader(io.LimitReader(r, 1<<20)))
					default:
						_, _ = w.Write([]byte(piece))
					}
				}
				if err := w.Err(); way >= 3 {
					if !errors.Is(err, ErrProtocol) {
						t.Fatalf("%q: half of it is no error: %v", c.in, err)
					}
				} else if got := strings.Join(values.got, " "); err != nil || got != c.want {
					t.Fatalf("%q cut at %d, way %d: %s, %v, want %s", c.in, cut, way, got, err, c.want)
				}
			}
		}
	}
}

// Whoever writes need not stop for an error, but is told of it: of the protocol,
// of Read, of the source, and of a second reply, as a retry of half a one would
// give.
func TestWriterErrors(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "*1\r\n", "OK\r\n", ">1\r\n+a\r\n", "+OK\r\n+OK\r\n", "-ERR\r\n-ERR\r\n"} {
		for _, whole := range []bool{true, false} {
			w := &Writer{Read: (*Reader).skipNext}
			for i := range len(in) {
				piece := in[i : i+1]
				if whole && i == 0 {
					piece = in
				} else if whole {
					break
				}
				if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
					t.Fatalf("%q: Write returns %d, %v", in, n, err)
				}
			}
			if !errors.Is(w.Err(), ErrProtocol) {
				t.Errorf("%q: %v", in, w.Err())
			}
		}
	}
	broken := errors.New("broken")
	w := &Writer{Read: (*Reader).Status}
	_, _ = w.Write([]byte("$5\r\nhe"))
	if n, err := w.ReadFrom(io.MultiReader(strings.NewReader("ll"), iotest.ErrReader(broken))); n != 2 || err != broken {
		t.Errorf("ReadFrom returns %d, %v", n, err)
	}
	if _, err := w.ReadFrom(strings.NewReader("o\r\n")); err != nil || w.Err() != nil {
		t.Errorf("%v, %v", err, w.Err())
	}
	w = &Writer{Read: func(rd *Reader) error {
		if err := rd.Status(); err != nil {
			return err
		}
		return broken
	}}
	if n, err := w.Write([]byte("+OK\r\nand more")); n != 13 || err != nil || w.Err() != broken {
		t.Errorf("Write returns %d, %v, then %v", n, err, w.Err())
	}
}

// go-redis gives a Writer the replies of its raw commands. A string is not held
// anywhere but where Read appends it.
func TestWriterTakesRepliesOfGoRedis(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300_000)
	var large bytes.Buffer
	large.WriteString("*2\r\n$300000\r\n" + long + "\r\n%1\r\n+a\r\n$300000\r\n" + long + "\r\n")
	client := redis.NewClient(&redis.Options{Protocol: 2, DisableIdentity: true, MaxRetries: -1,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			return serve(t, func(conn net.Conn, _ int) bool {
				_, err := conn.Write(large.Bytes())
				return err == nil
			}), nil
		}})
	t.Cleanup(func() { _ = client.Close() })
	for range 3 {
		var values recorder
		w := &Writer{Read: values.read}
		if err := client.Process(t.Context(), redis.NewRawWriteToCmd(t.Context(), w, "ANYTHING")); err != nil || w.Err() != nil {
			t.Fatal(err, w.Err())
		}
		if got, want := strings.Join(values.got, " "), "*2( $"+long+" %2( +a $"+long+" ) )"; got != want {
			t.Fatalf("%.80q", got)
		}
	}
}

// serve returns one end of a pipe, at whose other end reply is called with the
// number of each write that arrives, until it returns false.
func serve(t testing.TB, reply func(conn net.Conn, n int) bool) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer server.Close()
		in := make([]byte, 4096)
		for n := 0; ; n++ {
			if _, err := server.Read(in); err != nil || !reply(server, n) {
				return
			}
		}
	}()
	t.Cleanup(func() {
		client.Close()
		<-ended
	})
	return client
}
