package main

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// Frames that cost their sender nothing are handled at a bounded rate, with TLS
// and without, so that they cost the gateway little. A trusted proxy, which sends
// for many, is not limited.
func TestHostileFrameRate(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	files := redistest.NewTLSFiles(t)
	tlsEnv := []string{"SSE_TLS_CERT_FILE=" + files.ServerCertFile, "SSE_TLS_KEY_FILE=" + files.ServerKeyFile}
	for name, tt := range map[string]struct {
		env             []string
		secure, limited bool
	}{
		"h2c":                {nil, false, true},
		"TLS":                {tlsEnv, true, true},
		"h2c, without limit": {[]string{"SSE_TRUSTED_PROXIES=127.0.0.1"}, false, false},
		"TLS, without limit": {append(tlsEnv, "SSE_TRUSTED_PROXIES=127.0.0.1"), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPlain(t, 0, append(gatewayEnv(r.URL()), tt.env...)...)
			p.awaitReady()
			var config *tls.Config
			if tt.secure {
				config = files.ClientConfig()
			}
			testFrameRate(t, p, config, tt.limited)
		})
	}
}

// testFrameRate floods the gateway with PING, which it answers one by one, and
// counts the answers.
func testFrameRate(t *testing.T, p *gatewayProcess, config *tls.Config, limited bool) {
	t.Helper()
	const (
		during = 2 * time.Second // of a limited flood; one without limit has many times the answers
		burst  = 64 << 10        // bytes; readBurst and readRate of package listener
		rate   = 64 << 10        // bytes per second
	)
	until, enough := during, 2*burst
	if !limited {
		until, enough = 0, 2*burst+int(during.Seconds())*rate // more than the limit lets through meanwhile
	}
	frame := h2Frame(h2Ping, 0, 0, "12345678")
	c, err := net.Dial("tcp", p.public)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if config != nil {
		config = config.Clone()
		config.NextProtos, config.ServerName = []string{"h2"}, "127.0.0.1"
		c = tls.Client(c, config)
	}
	start, cpu := time.Now(), p.cpu()
	if _, err := io.WriteString(c, h2Preface); err != nil {
		t.Fatal(err)
	}
	go func() {
		for many := strings.Repeat(frame, 1000); err == nil; {
			_, err = io.WriteString(c, many)
		}
	}()
	answers := countPings(c, start.Add(until), enough/len(frame))
	took := time.Since(start)
	spent := p.cpu() - cpu
	t.Logf("%d frames in %v, %.1f %% of a core", answers, took, 100*spent.Seconds()/took.Seconds())
	most := int(2*burst+took.Seconds()*rate) / len(frame)
	switch {
	case limited && answers > most:
		t.Errorf("%d frames were handled in %v, want at most %d", answers, took, most)
	case answers < enough/len(frame):
		t.Errorf("only %d frames were handled: the flood is none", answers)
	}
	want := 0.0
	if limited {
		want = 1
	}
	if n := p.metric("sse_gateway_connections_throttled_total"); n != want {
		t.Errorf("%v connections are counted as throttled, want %v", n, want)
	}
}

// countPings counts the answers to PING until a time, and until there are enough to tell
// something. The HTTP/2 server has its own bound for answers that wait to be sent, and
// ends a connection that is over it.
func countPings(c net.Conn, until time.Time, enough int) (answers int) {
	_ = c.SetReadDeadline(until.Add(time.Minute))
	for in := bufio.NewReader(c); answers < enough || time.Now().Before(until); {
		head := make([]byte, 9)
		if _, err := io.ReadFull(in, head); err != nil {
			return answers
		}
		if _, err := in.Discard(int(head[0])<<16 | int(head[1])<<8 | int(head[2])); err != nil {
			return answers
		}
		if head[3] == h2Ping {
			answers++
		}
	}
	return answers
}

// cpu returns the processor time that the process has used.
func (p *gatewayProcess) cpu() time.Duration {
	p.t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest) // from the third on
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		p.t.Fatal(err1, err2)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}
