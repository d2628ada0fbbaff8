package redisurl

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]Address{
		"redis://localhost":                 {Network: "tcp", Addrs: []string{"localhost:6379"}},
		"redis://h:1/3":                     {Network: "tcp", Addrs: []string{"h:1"}, DB: 3},
		"redis://h:1?db=4":                  {Network: "tcp", Addrs: []string{"h:1"}, DB: 4},
		"redis://:p%40ss@h":                 {Network: "tcp", Addrs: []string{"h:6379"}, password: "p@ss"},
		"redis://u:a:b@c@h:1":               {Network: "tcp", Addrs: []string{"h:1"}, username: "u", password: "a:b@c"},
		"redis://u:a#b@h:1":                 {Network: "tcp", Addrs: []string{"h:1"}, username: "u", password: "a#b"},
		"redis://[::1]:2":                   {Network: "tcp", Addrs: []string{"[::1]:2"}},
		"redis://[::1]":                     {Network: "tcp", Addrs: []string{"[::1]:6379"}},
		"unix:///run/redis.sock":            {Network: "unix", Addrs: []string{"/run/redis.sock"}},
		"unix://u:p@/run/redis.sock?db=2":   {Network: "unix", Addrs: []string{"/run/redis.sock"}, username: "u", password: "p", DB: 2},
		"redis+cluster://a:1,b:2,c":         {Topology: Cluster, Network: "tcp", Addrs: []string{"a:1", "b:2", "c:6379"}},
		"redis+sentinel://a,b:2/5?master=m": {Topology: Sentinel, Network: "tcp", Addrs: []string{"a:26379", "b:2"}, Master: "m", DB: 5},
		"redis+sentinel://:p@a?master=m&sentinel_user=su&sentinel_password=sp": {Topology: Sentinel, Network: "tcp", Addrs: []string{"a:26379"},
			Master: "m", password: "p", sentinelUsername: "su", sentinelPassword: "sp"},
	} {
		e, err := Parse(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		if e.Topology != want.Topology || e.Network != want.Network || !slices.Equal(e.Addrs, want.Addrs) || e.DB != want.DB ||
			e.username != want.username || e.password != want.password || e.Master != want.Master ||
			e.sentinelUsername != want.sentinelUsername || e.sentinelPassword != want.sentinelPassword || e.TLS != nil {
			t.Errorf("%s is read as %+v", raw, *e)
		}
	}
	for _, raw := range []string{"rediss://h", "rediss+cluster://h", "rediss+sentinel://h?master=m"} {
		if e, err := Parse(raw); err != nil || e.TLS == nil {
			t.Errorf("%s: %v, %+v", raw, err, e)
		}
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                            "no scheme",
		"localhost:6379":              "no scheme",
		"http://h":                    `scheme is "http"`,
		"redis://":                    "number 1 of its hosts",
		"redis://h:0":                 "number 1",
		"redis://h:99999":             "number 1",
		"redis://a:b:c":               "number 1",
		"redis://a b":                 "number 1",
		"redis+cluster://a,,b":        "number 2",
		"redis://a,b":                 "several hosts",
		"redis://h/x":                 "number of a database",
		"redis://h/-1":                "number of a database",
		"redis://h?db=x":              "parameter db",
		"redis://h?x=y":               "a parameter x that is none of db",
		"redis://h?db=1&&Pool-size=9": "a parameter Pool-size that is none of",
		"redis://h?foo=1&bar=2":       "a parameter foo that",
		"redis://h?hunter":            "a parameter that", // a forgotten name
		"redis://h?=x":                "a parameter that",
		"redis://h?hunter2=x":         "a parameter that",
		"redis://h?f%6fo=x":           "a parameter that",
		// What may be the rest of a secret is not shown.
		"redis+sentinel://h?master=m&sentinel_password=a&hunter=x":   "a parameter that",
		"redis+sentinel://h?master=m&sentinel%5Fpassword=a&hunter=x": "a parameter that",
		"redis+sentinel://h?sentinel_user=a&hunter=x&master=m":       "a parameter that",
		"redis://h?%zz":               "cannot be read",
		"redis://h?master=m":          "redis+sentinel",
		"redis+sentinel://h":          "master=NAME",
		"redis+cluster://h/1":         "only database 0",
		"redis://secret@h":            "no colon",
		"redis://u:%zz@h":             "percent-escape",
		"redis://h?ca=/x":             "rediss://",
		"rediss://h?ca=/no/such/file": "ca: ",
		"rediss://h?cert=/no/such":    "go together",
		"rediss://h?cert=/no&key=/no": "cert and key",
		"unix://run/redis.sock":       "slash",
		"redis://u:pa/ss@h":           "%2F",
		"redis://h:1/0#x":             "%23",
		"redis://u:pa?ss@h":           "%3F",
	} {
		_, err := Parse(raw)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "accepted: redis://") {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"redis://h:1/0":                "redis://h:1/0",
		"redis://:hunter2@h:1/0":       "redis://:***@h:1/0",
		"redis://bob:hunter2@h:1/0":    "redis://bob:***@h:1/0",
		"redis://bob:h/2@h:1/0":        "redis://…",
		"redis://hunter2@h:1":          "redis://…",
		"redis://bob:hunter2":          "redis://…",
		"hunter2":                      "(not a URL)",
		"bob:hunter2@h://":             "(not a URL)",
		"unix://b:hunter2@/run/r?db=1": "unix://b:***@/run/r?db=1",
		"redis+sentinel://:hunter2@a,b/1?master=m&sentinel_password=hunter2": "redis+sentinel://:***@a,b/1?master=m&sentinel_password=***",
	} {
		if got := Redact(raw); got != want {
			t.Errorf("Redact(%q) = %q, want %q", raw, got, want)
		}
	}
}

