package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access/pattern"
	"github.com/sse-gateway/sse-gateway/gateway/internal/content"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/store"
)

// someTime is the "now" of requests under test.
var someTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// ask parses a request as it would arrive.
func ask(query, lastEventID string) (*request, error) {
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/events", RawQuery: query}, Header: http.Header{}}
	if lastEventID != "" {
		r.Header.Set("Last-Event-ID", lastEventID)
	}
	return parseRequest(r, 3, someTime)
}

func TestChannels(t *testing.T) {
	long := strings.Repeat("x", pattern.MaxChannel)
	for query, want := range map[string][]string{
		"channel=orders":                        {"orders"},
		"channel=b&channel=a":                   {"a", "b"},
		"channel=a&channel=b&channel=a":         {"a", "b"},
		strings.Repeat("channel=a&", 500):       {"a"},
		"channel=A-Z_a.z:0/9{tag}-":             {"A-Z_a.z:0/9{tag}-"},
		"channel=%6frders&%63hannel=b":          {"b", "orders"},
		"channel=" + long:                       {long},
		"channel=a&other=%00&Channel=B":         {"a"},
		"channel=../x":                          {"../x"}, // a name like any other: it leads nowhere, there are no paths
		"channel=a&envelope=json&envelope=xml":  {"a"},
		"channel=a&replay=&since=&envelope=":    {"a"},
		"channel=a&channel=b&channel=c&token=x": {"a", "b", "c"},
	} {
		req, err := ask(query, "")
		if err != nil || !slices.Equal(req.channels, want) || slices.ContainsFunc(req.starts, func(s content.Start) bool { return s != content.Start{} }) {
			t.Errorf("%.100s: %+v, %v; want %q", query, req, err, want)
		}
	}
}

// What is wrong is named, with what is accepted, at a length and in characters
// that can be shown anywhere.
func TestBadRequests(t *testing.T) {
	long := strings.Repeat("x", pattern.MaxChannel+1)
	for query, want := range map[string][]string{
		"":                             {"no channel", "/events?channel=orders"},
		"Channel=a":                    {"no channel"},
		"channel=":                     {`channel ""`, "1 to 200"},
		"channel=a&channel=":           {`channel ""`},
		"channel=" + long:              {"channel \"xxxx", "1 to 200"},
		"channel=a%00":                 {`channel "a\x00"`, "A-Z a-z 0-9 _ . : / { } -"},
		"channel=a,b":                  {`channel "a,b"`},
		"channel=a+b":                  {`channel "a b"`},
		"channel=a*":                   {`channel "a*"`},
		"channel=%2e%2e%5cx":           {`channel "..\\x"`},
		"channel=a%0d%0aSet-Cookie:+x": {`channel "a\r\nSet-Cookie: x"`},
		"channel=%c3%bc":               {`channel "\u00fc"`},
		"channel=ü":                    {`channel "\u00fc"`},
		"channel=%ff":                  {`channel "\xff"`},
		"channel=a&channel=b%7f":       {`channel "b\x7f"`},
		"channel=%zz":                  {"malformed"},
		"channel=a;channel=b":          {"malformed"},
		"channel=a&%":                  {"malformed"},
		"channel=a&x=" + "%":           {"malformed"},
		"channel=1&channel=2&channel=3&channel=4":                {"4 channels", "at most 3"},
		"channel=a&envelope=xml":                                 {`envelope "xml"`, "json"},
		"channel=a&envelope=JSON":                                {`envelope "JSON"`, "json"},
		"channel=a&replay=-1":                                    {`replay "-1"`, "a number of events, or all"},
		"channel=a&replay=ALL":                                   {`replay "ALL"`},
		"channel=a&replay=1.5":                                   {`replay "1.5"`},
		"channel=a&replay=0x10":                                  {`replay "0x10"`},
		"channel=a&replay=%2b1":                                  {`replay "+1"`},
		"channel=a&replay=2147483648":                            {`replay "2147483648"`},
		"channel=a&replay=99999999999999999999":                  {`replay "99999999999999999999"`},
		"channel=a&since=yesterday":                              {`since "yesterday"`, "2006-01-02T15:04:05Z", "milliseconds", "10m"},
		"channel=a&since=-10m":                                   {`since "-10m"`},
		"channel=a&since=-5":                                     {`since "-5"`},
		"channel=a&since=10":                                     nil,
		"channel=a&since=1e3":                                    {`since "1e3"`},
		"channel=a&since=99999999999999999999":                   {`since "99999999999999999999"`},
		"channel=a&since=2026-13-01T00:00:00Z":                   {`since "2026-13-01T00:00:00Z"`},
		"channel=a&since=2026-01-01":                             {`since "2026-01-01"`},
		"channel=a&since=2026-01-01T00:00:00":                    {`since "2026-01-01T00:00:00"`},
		"channel=a&since=10000000h":                              {`since "10000000h"`},
		"channel=a&since=" + strings.Repeat("%F0%9F%98%80", 100): {`since "\U0001f600\U0001f600`, `"...: it is`},
		"channel=a@":                                             {`channel "a@"`, "orders@1700000000000-0"},
		"channel=a@junk":                                         {`channel "a@junk"`, "the id of an entry"},
		"channel=a@-1":                                           {`channel "a@-1"`},
		"channel=a@$":                                            {`channel "a@$"`},
		"channel=a@1-1@2-2":                                      {`channel "a@1-1@2-2"`},
		"channel=a@1-1~2-2~abcdef":                               {`channel "a@1-1~2-2~abcdef"`},
		"channel=@1-1":                                           {`channel ""`},
		"channel=a@1-1&channel=a@1-2":                            {`channel "a" has two positions, 1-1 and 1-2`},
		"channel=a&limit=0":                                      {`limit "0"`, "1 to 1000"},
		"channel=a&limit=1001":                                   {`limit "1001"`},
		"channel=a&limit=x":                                      {`limit "x"`},
		"channel=a&wait=10h":                                     {`wait "10h"`, "0s to 1m0s"},
		"channel=a&wait=-1s":                                     {`wait "-1s"`},
		"channel=a&wait=5":                                       {`wait "5"`},
		"channel=a&deliver=x":                                    {`deliver "x"`, "latest"},
		"channel=a&heartbeat=no":                                 {`heartbeat "no"`, "event"},
		"channel=a&refusal=404":                                  {`refusal "404"`, "200 or 503"},
		"channel=" + strings.Repeat("%00", 100_000):              {`channel "\x00\x00`},
	} {
		req, err := ask(query, "")
		if want == nil {
			if err != nil {
				t.Errorf("%.100s: %v", query, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%.100s is %+v, want an error", query, req)
			continue
		}
		checkShowable(t, err.Error())
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%.100s: %q does not say %q", query, err, part)
			}
		}
	}
}

