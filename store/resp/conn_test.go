package resp

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// pipes returns the two ends of a connection of every kind.
func pipes(t *testing.T) map[string]func(t *testing.T) (client, server net.Conn) {
	t.Helper()
	files := redistest.NewTLSFiles(t)
	pair, err := tls.LoadX509KeyPair(files.ServerCertFile, files.ServerKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	config := files.ClientConfig()
	config.ServerName = "localhost"
	return map[string]func(t *testing.T) (client, server net.Conn){
		"pipe": func(t *testing.T) (client, server net.Conn) {
			client, server = net.Pipe()
			return closed(t, client, server)
		},
		"TCP": func(t *testing.T) (client, server net.Conn) { return tcp(t) },
		"TLS": func(t *testing.T) (client, server net.Conn) {
			c, s := tcp(t)
			return handshaken(t, tls.Client(c, config), tls.Server(s, &tls.Config{Certificates: []tls.Certificate{pair}}))
		},
		"TLS in pieces": func(t *testing.T) (client, server net.Conn) {
			c, s := tcp(t)
			slow := &stutter{Conn: c}
			client, server = handshaken(t, tls.Client(slow, config), tls.Server(s, &tls.Config{Certificates: []tls.Certificate{pair}}))
			slow.on = true
			return client, server
		},
	}
}

func closed(t *testing.T, client, server net.Conn) (net.Conn, net.Conn) {
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}

func tcp(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return closed(t, client, server)
}

func handshaken(t *testing.T, client, server *tls.Conn) (net.Conn, net.Conn) {
	t.Helper()
	failed := make(chan error, 1)
	go func() { failed <- server.Handshake() }()
	if err := errors.Join(client.Handshake(), <-failed); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// stutter is a connection whose read deadline passes before each few bytes.
type stutter struct {
	net.Conn
	on    bool
	reads int
}

func (s *stutter) Read(p []byte) (int, error) {
	if !s.on {
		return s.Conn.Read(p)
	}
	if s.reads++; s.reads%2 == 1 {
		return 0, os.ErrDeadlineExceeded
	}
	return s.Conn.Read(p[:min(len(p), 1+s.reads%1500)])
}

// connReplies are values of every form, and of sizes around the buffer's, with
// what Value has of them.
func connReplies() (in []string, want []any) {
	for _, c := range samples {
		v, err := valueOf(c.in[:len(c.in)])
		if err != nil {
			v = err
		}
		if c.pushed == "" {
			in, want = append(in, c.in), append(want, v)
		}
	}
	for _, n := range []int{bufferSize - 20, bufferSize - 1, bufferSize, bufferSize + 1, 3 * bufferSize, 40 * bufferSize} {
		s := strings.Repeat("\r\n$", n/3+1)[:n]
		in, want = append(in, fmt.Sprintf("*2\r\n$%d\r\n%s\r\n:1\r\n", n, s)), append(want, []any{s, int64(1)})
	}
	return in, want
}

// Whatever the replies are, in whatever pieces they come, and whether pushes
// come with them or deadlines pass: each is taken as it was sent.
func TestReplies(t *testing.T) {
	t.Parallel()
	for name, pipe := range pipes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, values := connReplies()
			for seed := range uint64(3) {
				rng := rand.New(rand.NewPCG(1, seed))
				client, server := pipe(t)
				pushed := &recorder{}
				c := NewConn(client, time.Minute, pushed.push)
				var stream bytes.Buffer
				var want []any
				pushes := 0
				for range 60 {
					if rng.IntN(3) == 0 {
						fmt.Fprintf(&stream, ">2\r\n+n\r\n$%d\r\n%s\r\n", pushes, strings.Repeat("p", pushes))
						pushes++
					}
					i := rng.IntN(len(all))
					stream.WriteString(all[i])
					want = append(want, values[i])
				}
				var written sync.WaitGroup
				size := 100 + rng.IntN(9000)
				written.Go(func() {
					defer server.Close()
					for b := stream.Next(size); len(b) > 0; b = stream.Next(size) {
						if _, err := server.Write(b); err != nil {
							t.Error(err)
							return
						}
					}
				})
				for i := range want {
					if rng.IntN(4) == 0 {
						c.Wake() // which is no concern of a reply's
					}
					got, err := c.Reader.Value()
					if IsReply(err) {
						got, err = err, nil
					}
					if err != nil || !reflect.DeepEqual(got, want[i]) {
						t.Fatalf("reply %d in pieces of %d bytes: %.60q, %v, want %.60q", i, size, got, err, want[i])
					}
				}
				if _, err := c.Reader.Value(); !errors.Is(err, io.EOF) {
					t.Errorf("after the end: %v", err)
				}
				written.Wait()
				if len(pushed.got) != 4*pushes {
					t.Errorf("%d elements of pushes, want %d", len(pushed.got), 4*pushes)
				}
			}
		})
	}
}

