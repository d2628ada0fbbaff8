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

// read has a Sink take a reply as a whole.
func read(reply string, sink resp.Sink) error {
	n, done, err := resp.NewParser(nil).Feed([]byte(reply), sink)
	switch {
	case err != nil:
		return err
	case !done || n != len(reply):
		return fmt.Errorf("%d of %d bytes were taken, and the reply has ended: %v", n, len(reply), done)
	}
	return nil
}

// readInPieces has a Sink take a reply in random pieces: from a connection, or
// from whoever has read it from one, in two ways.
func readInPieces(t *testing.T, rng *rand.Rand, reply string, sink resp.Sink) {
	t.Helper()
	direct := rng.IntN(2) == 0
	p, w, done := resp.NewParser(nil), &resp.Writer{Sink: sink}, false
	for rest := []byte(reply); len(rest) > 0; {
		n := min(len(rest), 1+rng.IntN(1+rng.IntN(20_000)))
		var err error
		switch {
		case direct:
			_, done, err = p.Feed(rest[:n], sink)
		case rng.IntN(2) == 0:
			_, err = w.Write(rest[:n])
		default:
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
	if direct && !done || !direct && w.Err() != nil {
		t.Fatal("the reply has not ended", w.Err())
	}
}
