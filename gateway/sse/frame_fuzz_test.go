package sse

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"unicode/utf8"

	"github.com/sse-gateway/sse-gateway/gateway/sse/ssetest"
	"github.com/sse-gateway/sse-gateway/store"
)

// readable is what a reader gets of bytes that somebody wrote: U+FFFD for every
// byte that is not UTF-8.
func readable(b []byte) string { return string([]rune(string(b))) }

// lines is what a reader gets of data: its line ends are all LF.
func lines(b []byte) string {
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(readable(b))
}

// published is an entry and what a subscriber has to read of it.
type published struct {
	id     store.ID
	fields [][]byte
}

// name returns the event's name, and whether it may not be sent.
func (p published) name() (name string, dropped bool) {
	for pair := range slices.Chunk(p.fields, 2) {
		if string(pair[0]) != "event" {
			continue
		}
		name := readable(pair[1])
		if strings.HasPrefix(name, "gateway.") || strings.ContainsAny(name, "\r\n\x00") {
			return "message", true
		}
		if name == "" {
			return "message", false
		}
		return name, false
	}
	return "message", false
}

// checkData compares what was read with the entry.
func (p published) checkData(t *testing.T, got string) {
	t.Helper()
	for pair := range slices.Chunk(p.fields, 2) {
		if string(pair[0]) == "data" {
			if want := lines(pair[1]); got != want {
				t.Errorf("data is %q, want %q", got, want)
			}
			return
		}
	}
	var texts []string // the names and values of the object, in order
	dec := json.NewDecoder(strings.NewReader(got))
	for {
		token, err := dec.Token()
		if err != nil {
			break
		}
		if s, ok := token.(string); ok {
			texts = append(texts, s)
		}
	}
	var want []string
	for pair := range slices.Chunk(p.fields, 2) {
		if string(pair[0]) != "event" {
			want = append(want, readable(pair[0]), readable(pair[1]))
		}
	}
	if !json.Valid([]byte(got)) || !slices.Equal(texts, want) || strings.ContainsAny(got, "\r\n") {
		t.Errorf("data is %q, an object of %q; want %q", got, texts, want)
	}
}

// checkStream says that a subscriber reads just the entries, and nothing else.
func checkStream(t *testing.T, stream []byte, piece int, entries []published, idOf func(published) string, envelope string) {
	t.Helper()
	if !utf8.Valid(stream) || bytes.ContainsRune(stream, '\r') {
		t.Errorf("the stream has CR or is not UTF-8: %q", stream)
	}
	p := ssetest.Parse(stream, piece)
	if len(p.Ignored)+len(p.Retries) > 0 || len(p.Events) != len(entries) || !p.Complete() {
		t.Fatalf("got %d events of %d, and besides %q %q; the stream is %q", len(p.Events), len(entries), p.Ignored, p.Retries, stream)
	}
	for _, c := range p.Comments {
		if c != "" {
			t.Errorf("a comment %q", c)
		}
	}
	for i, e := range entries {
		got := p.Events[i]
		if want := idOf(e); got.ID != want {
			t.Errorf("id is %q, want %q", got.ID, want)
		}
		name, _ := e.name()
		if envelope == "" {
			if got.Name != name {
				t.Errorf("name is %q, want %q", got.Name, name)
			}
			e.checkData(t, got.Data)
			continue
		}
		var in struct{ Channel, ID, Event, Data string }
		dec := json.NewDecoder(strings.NewReader(got.Data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil || got.Name != "message" {
			t.Fatalf("event %q with %q: %v", got.Name, got.Data, err)
		}
		if in.Channel != envelope || in.ID != e.id.String() || in.Event != name {
			t.Errorf("got %+v, want channel %q, id %s, event %q", in, envelope, e.id, name)
		}
		e.checkData(t, in.Data)
	}
}

// FuzzFrames: whatever a publisher writes, a reader gets that data, that name
// and that id, and nothing else.
func FuzzFrames(f *testing.F) {
	for _, s := range []string{
		"", "data", "event", "gateway.ready", "x", "a\r\nb\rc\nd", "x\n\nid: 9-9\ndata: y\n\n", "\x00", "\xff\xfe\r\xe2\x82", "\uFEFF\u2028\u2029\u0085",
		" leading", ": comment", "data: \ndata: ", `{"a":"b"}`, "\n", "\r", "\r\n\r\n", "event: x", "retry: 1", "message",
	} {
		f.Add([]byte("event"), []byte(s), []byte("data"), []byte(s), uint64(1), uint8(3))
		f.Add([]byte("data"), []byte(s), []byte(s), []byte(s), uint64(1)<<63, uint8(1))
		f.Add([]byte(s), []byte(s), []byte("event"), []byte(s), ^uint64(0), uint8(200))
	}
	names := Signature([]string{"a", "b", "c"})
	idLine := func(b []byte, id store.ID) []byte {
		return AppendPosition(b, 3, func(i int) store.ID { return []store.ID{{}, id, {}}[i] }, names)
	}
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 []byte, ms uint64, piece uint8) {
		entries := []published{
			{store.ID{Ms: ms, Seq: 1}, [][]byte{name1, value1, name2, value2}},
			{store.ID{Ms: ms, Seq: 2}, [][]byte{[]byte("event"), value1, name1, value2, []byte("data"), value2}},
			{store.ID{Ms: ms, Seq: ^uint64(0)}, [][]byte{name2, value2}},
		}
		var single, several, enveloped []byte
		for _, e := range entries {
			encoded := Encoder{}.EncodeEntry("b", e.id, e.fields)
			frame, dropped := encoded.Frame, encoded.NameDropped
			if _, want := e.name(); dropped != want {
				t.Errorf("the name of %q is dropped: %v, want %v", e.fields, dropped, want)
			}
			single = append(append(single, frame...), Heartbeat...)
			several = append(idLine(several, e.id), WithoutID(frame)...)
			enveloped = AppendEnvelope(idLine(enveloped, e.id), "b", e.id, WithoutID(frame))
		}
		bare := func(e published) string { return e.id.String() }
		joined := func(e published) string { return "0-0~" + e.id.String() + "~0-0~" + names }
		checkStream(t, single, int(piece), entries, bare, "")
		checkStream(t, several, int(piece), entries, joined, "")
		checkStream(t, enveloped, int(piece), entries, joined, "b")
	})
}

func TestAppendJSONIsWhatEncodingJSONReads(t *testing.T) {
	same := func(s []byte) bool {
		var got, want string
		std, _ := json.Marshal(string(s))
		own := appendJSON(nil, s)
		text := appendJSON([]byte("x"), string(s))
		return json.Unmarshal(own, &got) == nil && json.Unmarshal(std, &want) == nil && got == want &&
			!bytes.ContainsAny(own, "\r\n\x00") && utf8.Valid(own) && string(text) == "x"+string(own)
	}
	if err := quick.Check(same, &quick.Config{MaxCount: 5000}); err != nil {
		t.Error(err)
	}
	for c := range 256 { // each byte alone, and cut-off sequences that begin with it
		for _, tail := range []string{"", "a", "\x80", "\x80\x80", "\x80\x80\x80", "\xff"} {
			if s := append([]byte{byte(c)}, tail...); !same(s) {
				t.Errorf("%q becomes %s", s, appendJSON(nil, s))
			}
		}
	}
}
