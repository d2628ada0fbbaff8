package redisstream

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sse-gateway/sse-gateway/store/resp"
)

// The encoder side of RESP, for what the readers read.

func str(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

func array(items ...string) string {
	return fmt.Sprintf("*%d\r\n%s", len(items), strings.Join(items, ""))
}

// fieldsText is the reply with the fields of an entry.
func fieldsText(e Entry) string {
	b := fmt.Appendf(nil, "*%d\r\n", len(e.Fields))
	for _, f := range e.Fields {
		b = append(strconv.AppendInt(append(b, '$'), int64(len(f)), 10), "\r\n"...)
		b = append(append(b, f...), "\r\n"...)
	}
	return string(b)
}

func entryText(e Entry) string { return array(str(e.ID.String()), fieldsText(e)) }

func entriesText(es []Entry) string {
	texts := make([]string, len(es))
	for i := range es {
		texts[i] = entryText(es[i])
	}
	return array(texts...)
}

// entry makes an entry of names and values.
func entry(id ID, fields ...string) Entry {
	e := Entry{ID: id}
	for _, f := range fields {
		e.Fields = append(e.Fields, []byte(f))
		e.Size += len(f)
	}
	return e
}

// clone is an entry that stays valid.
func clone(e Entry) Entry {
	fields := e.Fields
	e.Fields = nil
	for _, f := range fields {
		e.Fields = append(e.Fields, bytes.Clone(f))
	}
	return e
}

// read reads a reply as a whole.
func read(reply string, f func(*resp.Reader) error) error {
	src := strings.NewReader(reply + "+next\r\n")
	rd := resp.NewReader(src, nil)
	err := f(rd)
	if err == nil || resp.IsReply(err) {
		if v, err := rd.Value(); v != "next" || err != nil {
			return fmt.Errorf("after the reply: %v, %v", v, err)
		}
	}
	return err
}

// readInPieces reads a reply in random pieces: from a connection, or from whoever
// has read it from one, in two ways.
func readInPieces(t *testing.T, rng *rand.Rand, reply string, f func(*resp.Reader) error) {
	t.Helper()
	if rng.IntN(2) == 0 {
		size := 1 + rng.IntN(1+rng.IntN(20_000))
		if err := f(resp.NewReader(&pieces{rest: reply, size: size}, nil)); err != nil {
			t.Fatal(err)
		}
		return
	}
	w := &resp.Writer{Read: f}
	for rest := []byte(reply); len(rest) > 0; {
		n := min(len(rest), 1+rng.IntN(1+rng.IntN(20_000)))
		var err error
		if rng.IntN(2) == 0 {
			_, err = w.Write(rest[:n])
		} else {
			r := io.Reader(bytes.NewReader(rest[:n]))
			if rng.IntN(2) == 0 {
				r = iotest.HalfReader(r)
			}
			_, err = w.ReadFrom(io.LimitReader(r, int64(n)))
		}
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
}

// pieces is a source that has a text in pieces of a size.
type pieces struct {
	rest string
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.rest == "" {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
