package gateway

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// wholeEnvelope is what an envelope is, however its parts are cut.
func wholeEnvelope(channel string, id store.ID, rest []byte) []byte {
	return bytes.Join(envelopeInParts(channel, id, rest, 1<<30), nil)
}

// envelopeInParts makes an envelope in parts of about limit bytes.
func envelopeInParts(channel string, id store.ID, rest []byte, limit int) (parts [][]byte) {
	b, left, in := appendEnvelopeHead(nil, channel, id, rest)
	for parts = append(parts, b); in != unwrapped; parts = append(parts, b) {
		b, left, in = appendEnvelopePart(nil, limit, left, in)
	}
	return parts
}

func TestEnvelope(t *testing.T) {
	for name, tc := range map[string]struct {
		fields [][]byte
		want   string // "event" and "data"
	}{
		"no name":     {fieldsOf("data", "x"), `"event":"message","data":"x"`},
		"name":        {fieldsOf("data", "x", "event", "e\"\xff"), `"event":"e\"` + "\uFFFD" + `","data":"x"`},
		"lines":       {fieldsOf("data", "a\r\ndata: b\n\nevent: c\n"), `"event":"message","data":"a\ndata: b\n\nevent: c\n"`},
		"empty":       {fieldsOf("data", ""), `"event":"message","data":""`},
		"line ends":   {fieldsOf("data", "\n\n"), `"event":"message","data":"\n\n"`},
		"looks named": {fieldsOf("data", "event: x"), `"event":"message","data":"event: x"`},
		"no data":     {fieldsOf("k", "v"), `"event":"message","data":"{\"k\":\"v\"}"`},
		"bad name":    {fieldsOf("event", "gateway.gap", "data", "x"), `"event":"message","data":"x"`},
		"NUL":         {fieldsOf("data", "\x00"), `"event":"message","data":"\u0000"`},
	} {
		t.Run(name, func(t *testing.T) {
			frame := FrameEncoder{}.EncodeEntry("orders", testID, tc.fields).Frame
			got := wholeEnvelope("orders", testID, rest(frame))
			want := `data: {"channel":"orders","id":"1700000000000-7",` + tc.want + "}\n\n"
			if string(got) != want {
				t.Errorf("got %q\nwant %q", got, want)
			}
		})
	}
}

// longTexts are texts that need several steps, and are cut at every place.
func longTexts() map[string]string {
	texts := map[string]string{
		"control characters": strings.Repeat("\x01", 20*envelopeStep),
		"lines":              strings.Repeat("a\n", 10*envelopeStep),
		"empty lines":        strings.Repeat("\n", envelopeStep),
		"what is no UTF-8":   strings.Repeat("\xe2\x82", envelopeStep),
	}
	for i := range 4 { // a character at every place of the cut
		pad := strings.Repeat("p", i)
		texts[fmt.Sprint("characters after ", i)] = pad + strings.Repeat("\U0001F600", envelopeStep)
		texts[fmt.Sprint("a line's end after ", i)] = strings.Repeat("q", envelopeStep-2+i) + "\n" + pad
	}
	return texts
}

// An envelope is the same in parts of any size, and no part is much larger than
// it is to be.
func TestEnvelopeInParts(t *testing.T) {
	for what, text := range longTexts() {
		name := strings.NewReplacer("\n", "").Replace(text)
		for i, e := range []published{{testID, fieldsOf("data", text)}, {testID, fieldsOf("event", name, "data", text)}, {testID, fieldsOf(text, text)}} {
			frame := FrameEncoder{}.EncodeEntry("orders", testID, e.fields).Frame
			whole := wholeEnvelope("orders", testID, rest(frame))
			checkStream(t, append(appendID(nil, testID), whole...), 1000, []published{e}, func(published) string { return testID.String() }, "orders")
			for _, limit := range []int{1, 100, slowBatch} {
				parts := envelopeInParts("orders", testID, rest(frame), limit)
				if !bytes.Equal(bytes.Join(parts, nil), whole) {
					t.Errorf("%s, %d: parts of %d bytes are something else", what, i, limit)
				}
				for _, part := range parts[1:] {
					if len(part) > limit+7*envelopeStep {
						t.Errorf("%s, %d: a part of %d bytes, want about %d", what, i, len(part), limit)
					}
				}
			}
		}
	}
}

// envelopeStreams returns streams of one channel that are sent envelopes.
func envelopeStreams(t *testing.T, n int) (*engine, []*stream) {
	e := startEngine(t, redistest.Start(t), engineSetup{})
	sub, err := e.store.Subscribe(t.Context(), "a", noWaker{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	all := make([]*stream, n)
	for i := range all {
		s := &stream{g: e.g, out: &batch{}, envelope: true}
		s.channels = s.one[:]
		s.channels[0].cursor = sub.Now()
		all[i] = s
	}
	return e, all
}

// Streams that are in the middle of an envelope have no more of their own than
// a batch; what is left is in the frame that they share.
func TestEnvelopesShareTheFrame(t *testing.T) {
	_, streams := envelopeStreams(t, 3)
	streams[2].slow = true
	frame := FrameEncoder{}.EncodeEntry("a", testID, fieldsOf("event", "e", "data", strings.Repeat("\x01", 1<<18))).Frame
	entry := store.Entry{ID: testID, Frame: frame}
	want := string(appendID(nil, testID)) + string(wholeEnvelope("a", testID, rest(frame)))
	for i, s := range streams {
		var all []byte
		b := make([]byte, 0, maxBatch+maxBatch/4)
		room := cap(b)
		for b = s.appendEntry(b, 0, &entry, s.limit()); len(b) > 0; b = s.nextPart(b) {
			if cap(b) != room || len(b) > s.limit()+6*envelopeStep {
				t.Fatalf("stream %d holds %d bytes, in a buffer of %d", i, len(b), cap(b))
			}
			end := uintptr(unsafe.Pointer(unsafe.SliceData(frame))) + uintptr(len(frame))
			if s.large != nil && uintptr(unsafe.Pointer(unsafe.SliceData(s.large)))+uintptr(len(s.large)) != end {
				t.Fatalf("what is left for stream %d is not a part of the frame", i)
			}
			all = append(all, b...)
		}
		if string(all) != want {
			t.Errorf("stream %d was sent something else than the envelope", i)
		}
	}
}

// Events that grow in their envelopes are taken as far as a batch goes, and the
// others are not lost.
func TestEnvelopesFitTheBatch(t *testing.T) {
	e, streams := envelopeStreams(t, 1)
	s := streams[0]
	const events, escapes = 200, 300
	for i := range events {
		e.publish("a", fmt.Sprint(i, strings.Repeat("\x01", escapes)))
	}
	parser := &sseParser{}
	for len(parser.events) < events {
		redistest.Eventually(t, enginePatience, "more events", func() bool { return !s.channels[0].cursor.Idle() })
		b, _ := s.fill(nil)
		for ; len(b) > 0; b = s.nextPart(nil) {
			if len(b) > maxBatch+6*envelopeStep {
				t.Fatalf("a batch of %d bytes", len(b))
			}
			parser.feed(b)
		}
	}
	for i, event := range parser.events {
		if want := fmt.Sprintf(`"data":"%d%s"}`, i, strings.Repeat(`\u0001`, escapes)); !strings.HasSuffix(event.data, want) {
			t.Fatalf("event %d is %.100q", i, event.data)
		}
	}
}
