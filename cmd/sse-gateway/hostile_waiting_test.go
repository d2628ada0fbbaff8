package main

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/listener"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// silence is what a client sends that wants a place and no stream.
var silence = map[string]string{
	"nothing":        "",
	"half a head":    "GET /events?channel=a HTTP/1.1\r\nHost: gateway\r\nX-Slow: ",
	"half a preface": "PRI * HTTP/2.0\r\n\r\n",
	"kept alive":     "GET /nothing HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"HTTP/2":         h2Preface,
}

// Connections that say nothing, or never enough, cannot take the descriptors
// that streams and Redis need.
func TestHostileSilence(t *testing.T) {
	t.Parallel()
	const files = 300
	r := redistest.Start(t)
	p := startPlain(t, files, gatewayEnv(r.URL())...)
	p.awaitReady()
	h := startHonest(t, r, p, false) // without a limit per address nobody new gets in for a while
	cs := attack(t, p.public)
	for range files {
		for _, text := range silence {
			cs.open(text)
		}
	}
	// What is over the ceiling is closed at once, and the rest is not yet.
	const ceiling = files - reservedFiles + (files-reservedFiles)/20
	redistest.Eventually(t, 5*time.Second, "those over the ceiling are closed", func() bool {
		return len(cs.all)-cs.hungUp() <= ceiling
	})
	r.KillClients(func(map[string]string) bool { return true }) // Redis has to be dialled anew
	redistest.Eventually(t, 10*time.Second, "the replica is ready", func() bool { code, _ := p.ready(); return code == http.StatusOK })
	if n := p.metric("process_open_fds"); n > files-10 {
		t.Errorf("%v of %d files are open", n, files)
	}
	h.requireUndisturbed()
	// Then those go whose request does not come.
	redistest.Eventually(t, listener.HeadTimeout+5*time.Second, "there is room again", func() bool {
		c := dialSmall(t, p.public)
		defer c.Close()
		_, _ = io.WriteString(c, get("channel=a"))
		return status(c) == http.StatusOK
	})
}

// With a limit per address they keep nobody else out.
func TestHostileSilenceFromOneAddress(t *testing.T) {
	t.Parallel()
	const files, perIP = 300, 40
	r := redistest.Start(t)
	p := startPlain(t, files, append(gatewayEnv(r.URL()), "SSE_MAX_CONNECTIONS_PER_IP=40")...)
	p.awaitReady()
	far := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	var conns []net.Conn
	began := time.Now()
	for range 2 * files {
		c, err := orReset(far.DialContext(t.Context(), "tcp", p.public))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		conns = append(conns, c)
	}
	// Those within the limit are closed too, once their time for the head is over.
	redistest.Eventually(t, listener.HeadTimeout+20*time.Second, "those over the limit are closed", func() bool {
		open := 0
		for _, c := range conns {
			if !isClosed(c) {
				open++
			}
		}
		return open == perIP || open < perIP && time.Since(began) > listener.HeadTimeout
	})
	startHonest(t, r, p, true).requireUndisturbed()
}

// A TLS handshake that is not finished ends with the time for the head.
func TestHostileHandshakes(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	files := redistest.NewTLSFiles(t)
	p := startPlain(t, 0, append(gatewayEnv(r.URL()), "SSE_TLS_CERT_FILE="+files.ServerCertFile, "SSE_TLS_KEY_FILE="+files.ServerKeyFile)...)
	p.awaitReady()
	open := subscribe(t, transport(t, 2, files.ClientConfig()), "https://"+p.public+"/events?channel=a").ready(t)
	base := p.memory("VmRSS")
	cs := attack(t, p.public)
	start := time.Now()
	hello := clientHello(t)
	for i := range 600 {
		cs.open([]string{"", hello[:len(hello)/2], hello}[i%3]) // the last waits for the client's part after the server's
	}
	// Honest clients get in all the while.
	for range 10 {
		c := subscribe(t, transport(t, 1, files.ClientConfig()), "https://"+p.public+"/events?channel=a").ready(t)
		r.XAdd("sse:a", "data", "over TLS")
		c.requireData(t, "over TLS")
		open.requireData(t, "over TLS")
	}
	held := p.memory("VmRSS")
	redistest.Eventually(t, listener.HeadTimeout+5*time.Second, "all are closed", func() bool { return cs.hungUp() == len(cs.all) })
	if d := time.Since(start); d < listener.HeadTimeout-time.Second {
		t.Errorf("all were closed after %v already: by something else than the time-out", d)
	}
	t.Logf("600 handshakes that do not go on: %s more, %d bytes each", mib(held-base), (held-base)/600)
	if held-base > 600*maxHandshake {
		t.Errorf("they take %s, more than %d each", mib(held-base), maxHandshake)
	}
	r.XAdd("sse:a", "data", "the end")
	open.requireData(t, "the end")
}

// maxHandshake bounds what one of many TLS handshakes takes, in bytes, garbage
// included.
const maxHandshake = 64 << 10

// clientHello returns the first bytes of a TLS client.
func clientHello(t *testing.T) string {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Client(client, &tls.Config{ServerName: "gateway"}).Handshake()
	}()
	b := make([]byte, 16<<10)
	n, err := server.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	<-done
	return string(b[:n])
}