// What is sent is what the server reads, over a real socket and for commands
// larger than it takes at once.
func TestCommands(t *testing.T) {
	t.Parallel()
	client, server := tcp(t)
	got := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(server)
		got <- b
	}()
	c := NewConn(client, time.Minute, nil)
	large := strings.Repeat("x", 2<<20)
	c.Append("XRANGE", "a", "")
	c.Append("ECHO", large)
	for range 2 { // the second has nothing to send
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if cap(c.out) > maxRetained {
		t.Errorf("a buffer of %d bytes is kept", cap(c.out))
	}
	c.Append("PING")
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	c.Close()
	want := "*3\r\n$6\r\nXRANGE\r\n$1\r\na\r\n$0\r\n\r\n*2\r\n$4\r\nECHO\r\n$2097152\r\n" + large + "\r\n*1\r\n$4\r\nPING\r\n"
	if b := <-got; string(b) != want {
		t.Errorf("%d bytes arrived, %.80q…, want %d", len(b), b, len(want))
	}
	c.Append("PING")
	if err := c.Flush(); err == nil {
		t.Error("sending on a closed connection is no error")
	}
}

func TestDo(t *testing.T) {
	t.Parallel()
	c := NewConn(serve(t, func(conn net.Conn, n int) bool {
		_, err := conn.Write([]byte([]string{"+PONG\r\n", "-ERR unknown command\r\n", "$1\r\n"}[n]))
		return err == nil && n < 2
	}), time.Minute, nil)
	if v, err := c.Do("PING"); v != "PONG" || err != nil {
		t.Errorf("%v, %v", v, err)
	}
	if v, err := c.Do("HELLO", "3"); v != nil || err != Error("ERR unknown command") {
		t.Errorf("%v, %v", v, err)
	}
	if v, err := c.Do("GET", "a"); v != nil || !errors.Is(err, io.EOF) {
		t.Errorf("half a reply: %v, %v", v, err)
	}
}

// Close ends a Reply and a Wait, whatever the connection is.
func TestCloseEndsWhatWaits(t *testing.T) {
	t.Parallel()
	for name, pipe := range pipes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, wait := range []func(*Conn) error{
				func(c *Conn) error { return c.Reader.Status() },
				func(c *Conn) error { return c.Wait(time.Now().Add(time.Hour)) },
			} {
				client, server := pipe(t)
				c := NewConn(client, time.Hour, (&recorder{}).push)
				ended := make(chan error, 1)
				go func() { ended <- wait(c) }()
				if _, err := server.Write([]byte(">")); err != nil { // it waits for the rest
					t.Fatal(err)
				}
				c.Close()
				if err := <-ended; err == nil {
					t.Error("no error after Close")
				} else if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrSilent) {
					t.Error(err)
				}
				c.Wake() // does no harm
			}
		})
	}
}

// No call of Wake is lost, whoever reads or waits at that moment: each would
// hold up this test for an hour.
func TestWakeIsNotLost(t *testing.T) {
	t.Parallel()
	const wakes, wakers = 500, 3
	for name, pipe := range pipes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server := pipe(t)
			pushed := &recorder{}
			c := NewConn(client, time.Hour, pushed.push)
			go func() { // answers each command with a push and a reply
				in := make([]byte, 4096)
				for {
					n, err := server.Read(in)
					if err != nil {
						return
					}
					for range bytes.Count(in[:n], []byte("PING")) {
						if _, err := server.Write([]byte(">1\r\n+a\r\n+PONG\r\n")); err != nil {
							return
						}
					}
				}
			}()
			work := make(chan int, 1) // what Wake tells of
			seen := make(chan int)
			var wakersDone sync.WaitGroup
			for range wakers {
				wakersDone.Go(func() {
					for range wakes {
						work <- 1
						c.Wake()
						<-seen
					}
				})
			}
			for done, asked := 0, 0; done < wakes*wakers; {
				if err := c.Wait(time.Now().Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
				for more := true; more; {
					select {
					case <-work:
						done++
						seen <- 1
					default:
						more = false
					}
				}
				if done > asked*10 {
					asked++
					if v, err := c.Do("PING"); v != "PONG" || err != nil {
						t.Fatal(v, err)
					}
				}
			}
			wakersDone.Wait()
			if len(pushed.got) == 0 || len(pushed.got)%3 != 0 {
				t.Errorf("%d elements of pushes", len(pushed.got))
			}
		})
	}
}
