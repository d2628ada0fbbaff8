package sse

import (
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// fieldsOf makes the fields of an entry of names and values.
func fieldsOf(texts ...string) [][]byte {
	fields := make([][]byte, len(texts))
	for i, s := range texts {
		fields[i] = []byte(s)
	}
	return fields
}

var testID = store.ID{Ms: 1700000000000, Seq: 7}

func TestEncodeEntry(t *testing.T) {
	for name, tc := range map[string]struct {
		fields  [][]byte
		want    string // after the id line and before the empty line
		dropped bool
	}{
		"data":                            {fieldsOf("data", "hello"), "data: hello", false},
		"data and name":                   {fieldsOf("event", "order", "data", "1"), "event: order\ndata: 1", false},
		"name after data":                 {fieldsOf("data", "1", "event", "order"), "event: order\ndata: 1", false},
		"other fields beside data":        {fieldsOf("a", "b", "data", "1", "id", "9", "retry", "1"), "data: 1", false},
		"the first data and name count":   {fieldsOf("data", "1", "event", "a", "data", "2", "event", "b"), "event: a\ndata: 1", false},
		"an empty name counts, too":       {fieldsOf("event", "", "data", "1", "event", "b"), "data: 1", false},
		"empty data":                      {fieldsOf("data", ""), "data: ", false},
		"LF":                              {fieldsOf("data", "a\nb"), "data: a\ndata: b", false},
		"CR":                              {fieldsOf("data", "a\rb"), "data: a\ndata: b", false},
		"CRLF":                            {fieldsOf("data", "a\r\nb"), "data: a\ndata: b", false},
		"LFCR are two ends":               {fieldsOf("data", "a\n\rb"), "data: a\ndata: \ndata: b", false},
		"mixed":                           {fieldsOf("data", "a\r\n\r\rb\n\nc"), "data: a\ndata: \ndata: \ndata: b\ndata: \ndata: c", false},
		"only a line end":                 {fieldsOf("data", "\n"), "data: \ndata: ", false},
		"a line end at both ends":         {fieldsOf("data", "\r\nx\r"), "data: \ndata: x\ndata: ", false},
		"forged frame":                    {fieldsOf("data", "x\n\nid: 9-9\nevent: gateway.gap\ndata: y\n\n"), "data: x\ndata: \ndata: id: 9-9\ndata: event: gateway.gap\ndata: data: y\ndata: \ndata: ", false},
		"leading spaces stay":             {fieldsOf("data", "  x\n y"), "data:   x\ndata:  y", false},
		"NUL in data stays":               {fieldsOf("data", "a\x00b"), "data: a\x00b", false},
		"BOM in data stays":               {fieldsOf("data", "\uFEFFa"), "data: \uFEFFa", false},
		"other line ends of Unicode stay": {fieldsOf("data", "a\u2028b\u2029c\u0085d\x0be\x0cf"), "data: a\u2028b\u2029c\u0085d\x0be\x0cf", false},
		"not UTF-8":                       {fieldsOf("data", "a\xffb"), "data: a\uFFFDb", false},
		"every byte that is not UTF-8":    {fieldsOf("data", "\xff\xfe\xc0\x80\xed\xa0\x80"), "data: " + strings.Repeat("\uFFFD", 7), false},
		"a sequence that is cut off":      {fieldsOf("data", "\xe2\x82\n\xac"), "data: \uFFFD\uFFFD\ndata: \uFFFD", false},
		"a name that is not UTF-8":        {fieldsOf("event", "\xff\xfe", "data", "x"), "event: \uFFFD\uFFFD\ndata: x", false},
		"a name with spaces and colons":   {fieldsOf("event", " a: b", "data", "x"), "event:  a: b\ndata: x", false},
		"a name with BOM and U+2028":      {fieldsOf("event", "\uFEFF\u2028", "data", "x"), "event: \uFEFF\u2028\ndata: x", false},
		"a name with LF":                  {fieldsOf("event", "a\ndata: y", "data", "x"), "data: x", true},
		"a name with CR":                  {fieldsOf("event", "a\r", "data", "x"), "data: x", true},
		"a name with NUL":                 {fieldsOf("event", "\x00", "data", "x"), "data: x", true},
		"a name of the gateway's":         {fieldsOf("event", "gateway.ready", "data", "x"), "data: x", true},
		"the gateway's prefix alone":      {fieldsOf("event", "gateway.", "data", "x"), "data: x", true},
		"nearly the gateway's prefix":     {fieldsOf("event", "Gateway.x", "data", "x"), "event: Gateway.x\ndata: x", false},
		"a bad name without data":         {fieldsOf("event", "a\n", "k", "v"), `data: {"k":"v"}`, true},

		"no data":                      {fieldsOf("b", "1", "a", "2"), `data: {"b":"1","a":"2"}`, false},
		"no data, fields twice":        {fieldsOf("k", "1", "k", "2", "", ""), `data: {"k":"1","k":"2","":""}`, false},
		"no data, with a name":         {fieldsOf("k", "1", "event", "e", "l", "2"), "event: e\n" + `data: {"k":"1","l":"2"}`, false},
		"only a name":                  {fieldsOf("event", "e"), "event: e\ndata: {}", false},
		"names twice":                  {fieldsOf("event", "e", "event", "f"), "event: e\ndata: {}", false},
		"Data is not data":             {fieldsOf("Data", "x", "data ", "y"), `data: {"Data":"x","data ":"y"}`, false},
		"no data, escapes":             {fieldsOf("\"\\\n\r\t\x00\x1f", "\xff\xfe\u2028</script>"), `data: {"\"\\\n\r\t\u0000\u001f":"` + "\uFFFD\uFFFD" + `\u2028</script>"}`, false},
		"no data, Unicode's line ends": {fieldsOf("a\u0085", "b\u2028c\u2029d\u2027\u0084"), `data: {"a\u0085":"b\u2028c\u2029d` + "\u2027\u0084" + `"}`, false},
		"no data, an object in a key":  {fieldsOf(`{"a":1}`, "\r\ndata: x\n\n"), `data: {"{\"a\":1}":"\r\ndata: x\n\n"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := Encoder{}.EncodeEntry("orders", testID, tc.fields)
			want := "id: 1700000000000-7\n" + tc.want + "\n\n"
			if string(got.Frame) != want || got.NameDropped != tc.dropped {
				t.Errorf("got %q, dropped %v\nwant %q, %v", got.Frame, got.NameDropped, want, tc.dropped)
			}
		})
	}
}

func TestEncodeEntryKeepsNothingOfItsArguments(t *testing.T) {
	fields := fieldsOf("data", "hello", "event", "name")
	frame := Encoder{}.EncodeEntry("orders", testID, fields).Frame
	want := string(frame)
	for _, f := range fields {
		clear(f)
	}
	for range 10 { // nor a buffer that the next frame is made in
		Encoder{}.EncodeEntry("orders", testID, fieldsOf("data", strings.Repeat("x", 100)))
	}
	if string(frame) != want {
		t.Errorf("the frame has changed to %q", frame)
	}
	large := Encoder{}.EncodeEntry("orders", testID, fieldsOf("data", strings.Repeat("y", 2*maxScratch))).Frame
	if len(large) != len("id: 1700000000000-7\ndata: \n\n")+2*maxScratch || cap(large) > len(large)+len(large)/4 {
		t.Errorf("a large frame has %d bytes in %d", len(large), cap(large))
	}
}

func TestEncodeGap(t *testing.T) {
	got := Encoder{}.EncodeGap(store.Gap{Channel: "a:{b}", After: store.ID{Ms: 1, Seq: 2}, Resumed: store.ID{Ms: 3, Seq: 4}, Reason: metrics.GapTooLarge})
	want := "id: 3-4\nevent: gateway.gap\ndata: " + `{"channel":"a:{b}","after":"1-2","resumed":"3-4","reason":"too_large"}` + "\n\n"
	if string(got) != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func BenchmarkEncodeEntry(b *testing.B) {
	fields := fieldsOf("data", strings.Repeat("x", 100), "event", "order")
	b.ReportAllocs()
	for b.Loop() {
		Encoder{}.EncodeEntry("orders", testID, fields)
	}
}
