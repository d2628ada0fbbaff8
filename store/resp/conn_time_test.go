package resp

import (
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// These tests run in virtual time.

const patience = 2 * time.Second

// quietly runs a test with a Conn over a pipe whose other end is served by the
// function, with no goroutine left at the end.
func quietly(t *testing.T, serve func(server net.Conn), test func(t *testing.T, c *Conn, pushes *recorder)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		pushes := &recorder{}
		c := NewConn(client, patience, pushes.push)
		go serve(server)
		test(t, c, pushes)
	})
}

func send(server net.Conn, s string) { _, _ = server.Write([]byte(s)) }

// Bytes count as life: a reply that trickles in for longer than the patience is
// taken, also if the bytes are those of a push.
func TestReplyThatTricklesIsTaken(t *testing.T) {
	for _, in := range []string{"$12\r\nhello, world\r\n", ">2\r\n+a\r\n+b\r\n+c\r\n"} {
		quietly(t, func(server net.Conn) {
			for _, b := range []byte(in) {
				redistest.Pass(patience - time.Millisecond)
				send(server, string(b))
			}
		}, func(t *testing.T, c *Conn, _ *recorder) {
			began := time.Now()
			if err := c.Reader.Status(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != time.Duration(len(in))*(patience-time.Millisecond) || c.LastArrival() != time.Now() {
				t.Errorf("it took %s; the last byte came at %s", took, c.LastArrival())
			}
		})
	}
}

// A server that is silent is given up once nothing has come for the patience,
// counted from when the reply was waited for or from the last byte; also if Wake
// is called, and if an earlier wait had another deadline.
func TestSilence(t *testing.T) {
	quietly(t, func(server net.Conn) { send(server, "+OK\r\n+O") }, func(t *testing.T, c *Conn, _ *recorder) {
		if err := c.Wait(time.Now()); err != nil { // which sets no deadline that lasts
			t.Fatal(err)
		}
		if err := c.Reader.Status(); err != nil {
			t.Fatal(err)
		}
		redistest.Pass(time.Hour) // nobody waits for the next one yet
		began := time.Now()
		for i := range 3 {
			time.AfterFunc(time.Duration(i)*patience/2, c.Wake)
		}
		if err := c.Reader.Status(); !errors.Is(err, ErrSilent) {
			t.Errorf("a reply that does not come: %v", err)
		}
		if took := time.Since(began); took != patience+graceRead {
			t.Errorf("it took %s", took)
		}
	})
}

// A reply that has arrived while nobody could take it is taken, though its time
// is over, and though Wake was called meanwhile.
func TestReplyInTheGraceIsTaken(t *testing.T) {
	for _, wake := range []bool{false, true} {
		quietly(t, func(server net.Conn) {
			redistest.Pass(patience + graceRead/2)
			send(server, "+OK\r\n")
		}, func(t *testing.T, c *Conn, _ *recorder) {
			if wake {
				c.Wake()
			}
			if err := c.Reader.Status(); err != nil {
				t.Errorf("wake %v: %v", wake, err)
			}
		})
	}
}

// A server that does not read is given up within the patience.
func TestServerThatDoesNotRead(t *testing.T) {
	quietly(t, func(net.Conn) {}, func(t *testing.T, c *Conn, _ *recorder) {
		if err := c.Flush(); err != nil { // there is nothing to read yet
			t.Fatal(err)
		}
		for range 2 {
			c.Append("PING")
			began := time.Now()
			if err := c.Flush(); err == nil {
				t.Fatal("no error")
			}
			if took := time.Since(began); took != patience {
				t.Errorf("it took %s", took)
			}
		}
	})
}

func TestWait(t *testing.T) {
	t.Run("until the time", func(t *testing.T) {
		quietly(t, func(net.Conn) {}, func(t *testing.T, c *Conn, _ *recorder) {
			for _, d := range []time.Duration{time.Minute, -time.Second, time.Second, time.Hour} {
				began := time.Now()
				if err := c.Wait(began.Add(d)); err != nil || time.Since(began) != max(d, 0) {
					t.Errorf("Wait for %s: %v after %s", d, err, time.Since(began))
				}
			}
		})
	})
	t.Run("until a push", func(t *testing.T) {
		quietly(t, func(server net.Conn) {
			for _, s := range []string{">1\r\n+a\r\n>1\r\n+b\r\n", ">1\r\n+c\r\n", ">1", "\r\n+d\r\n"} {
				redistest.Pass(time.Second)
				send(server, s)
			}
		}, func(t *testing.T, c *Conn, pushes *recorder) {
			// Half a push is waited for.
			for i, want := range []int{6, 9, 12} {
				if err := c.Wait(time.Now().Add(time.Hour)); err != nil || len(pushes.got) != want {
					t.Errorf("%d: %v, %v", i, pushes.got, err)
				}
			}
			if got := strings.Join(pushes.got, ""); got != ">1(+a)>1(+b)>1(+c)>1(+d)" {
				t.Error(got)
			}
		})
	})
	t.Run("until Wake", func(t *testing.T) {
		quietly(t, func(net.Conn) {}, func(t *testing.T, c *Conn, _ *recorder) {
			began := time.Now()
			c.Wake()
			c.Wake() // the same one
			if err := c.Wait(began.Add(time.Hour)); err != nil || time.Since(began) != 0 {
				t.Errorf("%v after %s", err, time.Since(began))
			}
			time.AfterFunc(time.Minute, c.Wake)
			if err := c.Wait(began.Add(time.Hour)); err != nil || time.Since(began) != time.Minute {
				t.Errorf("%v after %s", err, time.Since(began))
			}
			if err := c.Wait(began.Add(time.Hour)); err != nil || time.Since(began) != time.Hour {
				t.Errorf("%v after %s", err, time.Since(began))
			}
		})
	})
	t.Run("takes what came with a reply", func(t *testing.T) {
		quietly(t, func(server net.Conn) { send(server, "+OK\r\n>1\r\n+a\r\n") }, func(t *testing.T, c *Conn, pushes *recorder) {
			if err := c.Reader.Status(); err != nil || len(pushes.got) != 0 {
				t.Fatal(err, pushes.got)
			}
			if err := c.Wait(time.Now().Add(-time.Hour)); err != nil || len(pushes.got) != 3 {
				t.Error(err, pushes.got)
			}
		})
	})
	t.Run("half a push, then a reply", func(t *testing.T) {
		quietly(t, func(server net.Conn) {
			send(server, ">2\r\n+a\r\n$")
			send(server, "1\r\nb\r\n")
			send(server, "+OK\r\n")
		}, func(t *testing.T, c *Conn, pushes *recorder) {
			if err := c.Wait(time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if v, err := c.Reader.Value(); err != nil || v != "OK" || len(pushes.got) != 4 {
				t.Error(err, v, pushes.got)
			}
		})
	})
	t.Run("half a push, then silence", func(t *testing.T) {
		quietly(t, func(server net.Conn) { send(server, ">2\r\n+a\r\n$") }, func(t *testing.T, c *Conn, _ *recorder) {
			began := time.Now()
			if err := c.Wait(began.Add(time.Hour)); !errors.Is(err, ErrSilent) || time.Since(began) != patience+graceRead {
				t.Errorf("%v after %s", err, time.Since(began))
			}
		})
	})
	t.Run("refuses a reply", func(t *testing.T) {
		quietly(t, func(server net.Conn) { send(server, "+OK\r\n") }, func(t *testing.T, c *Conn, _ *recorder) {
			if err := c.Wait(time.Now().Add(time.Hour)); !errors.Is(err, ErrProtocol) {
				t.Error(err)
			}
		})
	})
}

// hooked is a connection with something to do before or after a deadline is set.
type hooked struct {
	net.Conn
	before, after func()
}

func (h *hooked) SetReadDeadline(at time.Time) error {
	if at == past {
		return h.Conn.SetReadDeadline(at)
	}
	h.before()
	defer h.after()
	return h.Conn.SetReadDeadline(at)
}

// A Wake ends a Wait that is about to set its deadline, whose own deadline would
// otherwise take the place of that of Wake.
func TestWakeBesideTheDeadline(t *testing.T) {
	for name, first := range map[string]bool{"before": true, "after": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				defer client.Close()
				defer server.Close()
				h := &hooked{Conn: client}
				c := NewConn(h, patience, nil)
				wake := map[bool]func(){true: c.Wake, false: func() {}}
				h.before, h.after = wake[first], wake[!first]
				began := time.Now()
				for i := range 3 { // each sets an earlier deadline than the one before
					if err := c.Wait(began.Add(time.Hour - time.Duration(i)*time.Minute)); err != nil || time.Since(began) != 0 {
						t.Fatalf("%v after %s", err, time.Since(began))
					}
				}
			})
		})
	}
}
