package gateway

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestHTTP2Floods(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	honest := []*client{r.subscribe("channel=honest"), r.do(h2c, r.request("channel=honest"))}
	honest[1].next()
	pings := bytes.Repeat(h2Frame(h2FramePing, 0, 0, make([]byte, 8)), 1000)
	settings := bytes.Repeat(h2Settings(), 1000)
	for name, attack := range map[string]func(){
		"rapid reset": func() {
			r.h2Attack(t, true, func(i int) []byte {
				if i == 20 {
					return nil
				}
				var b []byte
				for j := range 100 {
					stream := uint32(200*i + 2*j + 1)
					b = append(append(b, h2Get(stream, r.addr, "/events?channel=a")...), h2Reset(stream)...)
				}
				return b
			})
		},
		"streams without end": func() {
			r.h2Attack(t, true, func(i int) []byte {
				if i == 1500 {
					return nil
				}
				return h2Get(uint32(2*i+1), r.addr, "/events?channel=a")
			})
		},
		"pings, unread": func() {
			r.h2Attack(t, false, func(i int) []byte {
				if i == 50 {
					return nil
				}
				return pings
			})
		},
		"settings, unread": func() {
			r.h2Attack(t, false, func(i int) []byte {
				if i == 50 {
					return nil
				}
				return settings
			})
		},
		"headers without end": func() {
			r.h2Attack(t, true, func(i int) []byte {
				switch {
				case i == 0:
					return h2Frame(h2FrameHeaders, h2EndStream, 1, []byte{0x82, 0x86})
				case i == 5_000:
					return nil
				}
				return h2Frame(h2FrameContinue, 0, 1, h2Field("x", strings.Repeat("y", 100)))
			})
		},
		"no window": func() { // the server may not send anything
			r.h2Attack(t, true, func(i int) []byte {
				switch i {
				case 0:
					return h2Frame(h2FrameSettings, 0, 0, []byte{0, 4, 0, 0, 0, 0})
				case 100:
					return nil
				}
				return h2Get(uint32(2*i+1), r.addr, "/events?channel=honest&replay=all")
			})
		},
		"frames that make no sense": func() {
			for kind := range 12 {
				for _, stream := range []uint32{0, 1, 2, 1 << 31, 1<<31 - 1} {
					r.h2Attack(t, true, func(i int) []byte {
						if i == 3 {
							return nil
						}
						return h2Frame(byte(kind), 0xff, stream, make([]byte, i*4))
					}).Close()
				}
			}
		},
	} {
		begin := time.Now()
		attack()
		checkServing(t, r, honest...)
		t.Logf("%s: %v", name, time.Since(begin))
	}
	r.noPanics(t)
}

// Clients that send their requests byte by byte are cut off in time, and others
// are served meanwhile.
func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	const limit = time.Second
	r := newRig(t, func(s *setup) { s.server.ReadHeaderTimeout = limit })
	honest := []*client{r.subscribe("channel=honest"), r.do(h2c, r.request("channel=honest"))}
	honest[1].next()
	begin := time.Now()
	var slow []net.Conn
	for i := range 300 {
		slow = append(slow, r.send([]string{"", "G", "GET /events?channel=a HTTP/1.1\r\n", "GET /events?channel=a HTTP/1.1\r\nHost: x\r\nX: "}[i%4]))
	}
	for left := len(slow); left > 0; {
		left = 0
		for _, conn := range slow {
			if _, err := conn.Write([]byte("x")); err == nil {
				left++
			}
		}
		checkServing(t, r, honest...)
		pause := time.NewTimer(limit / 10)
		<-pause.C
		if time.Since(begin) > 5*limit+patience {
			t.Fatalf("%d are still there after %v", left, time.Since(begin))
		}
	}
	r.await(2, "connections")
}

// The well-known tool of Debian's package slowhttptest, with what it does to
// headers, and with clients that read slowly.
func TestSlowHTTPTest(t *testing.T) {
	t.Parallel()
	tool := redistest.Command(t, "slowhttptest", "slowhttptest")
	r := newRig(t, func(s *setup) { s.server.ReadHeaderTimeout = time.Second })
	honest := []*client{r.subscribe("channel=honest"), r.do(h2c, r.request("channel=honest"))}
	honest[1].next()
	for _, mode := range [][]string{
		{"-H", "-i", "1", "-x", "10"},
		{"-X", "-w", "1", "-y", "8", "-n", "1", "-z", "4"},
	} {
		args := append(mode, "-c", "150", "-r", "150", "-l", "2", "-p", "1", "-t", "GET", "-u", fmt.Sprintf("http://%s/events?channel=slow&replay=all", r.addr))
		cmd := exec.Command(tool, args...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		served := 0
		for running := true; running; {
			r.publish("slow", strings.Repeat("x", 10_000))
			checkServing(t, r, honest...)
			served++
			pause := time.NewTimer(200 * time.Millisecond)
			select {
			case err := <-done:
				if running = false; err != nil {
					t.Errorf("slowhttptest: %v\n%s", err, out.Bytes())
				}
			case <-pause.C:
			}
		}
		t.Logf("%v: served %d times", mode, served)
	}
	r.await(2, "connections")
}
