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
// and without, so that they cost the gateway little.
func TestHostileFrameRate(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	files := redistest.NewTLSFiles(t)
	for name, tlsEnv := range map[string][]string{
		"h2c": nil,
		"TLS": {"SSE_TLS_CERT_FILE=" + files.ServerCertFile, "SSE_TLS_KEY_FILE=" + files.ServerKeyFile},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPlain(t, 0, append(gatewayEnv(r.URL()), tlsEnv...)...)
			p.awaitReady()
			testFrameRate(t, p, tlsEnv != nil, files.ClientConfig())
		})
	}
}

// testFrameRate floods the gateway with PING, which it answers one by one, and
// counts the answers.
func testFrameRate(t *testing.T, p *gatewayProcess, secure bool, config *tls.Config) {
	t.Helper()
	const during = 4 * time.Second
	frame := h2Frame(h2Ping, 0, 0, "12345678")
	c, err := net.Dial("tcp", p.public)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if secure {
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
	_ = c.SetReadDeadline(start.Add(during))
	answers := 0
	for in := bufio.NewReader(c); ; {
		head := make([]byte, 9)
		if _, err := io.ReadFull(in, head); err != nil {
			break
		}
		if _, err := in.Discard(int(head[0])<<16 | int(head[1])<<8 | int(head[2])); err != nil {
			break
		}
		if head[3] == h2Ping {
			answers++
		}
	}
	took := time.Since(start)
	spent := p.cpu() - cpu
	t.Logf("%d frames in %v, %.1f %% of a core", answers, took, 100*spent.Seconds()/took.Seconds())
	bytes := float64(2*readBurst) + took.Seconds()*readRate*1.1 // answers earn a sixteenth
	if most := int(bytes) / len(frame); answers > most {
		t.Errorf("%d frames were handled in %v, want at most %d", answers, took, most)
	}
	if answers < readBurst/len(frame)/2 {
		t.Errorf("only %d frames were handled: the flood is none", answers)
	}
	if n := p.metric("sse_gateway_connections_throttled_total"); n != 1 {
		t.Errorf("%v connections are counted as throttled, want 1", n)
	}
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