// FuzzURLSecrets puts a password where passwords go, escaped or not, and looks
// for it in what is shown to people.
func FuzzURLSecrets(f *testing.F) {
	for _, p := range []string{"hunter2", "p@ss", "a/b", "a?b", "a#b", "%zz", "a:b", "://x", "a,b", " ", "a&b=c", "[::1]", "@h/?@"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		const mark = "Zq7" // no text of ours has it
		secret := mark + p + mark
		// In a URL without a host, what comes after an @ is one.
		withoutAt := strings.ReplaceAll(secret, "@", "")
		for _, raw := range []string{
			"redis://user:" + secret + "@host:6379/0",
			"redis://" + strings.ReplaceAll(secret, ":", "") + "@host:6379/0", // before a colon it is a user
			"redis://:" + withoutAt,
			"redis://user:" + withoutAt,
			"redis+sentinel://a,b:1?master=m&sentinel_password=" + secret,
			"redis+sentinel://a,b:1?master=m&Sentinel_Password=" + secret,
			"redis+sentinel://a,b:1?master=m&sentinel_password=p&" + secret + "=x",
			"redis+sentinel://a,b:1?sentinel%5Fpassword=p&" + secret + "=x",
			"redis+sentinel://a,b:1?sentinel_user=u&" + secret + "&sentinel_password=x",
			"redis+cluster://user:" + secret + "@a,b",
			"unix://user:" + secret + "@/run/redis.sock",
			"rediss://user:" + url.PathEscape(secret) + "@h",
			"redis://h:1?password=" + url.QueryEscape(secret),
			"user:" + secret + "@h:1",
			"user:" + secret + "@h://",
		} {
			shown := Redact(raw)
			if _, err := Parse(raw); err != nil {
				shown += err.Error()
			}
			if strings.Contains(shown, mark) {
				t.Errorf("%q shows as %q", raw, shown)
			}
		}
		if e, err := Parse("redis://u:" + url.PathEscape(p) + "@h"); err != nil || e.password != p {
			t.Errorf("password %q: %v", p, err)
		}
	})
}
