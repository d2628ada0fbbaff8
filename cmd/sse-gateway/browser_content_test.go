package main

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// hostileTexts are what a publisher may write to break out of its event.
var hostileTexts = []string{
	"", " ", "plain", " leading", "trailing ", "\ttab", ":", ": comment", "a:b", "data: x", "id: 1-1",
	"\r", "\n", "\r\n", "\n\r", "\r\r", "\n\n", "\r\n\r\n", "a\rb", "a\nb", "a\r\nb", "a\n\rb", "\na", "a\n", "a\r\n",
	"x\n\nid: 99-1\nevent: forged\ndata: forged\n\n", "x\r\revent: forged\rdata: forged\r\r", "x\nretry: 1\n",
	"\x00", "a\x00b", "\x00\n\x00", "\u2028", "a\u2028b", "a\u2029b", "\u0085", "a\vb\fc", "\x1b[2J\x7f",
	"\ufeff", "\ufeffdata: x", "a\ufeff", "\ufffe\uffff", "\u202eright to left", "😀 ünï", "e\u0301",
	"\xff", "a\xff\xfeb", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xe2\n\x82", "\xf0\x9f\r\x98\x80",
	"</script><script>forged()</script>", "<!--", "]]>", `"\`, `{"a":1}`, "gateway.ready", "gateway", "Gateway.x", "error", "open", "message", strings.Repeat("é\r", 4000),
}

// contractText is the contract, written again without its code: every line end
// is LF, and every byte that is not UTF-8 is U+FFFD.
func contractText(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s) // an invalid byte is U+FFFD, by itself
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String()
}

// contractName is what an event is called whose publisher wrote this name.
func contractName(s string) string {
	if s == "" || strings.ContainsAny(s, "\r\n\x00") || strings.HasPrefix(s, "gateway.") {
		return "message"
	}
	return contractText(s)
}

// What a browser delivers of what a publisher wrote is what the contract says,
// byte for byte, and nothing else, with compression and without.
func testHostileContent(t *testing.T, browser context.Context) {
	r := redistest.Start(t)
	home := page(t)
	env := append(gatewayEnv(r.URL()), "SSE_CORS_ORIGINS="+home)
	p, compressing := startGateway(t, env...), startGateway(t, append(env, "SSE_COMPRESSION=gzip")...)
	tb := openTab(t, browser, home)

	types := []string{"forged", "error", "open"}
	for _, text := range hostileTexts {
		types = append(types, contractName(text), text, contractText(text))
	}
	live := tb.listen("live", p.eventsURL("channel=hostile"), false, unique(types)...)
	live.requireReady()
	compressed := tb.listen("compressed", compressing.eventsURL("channel=hostile"), false, unique(types)...)
	compressed.requireReady()
	want := []browserEvent{{}}
	dropped := 0
	for i, text := range hostileTexts {
		data := fmt.Sprint("named ", i)
		id := r.XAdd("sse:hostile", "data", text)
		want = append(want, browserEvent{"message", contractText(text), id})
		id = r.XAdd("sse:hostile", "data", data, "event", text)
		want = append(want, browserEvent{contractName(text), data, id})
		if text != "" && text != "message" && contractName(text) == "message" {
			dropped++
		}
	}
	last := r.XAdd("sse:hostile", "data", "end")
	want = append(want, browserEvent{"message", "end", last})

	// The same as they come, from history, and as one of two channels.
	replay := tb.listen("replay", p.eventsURL("channel=hostile&replay=all"), false, unique(types)...)
	both := tb.listen("both", p.eventsURL("channel=hostile&channel=other&replay=all"), false, unique(types)...)
	unpacked := tb.listen("compressed replay", compressing.eventsURL("channel=hostile&replay=all"), false, unique(types)...)
	for _, s := range []*source{live, replay, both, compressed, unpacked} {
		got := s.events(len(want))
		want[0] = got[0]
		if s == both {
			for i := range got[1:] {
				got[i+1].ID, _, _ = strings.Cut(got[i+1].ID, "~")
			}
		}
		requireEvents(t, s.name, got, want)
	}
	if n := p.metric("sse_gateway_event_names_dropped_total"); int(n) < dropped || dropped == 0 {
		t.Errorf("%v names were counted as dropped, want at least %d", n, dropped)
	}
	if noise := tb.takeNoise(); len(noise) > 0 {
		t.Errorf("the browser complains: %q", noise)
	}
	requireEnvelopes(t, r, p, tb)
	if written := compressing.metric("sse_gateway_gzip_bytes_total"); written == 0 {
		t.Error("nothing was compressed")
	}
}

func requireEvents(t *testing.T, name string, got, want []browserEvent) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("%s: event %d is %.200q, want %.200q", name, i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d events, want %d", name, len(got), len(want))
	}
}

// unique returns the texts once each. The empty one is no name.
func unique(texts []string) (once []string) {
	seen := map[string]bool{"": true, "message": true, "gateway.ready": true, "gateway.gap": true}
	for _, s := range texts {
		// What JSON cannot carry into the page cannot be the name of an event.
		if !seen[s] && utf8.ValidString(s) {
			seen[s] = true
			once = append(once, s)
		}
	}
	return once
}

// requireEnvelopes checks what envelopes, and entries without data, look like
// to JSON.parse in the page.
func requireEnvelopes(t *testing.T, r *redistest.Server, p *gatewayProcess, tb *browserTab) {
	t.Helper()
	wrapped := tb.listen("wrapped", p.eventsURL("channel=wrapped&channel=objects&envelope=json"), false)
	objects := tb.listen("objects", p.eventsURL("channel=objects"), false)
	wrapped.requireReady()
	objects.requireReady()
	n := len(hostileTexts)
	for _, text := range hostileTexts {
		r.XAdd("sse:wrapped", "data", text, "event", text)
	}
	for i, text := range hostileTexts {
		r.XAdd("sse:objects", fmt.Sprint(i, text), text)
	}
	wrapped.events(1 + 2*n)
	objects.events(1 + n)
	type envelope struct{ Channel, ID, Event, Data string }
	got := evaluate[[]envelope](tb, wrapped.js()+`.events.slice(1).map((e) => JSON.parse(e.Data)).filter((e) => e.channel === "wrapped")
		.map((e) => ({Channel: e.channel, ID: e.id, Event: e.event, Data: e.data}))`)
	for i, text := range hostileTexts {
		want := envelope{"wrapped", got[i].ID, contractName(text), contractText(text)}
		if got[i] != want || got[i].ID == "" {
			t.Errorf("envelope %d is %.200q, want %.200q", i, got[i], want)
		}
	}
	texts := evaluate[[]string](tb, objects.js()+`.events.slice(1).map((e) => JSON.stringify(JSON.parse(e.Data)))`)
	for i, text := range hostileTexts {
		var got map[string]string
		if err := json.Unmarshal([]byte(texts[i]), &got); err != nil {
			t.Fatal(err)
		}
		// JSON carries CR as it is.
		want := map[string]string{validText(fmt.Sprint(i, text)): validText(text)}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("object %d is %.200q, want %.200q", i, got, want)
		}
	}
}

// validText is s with U+FFFD for every byte that is not UTF-8.
func validText(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String()
}