// checkShowable says that a text is short and of printable ASCII.
func checkShowable(t *testing.T, text string) {
	t.Helper()
	if len(text) > 500 {
		t.Errorf("a message of %d bytes: %.100q", len(text), text)
	}
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			t.Errorf("a message with %#x: %q", c, text)
			return
		}
	}
}

func TestSince(t *testing.T) {
	for text, want := range map[string]time.Time{
		"0":                                 time.UnixMilli(0),
		"1700000000000":                     time.UnixMilli(1700000000000),
		"9223372036854775807":               time.UnixMilli(9223372036854775807),
		"10m":                               someTime.Add(-10 * time.Minute),
		"1h30m0.5s":                         someTime.Add(-90*time.Minute - 500*time.Millisecond),
		"0s":                                someTime,
		"2026-02-28T23:59:59Z":              time.Date(2026, 2, 28, 23, 59, 59, 0, time.UTC),
		"2026-02-28T23:59:59.123456789Z":    time.Date(2026, 2, 28, 23, 59, 59, 123456789, time.UTC),
		"2026-03-01T01:00:00%2b02:00":       time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC),
		"2026-03-01T01:00:00+02:00":         time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC), // + is a space in a query
		"2026-03-01T01:00:00-02:00":         time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC),
		"2100-01-01T00:00:00Z":              time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		"0001-01-01T00:00:00Z":              {},
		"2026-02-28T23:59:59Z&since=broken": time.Date(2026, 2, 28, 23, 59, 59, 0, time.UTC),
	} {
		req, err := ask("channel=a&since="+text, "")
		if err != nil || req.starts[0].Kind != content.StartSince || !req.starts[0].Since.Equal(want) {
			t.Errorf("%s: %+v, %v; want %v", text, req, err, want)
		}
	}
}

