package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestAcceptEncoding(t *testing.T) {
	for header, want := range map[string]bool{
		"":                             false,
		"gzip":                         true,
		"GZip":                         true,
		"x-gzip":                       true,
		"gzip, deflate, br, zstd":      true,
		"deflate, br":                  false,
		"identity":                     false,
		"*":                            true,
		"*;q=0":                        false,
		"*;q=0, gzip":                  true,
		"*, gzip;q=0":                  false,
		"gzip;q=0":                     false,
		"gzip;q=0.000":                 false,
		"gzip;q=0.001":                 true,
		"gzip; q=1.0":                  true,
		"gzip;Q=0.5, identity;q=0.5":   true,
		"gzip;q=0.5, identity":         false,
		"identity;q=0.5, *;q=0.4":      false,
		"identity;q=0, gzip;q=0.1":     true,
		"br;q=1.0, gzip;q=0.8, *;q=.1": true,
		"gzip;q=2":                     false,
		"gzip;q=NaN":                   false,
		"gzip;q":                       false,
		"gzipped":                      false,
	} {
		h := http.Header{}
		if header != "" {
			h.Set("Accept-Encoding", header)
		}
		if got := acceptsGzip(h); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
	if !acceptsGzip(http.Header{"Accept-Encoding": {"br", "gzip"}}) {
		t.Error("the second line of the header does not count")
	}
}

// answer returns the answer to a request for a page, unpacked.
func (e *harness) answer(target string, header ...string) (h http.Header, body string) {
	e.t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	e.g.Handler().ServeHTTP(w, r)
	b := w.Body.Bytes()
	if w.Header().Get("Content-Encoding") == "gzip" {
		g := newGunzipper()
		defer g.close()
		unpacked, err := g.decode(b)
		if err != nil || !g.ended {
			e.t.Fatalf("%s: the end of the gzip stream is missing or wrong: %v", target, err)
		}
		b = unpacked
	}
	return w.Header(), string(b)
}

func TestPageIsTheSameCompressed(t *testing.T) {
	e := startEngine(t, redistest.Start(t), engineSetup{gzip: true})
	e.publish("poll", "small", strings.Repeat(`{"name":"<b>&"},`, 100), letters(30_000), strings.Repeat("x", 50_000))
	const target = "/events?channel=poll&replay=all"
	h, plain := e.answer(target, "Accept", "application/json")
	if h.Get("Content-Encoding") != "" || h.Get("Vary") != "Accept-Encoding" {
		t.Errorf("without compression: %v", h)
	}
	before := valueOfMetric(e.m.Gateway.GzipPlainBytes)
	h, packed := e.answer(target, "Accept", "application/json", "Accept-Encoding", "gzip")
	if h.Get("Content-Encoding") != "gzip" || h.Get("Vary") != "Accept-Encoding" {
		t.Errorf("with compression: %v", h)
	}
	if plain != packed || len(plain) < 80_000 {
		t.Errorf("the page has %d bytes, and %d compressed and unpacked", len(plain), len(packed))
	}
	counted, written := valueOfMetric(e.m.Gateway.GzipPlainBytes)-before, valueOfMetric(e.m.Gateway.GzipBytes)
	if counted != len(plain) || written >= counted/2 {
		t.Errorf("%d bytes were counted before compression, of %d, and %d after", counted, len(plain), written)
	}
}

func TestEveryAnswerOfThePathVaries(t *testing.T) {
	redis := redistest.Start(t)
	for _, gzip := range []bool{true, false} {
		e := startEngine(t, redis, engineSetup{gzip: gzip})
		for _, target := range []string{"/events", "/events/?channel=", "/events?channel=x&lastEventId=1"} {
			h, _ := e.answer(target, "Accept", "application/json", "Accept-Encoding", "gzip")
			if got := h.Get("Vary"); (got == "Accept-Encoding") != gzip {
				t.Errorf("%s, compression %v: Vary is %q", target, gzip, got)
			}
		}
		if h, _ := e.answer("/other"); h.Get("Vary") != "" {
			t.Errorf("another path varies: %q", h.Get("Vary"))
		}
	}
}

// What a stream is written is the same, whoever else is there: several forms of one
// batch are made side by side.
func TestOneBatchInAllForms(t *testing.T) {
	e := startEngine(t, redistest.Start(t), engineSetup{gateway: func(c *Config) { c.GzipMemory = 1 << 20 }})
	var clients []*engineClient
	for range 3 {
		for _, setup := range []clientSetup{{}, {gzip: true}, {query: "&envelope=json"}, {query: "&envelope=json", gzip: true}} {
			clients = append(clients, e.connect("x", setup))
		}
	}
	var old []io.ReadCloser // HTTP/1.0: the body has no chunks
	for _, coding := range []string{"identity", "gzip"} {
		old = append(old, e.connectHTTP10("x", coding))
	}
	e.awaitConnections(len(clients) + len(old))
	for i := range 30 {
		e.publishNumbers("x", i, 1, strings.Repeat("y", i*40))
	}
	for _, c := range clients {
		c.awaitMessages(30)
	}
	for _, c := range clients[4:] {
		same := clients[0]
		if strings.HasPrefix(c.messages()[0].Data, "{") {
			same = clients[2]
		}
		for i, m := range c.messages() {
			if m != same.messages()[i] {
				t.Fatalf("message %d is %v for one and %v for another", i, m, same.messages()[i])
			}
		}
	}
	e.stop()
	for _, c := range clients {
		c.awaitEnd()
	}
	var texts []string
	for _, body := range old {
		b, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		_, events, _ := strings.Cut(string(b), "event: gateway.ready")
		texts = append(texts, events)
	}
	if texts[0] != texts[1] || strings.Contains(texts[0], "\n\n\n") || strings.Count(texts[0], "\ndata: ") < 30 {
		t.Errorf("HTTP/1.0 clients read %d and %d bytes", len(texts[0]), len(texts[1]))
	}
}
