package store

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// The encoder side of RESP2, for what respReader reads.

func respBulk(s []byte) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

func respArray(items ...string) string {
	return fmt.Sprintf("*%d\r\n%s", len(items), strings.Join(items, ""))
}

func respEntry(e rawEntry) string {
	fields := make([]string, len(e.fields))
	for i, f := range e.fields {
		fields[i] = respBulk(f)
	}
	return respArray(respBulk([]byte(e.id.String())), respArray(fields...))
}

func TestRespStreamInfo(t *testing.T) {
	t.Parallel()
	first, last := rawEntry{id: ID{1, 2}, fields: [][]byte{[]byte("a"), []byte("b")}}, rawEntry{id: ID{5, 0}, fields: [][]byte{[]byte("c"), []byte("de")}}
	name := func(s string) string { return respBulk([]byte(s)) }
	full := respArray(name("length"), ":3\r\n", name("radix-tree-keys"), ":1\r\n", name("last-generated-id"), name("6-1"),
		name("max-deleted-entry-id"), name("3-0"), name("entries-added"), ":9\r\n", name("groups"), respArray(respArray(":1\r\n", "$-1\r\n")),
		name("first-entry"), respEntry(first), name("last-entry"), respEntry(last))
	want := streamInfo{exists: true, length: 3, last: ID{6, 1}, added: 9, deleted: ID{3, 0}, first: ID{1, 2}, newest: ID{5, 0}, size: 3}
	if got, err := (&respReader{[]byte(full)}).streamInfo(); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	empty := respArray(name("length"), ":0\r\n", name("last-generated-id"), name("6-1"), name("first-entry"), "$-1\r\n", name("last-entry"), "*-1\r\n")
	if got, err := (&respReader{[]byte(empty)}).streamInfo(); err != nil || got.added != -1 || !got.first.IsZero() || got.partial {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := (&respReader{[]byte("-ERR no such key\r\n")}).streamInfo(); err != nil || got.exists {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := (&respReader{[]byte("-WRONGTYPE no\r\n")}).streamInfo(); !isWrongType(err) {
		t.Errorf("got %v", err)
	}
}

func TestRespDepth(t *testing.T) {
	t.Parallel()
	r := respReader{[]byte(strings.Repeat("*1\r\n", 1<<20) + ":1\r\n")}
	if err := r.skip(); !errors.Is(err, errReply) {
		t.Errorf("got %v", err)
	}
}

// FuzzRespEntries sends entries through an encoder and back.
func FuzzRespEntries(f *testing.F) {
	f.Add(uint64(1), uint64(2), []byte("data"), []byte("hello\r\n$5\r\n"), uint8(3))
	f.Add(uint64(0), uint64(0), []byte{}, []byte{0, 255}, uint8(20))
	f.Fuzz(func(t *testing.T, ms, seq uint64, name, value []byte, n uint8) {
		want := make([]rawEntry, n%40)
		text := make([]string, len(want))
		for i := range want {
			want[i].id = ID{ms, seq + uint64(i)}
			for range i {
				want[i].fields = append(want[i].fields, name, value)
			}
			text[i] = respEntry(want[i])
		}
		r := respReader{[]byte(respArray(text...) + "rest")}
		i := 0
		got, err := r.entries(func(e rawEntry) {
			if e.id != want[i].id || len(e.fields) != len(want[i].fields) {
				t.Fatalf("entry %d is %+v, want %+v", i, e, want[i])
			}
			for j := range e.fields {
				if !bytes.Equal(e.fields[j], want[i].fields[j]) {
					t.Fatalf("field %d of entry %d is %q", j, i, e.fields[j])
				}
			}
			i++
		})
		size := 0
		for _, e := range want {
			for _, f := range e.fields {
				size += len(f)
			}
		}
		if err != nil || got != (reading{n: i, seen: i, bytes: size}) || i != len(want) || string(r.b) != "rest" {
			t.Errorf("%+v, %v, rest %q", got, err, r.b)
		}
	})
}

// FuzzResp reads arbitrary bytes: any outcome but a panic will do.
func FuzzResp(f *testing.F) {
	for _, s := range []string{"", "*", "*1\r\n", "*-1\r\n", "$-1\r\n", "$5\r\nhello", "-ERR x\r\n", ":1\r\n", "+OK\r\n", "*2\r\n$3\r\n1-1\r\n*0\r\n",
		"*99999999999999999999\r\n", "$9223372036854775807\r\n", "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*2\r\n$6\r\nlength\r\n:x\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		_, _ = (&respReader{b}).entries(func(rawEntry) {})
		_, _ = (&respReader{b}).streamInfo()
		_, _ = (&respReader{b}).scalar()
		_, _ = (&respReader{b}).integer()
		r := respReader{b}
		if err := r.skip(); err == nil && len(b) > 0 && len(r.b) >= len(b) {
			t.Errorf("skip of %q took nothing", b)
		}
		if !reflect.DeepEqual(before, b) {
			t.Error("the bytes were changed")
		}
	})
}
