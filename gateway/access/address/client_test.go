package address

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestClientIP(t *testing.T) {
	trusted, err := ParsePrefixes([]string{"10.0.0.0/8", "fd00::/8", "192.0.2.7", "::ffff:172.16.0.0/108"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		peer string
		xff  []string
		want string
	}{
		"stranger":                    {"203.0.113.1:5", nil, "203.0.113.1"},
		"stranger's header":           {"203.0.113.1:5", []string{"198.51.100.1"}, "203.0.113.1"},
		"proxy without header":        {"10.1.1.1:5", nil, "10.1.1.1"},
		"proxy":                       {"10.1.1.1:5", []string{"198.51.100.1"}, "198.51.100.1"},
		"made up by the client":       {"10.1.1.1:5", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"},
		"trusted made up":             {"10.1.1.1:5", []string{"10.9.9.9, 198.51.100.1"}, "198.51.100.1"},
		"two proxies":                 {"10.1.1.1:5", []string{"198.51.100.1, 10.2.2.2"}, "198.51.100.1"},
		"several lines":               {"10.1.1.1:5", []string{"1.2.3.4", "198.51.100.1", "10.2.2.2,10.3.3.3"}, "198.51.100.1"},
		"all trusted":                 {"10.1.1.1:5", []string{"10.4.4.4, 10.2.2.2"}, "10.4.4.4"},
		"junk alone":                  {"10.1.1.1:5", []string{"unknown"}, "10.1.1.1"},
		"junk behind a proxy":         {"10.1.1.1:5", []string{"1.2.3.4, _hidden, 10.2.2.2"}, "10.2.2.2"},
		"empty line":                  {"10.1.1.1:5", []string{"1.2.3.4", ""}, "10.1.1.1"},
		"empty item":                  {"10.1.1.1:5", []string{"1.2.3.4, , 10.2.2.2"}, "10.2.2.2"},
		"port":                        {"10.1.1.1:5", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		"IPv6":                        {"10.1.1.1:5", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv6 in brackets":            {"10.1.1.1:5", []string{"[2001:db8::1]"}, "2001:db8::1"},
		"IPv6 in brackets with port":  {"10.1.1.1:5", []string{"[2001:db8::1]:80"}, "2001:db8::1"},
		"IPv4 in brackets":            {"10.1.1.1:5", []string{"[1.2.3.4]"}, "10.1.1.1"},
		"mapped client":               {"10.1.1.1:5", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"mapped peer":                 {"[::ffff:10.1.1.1]:5", []string{"198.51.100.1"}, "198.51.100.1"},
		"mapped stranger":             {"[::ffff:203.0.113.1]:5", []string{"198.51.100.1"}, "203.0.113.1"},
		"zone":                        {"[fe80::1%eth0]:5", nil, "fe80::1"},
		"zone in the header":          {"10.1.1.1:5", []string{"fe80::1%eth0"}, "fe80::1"},
		"IPv6 proxy":                  {"[fd00::1]:5", []string{"198.51.100.1"}, "198.51.100.1"},
		"single address proxy":        {"192.0.2.7:5", []string{"198.51.100.1"}, "198.51.100.1"},
		"next to it":                  {"192.0.2.8:5", []string{"198.51.100.1"}, "192.0.2.8"},
		"prefix that was mapped":      {"172.16.9.9:5", []string{"198.51.100.1"}, "198.51.100.1"},
		"peer without port":           {"203.0.113.1", nil, "203.0.113.1"},
		"peer without address":        {"@", []string{"198.51.100.1"}, "invalid IP"},
		"leading zeroes are no octal": {"10.1.1.1:5", []string{"010.0.0.1"}, "10.1.1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: tc.peer, Header: http.Header{}}
			for _, v := range tc.xff {
				r.Header.Add("X-Forwarded-For", v)
			}
			if got := OfClient(r, trusted); got.String() != tc.want {
				t.Errorf("got %v, want %s", got, tc.want)
			}
		})
	}
}

func TestClientIPTrustsNobodyByDefault(t *testing.T) {
	r := &http.Request{RemoteAddr: "10.1.1.1:5", Header: http.Header{"X-Forwarded-For": {"198.51.100.1"}}}
	if got := OfClient(r, nil); got != netip.MustParseAddr("10.1.1.1") {
		t.Errorf("got %v", got)
	}
	if n := testing.AllocsPerRun(100, func() { OfClient(r, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestParsePrefixesErrors(t *testing.T) {
	for _, bad := range []string{"", "10.0.0.0/33", "localhost", "fe80::1%eth0", "::ffff:0:0/64", "10.0.0.0/8,"} {
		_, err := ParsePrefixes([]string{bad})
		if err == nil || !strings.Contains(err.Error(), "SSE_TRUSTED_PROXIES") || !strings.Contains(err.Error(), "accepted is") {
			t.Errorf("%q: the error does not say what to set: %v", bad, err)
		}
	}
}

func FuzzClientIP(f *testing.F) {
	f.Add("10.1.1.1:5", "1.2.3.4, [::1]:5")
	trusted, err := ParsePrefixes([]string{"10.0.0.0/8"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, peer, xff string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {xff}}}
		addr := OfClient(r, trusted)
		if addr.Is4In6() || addr.Zone() != "" {
			t.Errorf("not in its plain form: %v", addr)
		}
		if direct := OfClient(r, nil); !contains(trusted, direct) && addr != direct {
			t.Errorf("a stranger's header counted: %v, want %v", addr, direct)
		}
	})
}

func TestScheme(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for name, tc := range map[string]struct {
		peer  string
		proto []string
		tls   bool
		want  string
	}{
		"plain":                    {"203.0.113.1:5", nil, false, "http"},
		"TLS":                      {"203.0.113.1:5", nil, true, "https"},
		"stranger's header":        {"203.0.113.1:5", []string{"https"}, false, "http"},
		"proxy":                    {"10.1.1.1:5", []string{"https"}, false, "https"},
		"proxy over TLS":           {"10.1.1.1:5", []string{"http"}, true, "http"},
		"proxy without header":     {"10.1.1.1:5", nil, true, "https"},
		"made up by the client":    {"10.1.1.1:5", []string{"https, http"}, false, "http"},
		"made up in its own line":  {"10.1.1.1:5", []string{"https", "HTTP"}, false, "http"},
		"neither":                  {"10.1.1.1:5", []string{"wss"}, false, "http"},
		"peer that has no address": {"@", []string{"https"}, false, "http"},
	} {
		r := &http.Request{RemoteAddr: tc.peer, Header: http.Header{"X-Forwarded-Proto": tc.proto}}
		if tc.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if got := Scheme(r, trusted); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}
