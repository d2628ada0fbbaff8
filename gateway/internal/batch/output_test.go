package batch

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
)

// written returns all of an output.
func (o Output) written() string { return string(o.own) + string(o.large) + o.end }

// A batch is the same in one chunk as without, and a chunk is what net/http reads.
func TestBatchIsOneChunk(t *testing.T) {
	for _, own := range []int{0, 1, 15, 16, 17, 255, 256, 4095, 4096, 65535, 65536, 100_000} {
		for _, large := range []int{0, 1, 1 << 20} {
			if own+large == 0 {
				continue
			}
			make := func() *Buffer {
				buf := Get()
				buf.B = append(buf.B, strings.Repeat("o", own)...)
				buf.large = []byte(strings.Repeat("l", large))
				return buf
			}
			plain := make().Output(false)
			chunked := make().Output(true)
			wire := chunked.written()
			if size := fmt.Sprintf("%x\r\n", own+large); !strings.HasPrefix(wire, size) || chunked.Size() != len(wire) {
				t.Fatalf("%d and %d bytes begin with %.10q; size %d of %d", own, large, wire, chunked.Size(), len(wire))
			}
			got, err := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(wire + lastChunk)))
			if err != nil || string(got) != plain.written() {
				t.Errorf("%d and %d bytes are read as %d: %v", own, large, len(got), err)
			}
		}
	}
	if out := Get().Output(true); out.Size() != 0 {
		t.Errorf("nothing is written as %q, which would end the body", out.written())
	}
}

// An output is written in any pieces.
func TestOutputInPieces(t *testing.T) {
	for step := 1; step < 12; step++ {
		out := Output{own: []byte("own bytes"), large: []byte("and a large frame"), end: endOfChunk}
		want, got := out.written(), ""
		for left := out.Size(); left > 0; left = out.Size() {
			n := min(step, len(out.Next()))
			got += string(out.Next()[:n])
			if out.Wrote(n); out.Size() != left-n {
				t.Fatalf("%d bytes are left of %d, after %d were written", out.Size(), left, n)
			}
		}
		if got != want {
			t.Errorf("in pieces of %d: %q, want %q", step, got, want)
		}
	}
}

// The end of a body has the last frames and ends what it is in.
func TestEnd(t *testing.T) {
	for _, frames := range []string{"", "retry: 2000\n"} {
		if got := End([]byte(frames), false, nil); got.written() != frames {
			t.Errorf("%q becomes %q", frames, got.written())
		}
		chunked := End([]byte(frames), true, nil)
		got, err := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(chunked.written())))
		if err != nil || string(got) != frames {
			t.Errorf("in chunks %q is %q: %q, %v", frames, chunked.written(), got, err)
		}
		begun := New(0)
		begun.B = append(begun.B, deflate.Header...)
		begun.BeginGzip(deflate.Sum{})
		begun.B = append(begun.B, "before\n"...)
		out, sum := begun.Output(false), deflate.Sum{}
		sum = begun.Sum()
		end := End([]byte(frames), false, &sum)
		z, err := gzip.NewReader(bytes.NewReader([]byte(out.written() + end.written())))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); err != nil || string(got) != "before\n"+frames {
			t.Errorf("in gzip %q: %q, %v", frames, got, err)
		}
	}
}
