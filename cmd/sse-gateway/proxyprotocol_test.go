package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/sse-gateway/sse-gateway/deploy/proxytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// startTCPProxy starts HAProxy in TCP mode, as deploy/README.md describes it,
// which tells the gateway of its clients with PROXY headers.
func startTCPProxy(t *testing.T, option string, p *gatewayProcess) (addr string) {
	t.Helper()
	addr = redistest.FreeAddr(t)
	conf := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := `
defaults
    mode tcp
    timeout connect 2s
    timeout client 60s
    timeout server 60s
frontend public
    bind ` + addr + `
    default_backend gateways
backend gateways
    server gateway-1 ` + p.public + ` ` + option + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	proxytest.Run(t, nil, []string{addr}, redistest.Command(t, "haproxy", "haproxy"), "-db", "-f", conf)
	return addr
}

// dialFrom has a transport's connections come from an address of this machine.
func dialFrom(tr *http.Transport, from string) *http.Transport {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return d.DialContext(ctx, network, addr)
	}
	return tr
}

// Behind HAProxy the client that the header names is the one that is limited,
// and its stream is parked like any other; with TLS and HTTP/2 as well.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	files := redistest.NewTLSFiles(t)
	for name, tt := range map[string]struct {
		option  string
		version int
		env     []string
	}{
		"version 1":             {"send-proxy", 1, nil},
		"version 2":             {"send-proxy-v2", 1, nil},
		"version 2, HTTP/2":     {"send-proxy-v2", 2, nil},
		"version 2, TLS":        {"send-proxy-v2", 1, []string{"SSE_TLS_CERT_FILE=" + files.ServerCertFile, "SSE_TLS_KEY_FILE=" + files.ServerKeyFile}},
		"version 2, long":       {"send-proxy-v2 proxy-v2-options crc32c,unique-id", 1, nil},
		"version 2, with check": {"send-proxy-v2 check inter 200ms check-send-proxy", 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startGateway(t, append(gatewayEnv(r.URL(), "SSE_PROXY_PROTOCOL=true", "SSE_TRUSTED_PROXIES=127.0.0.1",
				"SSE_MAX_CONNECTIONS_PER_IP=1"), tt.env...)...)
			p.awaitReady()
			scheme, config := "http://", files.ClientConfig()
			if tt.env == nil {
				config = nil
			} else {
				scheme = "https://"
			}
			url := scheme + startTCPProxy(t, tt.option, p) + "/events?channel=a"
			from := func(addr string) *http.Transport { return dialFrom(transport(t, tt.version, config), addr) }
			one := subscribe(t, from("127.0.0.2"), url).ready(t)
			if c := subscribe(t, from("127.0.0.3"), url, "X-Forwarded-For", "127.0.0.2"); c.status != http.StatusOK {
				t.Errorf("another address gets %d", c.status)
			} else {
				c.ready(t)
			}
			if tt.version == 1 && tt.env == nil {
				p.awaitMetric(patience, 2, "sse_gateway_connections_parked")
			}
			p.awaitMetric(patience, 2, "sse_gateway_connections")
			// A second one of the first address, whatever it says it is.
			c, err := trySubscribe(t, from("127.0.0.2"), url, "X-Forwarded-For", "127.0.0.9")
			if err == nil {
				c.awaitEnd(t, patience)
			}
			r.XAdd("sse:a", "data", "behind a proxy")
			one.requireData(t, "behind a proxy")
			if n := p.metric("sse_gateway_connections"); n != 2 {
				t.Errorf("%v streams, want 2", n)
			}
		})
	}
}

// A proxy that sends no header is not a client; a client that sends one is not
// a proxy. Neither keeps others waiting.
func TestProxyProtocolTrust(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_PROXY_PROTOCOL=true", "SSE_TRUSTED_PROXIES=127.0.0.1")...)
	p.awaitReady()
	const header = "PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n"
	dial := func(from, text string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.DialContext(t.Context(), "tcp", p.public)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		return c
	}
	// Half a header each, and nothing at all.
	var silent []net.Conn
	for i := range 40 {
		silent = append(silent, dial("127.0.0.1", header[:i/2]))
	}
	for name, tt := range map[string]struct {
		from, text string
		status     int // 0: closed without a word
	}{
		"a proxy with a header":          {"127.0.0.1", header + get("channel=a"), 200},
		"a proxy without":                {"127.0.0.1", get("channel=a"), 0},
		"a proxy that speaks for itself": {"127.0.0.1", "PROXY UNKNOWN\r\n" + get("channel=a"), 200},
		"a proxy with nonsense":          {"127.0.0.1", "PROXY TCP4 here there 1 2\r\n" + get("channel=a"), 0},
		"a proxy with an endless header": {"127.0.0.1", "PROXY TCP4 192.0.2.1 192.0.2.2 1000" + string(make([]byte, 500)), 0},
		"a client without a header":      {"127.0.0.2", get("channel=a"), 200},
		"a client with one":              {"127.0.0.2", header + get("channel=a"), 400},
		"a client with one of version 2": {"127.0.0.2", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00" + get("channel=a"), 400},
		"a proxy with one of version 2":  {"127.0.0.1", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00" + get("channel=a"), 200}, // LOCAL
	} {
		if got := status(dial(tt.from, tt.text)); got != tt.status {
			t.Errorf("%s: status %d, want %d", name, got, tt.status)
		}
	}
	redistest.Eventually(t, patience, "those that do not finish their header are closed", func() bool {
		for _, c := range silent {
			if !isClosed(c) {
				return false
			}
		}
		return true
	})
	// The streams of the four that got one are parked.
	p.awaitMetric(patience, 4, "sse_gateway_connections_parked")
}