func TestWhereAStreamStarts(t *testing.T) {
	after := func(ms, seq uint64) content.Start {
		return content.Start{Kind: content.StartAfter, After: store.ID{Ms: ms, Seq: seq}}
	}
	at := after(5, 1)
	all := content.Start{Kind: content.StartAll}
	const unknown = true
	for _, tc := range []struct {
		query, header string
		want          content.Start
		unknown       bool
	}{
		{"", "", content.Start{}, false},
		{"replay=all", "", all, false},
		{"replay=0", "", content.Start{Kind: content.StartLast}, false},
		{"replay=7", "", content.Start{Kind: content.StartLast, Last: 7}, false},
		{"replay=2147483647", "", content.Start{Kind: content.StartLast, Last: 2147483647}, false},
		{"replay=7&replay=all", "", content.Start{Kind: content.StartLast, Last: 7}, false},
		{"replay=all&since=5", "", content.Start{Kind: content.StartSince, Since: time.UnixMilli(5)}, false},
		{"since=5&last_event_id=5-1", "", at, false},
		{"last_event_id=5-1", "", at, false},
		{"last_event_id=9-9&replay=3&since=5", "5-1", at, false},
		{"", "5-1", at, false},
		{"last_event_id=5-1", "junk", content.Start{}, unknown},
		{"last_event_id=junk&replay=all&since=5", "", content.Start{}, unknown},
		{"last_event_id=", "", content.Start{}, false},
		{"last_event_id=&replay=all", "", all, false},
		{"", "5-1~6-1~abcdef", content.Start{}, unknown},
		{"", strings.Repeat("9", 1<<20), content.Start{}, unknown},
		{"", "\x00\xff", content.Start{}, unknown},
		// What a client adds wins over what the page put into the URL.
		{"lastEventId=5-1&last_event_id=9-9&replay=all", "", at, false},
		{"lastEventId=9-9", "5-1", at, false},
		{"lastEventId=junk", "", content.Start{}, unknown},
		{"lastEventId=&last_event_id=5-1", "", at, false},
		// As other systems write positions.
		{"", "0", after(0, 0), false},
		{"", "1700000000000", after(1700000000000, 0), false},
		{"last_event_id=18446744073709551615", "", after(1<<64-1, 0), false},
		{"", "-1", content.Start{}, unknown},
		{"", "$", content.Start{}, unknown},
		{"", "00", content.Start{}, unknown},
		{"", "18446744073709551616", content.Start{}, unknown},
	} {
		got, err := ask("channel=a&"+tc.query, tc.header)
		if err != nil {
			t.Errorf("%s, %.40q: %v", tc.query, tc.header, err)
			continue
		}
		if s := got.starts[0]; got.unknown != tc.unknown || !s.Since.Equal(tc.want.Since) ||
			s.Kind != tc.want.Kind || s.After != tc.want.After || s.Last != tc.want.Last {
			t.Errorf("%s, %.40q: %+v, want %+v", tc.query, tc.header, got, tc.want)
		}
	}
	// What is wrong is so at the first request already, which has no id yet.
	for _, query := range []string{"channel=a&since=junk", "channel=a&replay=junk", "channel=a&since=5&replay=-1"} {
		if req, err := ask(query, "5-1"); err == nil {
			t.Errorf("%s with an id is %+v", query, req)
		}
	}
}

// TestPositionsOfChannels has channels with positions of their own beside others.
func TestPositionsOfChannels(t *testing.T) {
	after := func(ms, seq uint64) content.Start {
		return content.Start{Kind: content.StartAfter, After: store.ID{Ms: ms, Seq: seq}}
	}
	names := sse.Signature([]string{"a", "b"})
	for _, tc := range []struct {
		query, header string
		want          []content.Start
	}{
		{"channel=a@5-1", "", []content.Start{after(5, 1)}},
		{"channel=a@5", "", []content.Start{after(5, 0)}},
		{"channel=a@0", "", []content.Start{after(0, 0)}},
		{"channel=a%405-1", "", []content.Start{after(5, 1)}},
		{"channel=b@7-1&channel=a@5-1", "", []content.Start{after(5, 1), after(7, 1)}},
		{"channel=b@7-1&channel=a", "", []content.Start{{}, after(7, 1)}},
		{"channel=b@7-1&channel=a&replay=all", "", []content.Start{{Kind: content.StartAll}, after(7, 1)}},
		{"channel=b@7-1&channel=a&replay=all&last_event_id=1-1~2-2~" + names, "", []content.Start{after(1, 1), after(2, 2)}},
		{"channel=b@7-1&channel=a", "1-1~2-2~" + names, []content.Start{after(1, 1), after(2, 2)}},
		{"channel=b@7-1&channel=a", "junk", []content.Start{{}, {}}},
		{"channel=a&channel=a@5-1&channel=a@5-1", "", []content.Start{after(5, 1)}},
	} {
		if got, err := ask(tc.query, tc.header); err != nil || !slices.Equal(got.starts, tc.want) || got.unknown != (tc.header == "junk") {
			t.Errorf("%s, %q: %+v, %v, want %+v", tc.query, tc.header, got, err, tc.want)
		}
	}
}

// FuzzRequest: whatever is asked for, it is understood within its limits or
// refused with a message that can be shown.
func FuzzRequest(f *testing.F) {
	for _, q := range []string{"channel=a", "channel=a&since=10m&replay=3", "channel=%zz", "channel=a&since=2026-01-01T00:00:00+01:00", "a=b;c", "last_event_id=1-1&channel=x", "channel=a@1-1&channel=b@5", "channel=a&lastEventId=5&refusal=503"} {
		f.Add(q, "1-1")
		f.Add(q+"&channel=b", "1-1~2-2~"+sse.Signature([]string{"a", "b"}))
	}
	f.Fuzz(func(t *testing.T, query, id string) {
		req, err := ask(query, id)
		if err != nil {
			checkShowable(t, err.Error())
			return
		}
		if n := len(req.channels); n < 1 || n > 3 || !slices.IsSorted(req.channels) || n != len(slices.Compact(slices.Clone(req.channels))) {
			t.Errorf("%q gives the channels %q", query, req.channels)
		}
		if len(req.starts) != len(req.channels) || slices.ContainsFunc(req.starts, func(s content.Start) bool { return s.Last < 0 }) {
			t.Errorf("%q gives %+v", query, req)
		}
		for _, c := range req.channels {
			if !pattern.ValidChannel(c) {
				t.Errorf("%q gives the channel %q", query, c)
			}
		}
	})
}
