package ssetest

import (
	"reflect"
	"testing"
)

// The parser is the measure of the frames, so it is measured itself: with the
// examples of the specification and of web-platform-tests/eventsource.
func TestSSEParser(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want Parser // Events, Comments, Retries, Ignored, LastID
	}{
		"spec: three messages, the last incomplete": {": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\nid: 4",
			Parser{Events: []Event{{"message", "first event", "1"}, {"message", "second event", ""}, {"message", " third event", ""}}, Comments: []string{" test stream"}}},
		"spec: two events, empty data":      {"data\n\ndata\ndata\n\ndata:", Parser{Events: []Event{{"message", "", ""}, {"message", "\n", ""}}}},
		"spec: the space after the colon":   {"data:test\n\ndata: test\n\n", Parser{Events: []Event{{"message", "test", ""}, {"message", "test", ""}}}},
		"wpt format-bom":                    {"\uFEFFdata:1\n\n\uFEFFdata:2\n\ndata:3\n\n", Parser{Events: []Event{{"message", "1", ""}, {"message", "3", ""}}, Ignored: []string{"\uFEFFdata:2"}}},
		"wpt format-bom-2":                  {"\uFEFF\uFEFFdata:1\n\ndata:2\n\n", Parser{Events: []Event{{"message", "2", ""}}, Ignored: []string{"\uFEFFdata:1"}}},
		"wpt format-newlines":               {"data:test\r\ndata\ndata:test\r\n\r", Parser{Events: []Event{{"message", "test\n\ntest", ""}}}},
		"wpt format-field-id-null":          {"id: 1\x00\ndata: x\n\n", Parser{Events: []Event{{"message", "x", ""}}, Ignored: []string{"id: 1\x00"}}},
		"wpt format-field-parsing":          {"data:\x00\ndata:  2\rData:1\ndata\x00:2\ndata:1\r\x00data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n", Parser{Events: []Event{{"message", "\x00\n 2\n1\n3\n\n4", ""}}, Ignored: []string{"Data:1", "data\x00:2", "\x00data:4", "da-ta:3", "data_5", " data:32"}}},
		"an event without data is not sent": {"event: x\nid: 7\n\ndata: y\n\n", Parser{Events: []Event{{"message", "y", "7"}}, Ignored: []string{"event: x"}, LastID: "7"}},
		"retry takes digits only":           {"retry: 10\nretry: 1x\nretry:\nretry: -1\n\n", Parser{Retries: []string{"10"}, Ignored: []string{"retry: 1x", "retry:", "retry: -1"}}},
		"a name is for one event":           {"event: a\ndata: 1\n\ndata: 2\n\n", Parser{Events: []Event{{"a", "1", ""}, {"message", "2", ""}}}},
		"an id stays":                       {"id: 5\ndata: 1\n\ndata: 2\n\n", Parser{Events: []Event{{"message", "1", "5"}, {"message", "2", "5"}}, LastID: "5"}},
	} {
		t.Run(name, func(t *testing.T) {
			for piece := 1; piece <= len(tc.in); piece++ {
				p := Parse([]byte(tc.in), piece)
				got := Parser{Events: p.Events, Comments: p.Comments, Retries: p.Retries, Ignored: p.Ignored, LastID: p.LastID}
				if !reflect.DeepEqual(got, tc.want) {
					t.Fatalf("in pieces of %d:\n got %+v\nwant %+v", piece, got, tc.want)
				}
			}
		})
	}
}
