package cors

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func newCORS(t *testing.T, origins ...string) *Policy {
	t.Helper()
	c, err := New(origins)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve runs the middleware before a handler that answers 299.
func serve(c *Policy, method, origin string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/events?channel=a", nil)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(299) })).ServeHTTP(w, r)
	return w
}

func TestCORSExactOrigin(t *testing.T) {
	c := newCORS(t, "https://app.example.com", " http://localhost:3000 ", "capacitor://localhost")
	for _, o := range []string{"https://app.example.com", "http://localhost:3000", "capacitor://localhost"} {
		w := serve(c, http.MethodGet, o)
		h := w.Header()
		if w.Code != 299 || h.Get("Access-Control-Allow-Origin") != o || h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Vary") != "Origin" {
			t.Errorf("%s: %d %v", o, w.Code, h)
		}
	}
	for _, o := range []string{"", "null", "https://evil.example", "https://app.example.com.evil.example", "http://app.example.com", "https://app.example.com:8443", "http://localhost"} {
		w := serve(c, http.MethodGet, o)
		if h := w.Header(); w.Code != 299 || h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%q: %d %v", o, w.Code, h)
		}
	}
}

func TestCORSPreflight(t *testing.T) {
	c := newCORS(t, "https://app.example.com")
	w := serve(c, http.MethodOptions, "https://app.example.com",
		"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization,cache-control,last-event-id")
	h := w.Header()
	if w.Code != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != "https://app.example.com" ||
		h.Get("Access-Control-Allow-Headers") != "authorization,cache-control,last-event-id" ||
		h.Get("Access-Control-Allow-Methods") != "GET" || h.Get("Access-Control-Max-Age") != "7200" {
		t.Errorf("%d %v", w.Code, h)
	}
	for _, bad := range []string{"DELETE", "POST"} {
		w := serve(c, http.MethodOptions, "https://app.example.com", "Access-Control-Request-Method", bad)
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v is allowed: %v", bad, w.Header())
		}
	}
}

// TestCORSAnyHeader has tracing libraries add headers of theirs to a fetch.
func TestCORSAnyHeader(t *testing.T) {
	for _, origins := range []string{"https://app.example.com", "https://*.example.com", "*"} {
		c := newCORS(t, origins)
		for _, headers := range []string{"traceparent", "baggage,sentry-trace", "content-type", "x-requested-with", "x-anything"} {
			ask := []string{"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", headers}
			h := serve(c, http.MethodOptions, "https://app.example.com", ask...).Header()
			if h.Get("Access-Control-Allow-Origin") == "" || h.Get("Access-Control-Allow-Headers") != headers {
				t.Errorf("%s, %s: %v", origins, headers, h)
			}
			if origins == "*" {
				continue
			}
			if h := serve(c, http.MethodOptions, "https://evil.example", ask...).Header(); h.Get("Access-Control-Allow-Headers") != "" {
				t.Errorf("%s allows a stranger: %v", origins, h)
			}
		}
	}
}

// TestCORSSubdomains is what a star for subdomains takes, and what it must not.
func TestCORSSubdomains(t *testing.T) {
	c := newCORS(t, "https://*.example.com", "http://*.localhost:3000", "https://www.Other.example")
	for origin, want := range map[string]bool{
		"https://app.example.com":                true,
		"https://pr-17.preview.example.com":      true,
		"https://xn--bcher-kva.example.com":      true,
		"http://a.localhost:3000":                true,
		"https://www.other.example":              true,
		"https://example.com":                    false,
		"https://.example.com":                   false,
		"https://a..example.com":                 false,
		"https://badexample.com":                 false,
		"https://app.example.com.evil.example":   false,
		"https://evil.example#.example.com":      false,
		"https://evil.example/.example.com":      false,
		"https://evil.example:1.example.com":     false,
		"https://user@evil.example.com":          false,
		"http://app.example.com":                 false,
		"https://app.example.com:8443":           false,
		"http://a.localhost":                     false,
		"http://a.localhost:30000":               false,
		"https://a.other.example":                false,
		"null":                                   false,
		"https://*.example.com":                  false,
		"xhttps://app.example.com":               false,
		"https://app.example.comhttps://":        false,
		"https://evil.example\u0000.example.com": false,
	} {
		h := serve(c, http.MethodGet, origin).Header()
		if got := h.Get("Access-Control-Allow-Origin") != ""; got != want || got && h.Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("%s: allowed %v, want %v: %v", origin, got, want, h)
		}
	}
}

func TestCORSAll(t *testing.T) {
	h := serve(newCORS(t, "*"), http.MethodGet, "https://anyone.example").Header()
	if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%v", h)
	}
}

func TestCORSOff(t *testing.T) {
	c := newCORS(t)
	w := serve(c, http.MethodGet, "https://anyone.example")
	if w.Code != 299 || len(w.Header()) != 0 {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestCORSErrors(t *testing.T) {
	for _, bad := range []string{
		"", "null", "app.example.com", "//app.example.com", "https://", "https://app.example.com/", "https://app.example.com/x",
		"https://app.example.com?x", "https://app.example.com#", "https://u:p@app.example.com", "https://*", "https://*.", "https://*.com", "https://*.com:8443", "*.example.com",
		"https://a.*.example.com", "https://*.*.example.com", "https://*example.com", "https://*.example.com/", "https://*.example.com:443",
		"https://app.example.com:443", "http://app.example.com:80", "https://app.example.com:", "https://exämple.com", "https://a b", "*",
	} {
		// In a list of two, so that a star does not stand alone.
		_, err := New([]string{"https://good.example", bad})
		if err == nil || !strings.Contains(err.Error(), "SSE_CORS_ORIGINS") || !strings.Contains(err.Error(), "accepted is") {
			t.Errorf("%q: the error does not say what to set: %v", bad, err)
		} else if strings.Contains(err.Error(), "good.example\"") {
			t.Errorf("the error names the wrong origin: %v", err)
		}
	}
}
