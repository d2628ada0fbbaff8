package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/deploy/proxytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// codings are what a client may accept.
var codings = []string{"gzip", "identity"}

// acceptCoding returns the header of a request for one coding. Go's client accepts gzip
// by itself, and takes it off, if it is told nothing.
func acceptCoding(coding string) (header []string) {
	if coding == "identity" {
		return []string{"Accept-Encoding", coding}
	}
	return nil
}

// subscribeCoded is subscribe with one coding, which must be that of the answer.
func subscribeCoded(t *testing.T, coding string, rt http.RoundTripper, url string, headers ...string) *client {
	t.Helper()
	c := subscribe(t, rt, url, append(acceptCoding(coding), headers...)...)
	if c.gzip != (coding == "gzip") {
		t.Errorf("%s: asked for %s, compressed %v", url, coding, c.gzip)
	}
	return c
}

// newGzipBody reads a response of HTTP/1.1 with the coding gzip.
func newGzipBody(r io.Reader) io.Reader {
	read, write := io.Pipe()
	go func() {
		res, err := http.ReadResponse(bufio.NewReader(r), nil)
		if err == nil {
			defer res.Body.Close()
			var zip *gzip.Reader
			if zip, err = gzip.NewReader(res.Body); err == nil {
				_, err = io.Copy(write, zip)
			}
		}
		write.CloseWithError(err)
	}()
	return read
}

// noise returns n letters and digits, of which a compressor saves a quarter at most.
func noise(n int) string {
	random, b := rand.New(rand.NewPCG(1, uint64(n))), make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[random.IntN(62)]
	}
	return string(b)
}

// compressedCorpus is what the channels of TestSameBytesCompressed have: events that are
// stored, compressed, and large in either way, hostile ones, and one too large to be sent.
func compressedCorpus(r *redistest.Server) {
	for i, n := range []int{0, 1, 140, 160, 300, 2000, 17_000} {
		for name, data := range map[string]string{"json": strings.Repeat(`{"name":"value"},`, n/17), "noise": noise(n)} {
			r.XAdd("sse:a", "data", data, "event", fmt.Sprint(name, i))
		}
		r.XAdd("sse:b", "field", noise(n), "other", strings.Repeat("\u2028 ", n/4))
	}
	for _, text := range hostileTexts {
		r.XAdd("sse:b", "data", text, "event", text)
	}
	r.XAdd("sse:a", "data", noise(70_000)) // more than a stored block has room for
	r.XAdd("sse:a", "data", noise(120_000))
	r.XAdd("sse:a", "data", "the last", "gateway.end", "1")
	r.XAdd("sse:b", "gateway.end", "1")
}

// TestSameBytesCompressed reads whole streams over each version of HTTP, with TLS, and
// through proxies, with Go and curl: what they read is the same, byte for byte, with
// compression and without, but for the retry, which is drawn. TestKillIsAnErrorToFetch
// has Node's fetch, and TestBrowser has Chromium.
func TestSameBytesCompressed(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	compressedCorpus(r)
	env := gatewayEnv(r.URL(), "SSE_MAX_EVENT_BYTES=100000", "SSE_TRUSTED_PROXIES=127.0.0.1", "SSE_COMPRESSION=gzip")
	files := redistest.NewTLSFiles(t)
	p, secure := startGateway(t, env...), startGateway(t, append(env, "SSE_TLS_CERT_FILE="+files.ServerCertFile, "SSE_TLS_KEY_FILE="+files.ServerKeyFile)...)
	p.awaitReady()
	secure.awaitReady()
	haproxy, nginx := proxytest.HAProxy(t, time.Minute, behind(p)...), proxytest.Nginx(t, time.Minute, behind(p)...)
	for _, way := range []struct {
		name, base string
		version    int
		queries    []string
	}{
		{"HTTP/1.1", "http://" + p.public, 1, []string{"channel=a&replay=all", "channel=b&replay=all&envelope=json", "channel=a&replay=all&deliver=latest", "channel=a&last_event_id=junk"}},
		{"HTTP/2", "http://" + p.public, 2, []string{"channel=a&replay=all", "channel=b&replay=all&envelope=json"}},
		{"TLS, HTTP/1.1", "https://" + secure.public, 1, nil},
		{"TLS, HTTP/2", "https://" + secure.public, 2, nil},
		{"HAProxy, HTTP/1.1", haproxy.HTTP1, 1, nil},
		{"HAProxy, HTTP/2", haproxy.HTTP2, 2, nil},
		{"nginx, HTTP/1.1", nginx.HTTP1, 1, nil},
		{"nginx, HTTP/2", nginx.HTTP2, 2, nil},
	} {
		tr := transport(t, way.version, nil)
		if strings.HasPrefix(way.base, "https:") {
			tr = transport(t, way.version, files.ClientConfig())
		} else {
			subscribeUntil(t, tr, way.base+"/events?channel=new").close() // a proxy has found its gateway
		}
		for _, query := range append(way.queries, "channel=a&channel=b&replay=all") {
			url := way.base + "/events?" + query
			plain := readWhole(t, tr, url, "identity")
			if len(plain) < 200 || !strings.HasSuffix(plain, "\n\n") || !strings.Contains(plain, "gateway.end") {
				t.Fatalf("%s, %s: %d bytes without compression, which end with %q", way.name, query, len(plain), plain[max(0, len(plain)-300):])
			}
			others := map[string]string{"Go": readWhole(t, tr, url, "gzip")}
			if strings.Contains(query, "&channel=") {
				others["curl"] = curlCompressed(t, way.version, url)
			}
			for client, text := range others {
				if canonical(text) != canonical(plain) {
					t.Errorf("%s, %s, %s: %d bytes, want %d", way.name, query, client, len(text), len(plain))
				}
			}
		}
	}
}

var (
	idLine     = regexp.MustCompile(`(?m)^id: .*~.*\n`)
	retryField = regexp.MustCompile(`(?m)^retry: [0-9]+$`)
)

// canonical returns a stream without the retry, and makes streams of two channels
// comparable: which channel's turn it is, and so what the id lines say, depends on the
// sizes of what is written.
func canonical(text string) string {
	text = retryField.ReplaceAllString(text, "retry")
	if !idLine.MatchString(text) {
		return text
	}
	frames := strings.Split(idLine.ReplaceAllString(text, ""), "\n\n")
	slices.Sort(frames)
	return strings.Join(frames, "\n\n")
}

// readWhole reads a response to its end, which must be in order, and without its coding.
func readWhole(t *testing.T, tr *http.Transport, url, coding string) string {
	t.Helper()
	res, body := getAll(t, tr, url, append(acceptCoding(coding), "Accept", "text/event-stream")...)
	if res.StatusCode != http.StatusOK || res.Uncompressed != (coding == "gzip") || res.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("%s, %s: %s, compressed %v, %v", url, coding, res.Status, res.Uncompressed, res.Header)
	}
	return body
}

// curlCompressed returns what curl reads of a compressed answer.
func curlCompressed(t *testing.T, version int, url string) string {
	t.Helper()
	how := "--http1.1"
	if version == 2 {
		how = "--http2-prior-knowledge"
		if strings.HasPrefix(url, "https:") {
			how = "--http2"
		}
	}
	cmd := exec.Command(redistest.Command(t, "curl", "curl"), "-sSNk", "--compressed", how, url)
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: %v", cmd, err)
	}
	return string(out)
}
