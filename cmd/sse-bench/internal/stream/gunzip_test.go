package stream

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"
)

// gzipPieces returns a body of pieces that stand alone: the first stored, as what one
// stream is sent is, the others compressed.
func gzipPieces(t testing.TB, contents ...string) (pieces []string) {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")
	for i, c := range contents {
		level := 5
		if i == 0 {
			level = flate.NoCompression
		}
		w, err := flate.NewWriter(&b, level)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(c))
		_ = w.Flush()
		pieces = append(pieces, b.String())
		b.Reset()
	}
	end := binary.LittleEndian.AppendUint32([]byte(lastBlock), crc32.ChecksumIEEE([]byte(strings.Join(contents, ""))))
	return append(pieces, string(binary.LittleEndian.AppendUint32(end, uint32(len(strings.Join(contents, ""))))))
}

// gunzipPieces feeds a body in pieces.
func gunzipPieces(shared *Pieces, pieces ...string) (content string, err error) {
	var g Gunzip
	for _, p := range pieces {
		c, err := g.Feed([]byte(p), shared)
		if content += string(c); err != nil {
			return content, err
		}
	}
	c, err := g.End(shared)
	return content + string(c), err
}

var gzipContents = []string{
	"id: 1\ndata: a\n\n", strings.Repeat("data: something that repeats\n", 50) + "\n", ":\n", pieceEnd + pieceEnd, "x" + pieceEnd, strings.Repeat("z", 100_000),
}

func TestGunzipAtEverySplit(t *testing.T) {
	var shared Pieces
	pieces := gzipPieces(t, gzipContents...)
	whole, want := strings.Join(pieces, ""), strings.Join(gzipContents, "")
	for i := range len(whole) + 1 {
		if got, err := gunzipPieces(&shared, whole[:i], whole[i:]); err != nil || got != want {
			t.Fatalf("split at %d: %d bytes of %d, %v", i, len(got), len(want), err)
		}
	}
	if got, err := gunzipPieces(&shared, strings.Split(whole, "")...); err != nil || got != want {
		t.Errorf("byte by byte: %d bytes of %d, %v", len(got), len(want), err)
	}
	// Each is there as soon as its last byte is, before the end of the body.
	var g Gunzip
	for i, p := range pieces[:len(pieces)-1] {
		if got, err := g.Feed([]byte(p), &shared); err != nil || string(got) != gzipContents[i] {
			t.Errorf("piece %d: %.40q, %v", i, got, err)
		}
	}
}

func TestGunzipFindsFaults(t *testing.T) {
	pieces := gzipPieces(t, gzipContents...)
	whole := strings.Join(pieces, "")
	var ordinary bytes.Buffer // its second piece refers to the first
	w := gzip.NewWriter(&ordinary)
	for range 2 {
		_, _ = w.Write([]byte(gzipContents[1]))
		_ = w.Flush()
	}
	wrong := []byte(whole)
	wrong[len(wrong)-8]++
	for name, c := range map[string]struct {
		body []string
		want error
	}{
		"no header":                {[]string{"data: something else\n\n"}, errGzip},
		"a header with a name":     {[]string{"\x1f\x8b\x08\x08" + whole[4:]}, errGzip},
		"pieces that need another": {strings.SplitAfter(ordinary.String(), pieceEnd), errGzip},
		"no trailer":               {pieces[:len(pieces)-1], errNoTrailer},
		"half a trailer":           {[]string{whole[:len(whole)-4]}, errNoTrailer},
		"nothing":                  {nil, errNoTrailer},
		"a wrong checksum":         {[]string{string(wrong)}, errTrailer},
		"a piece that is missing":  {slices.Concat(pieces[:2], pieces[3:]), errTrailer},
	} {
		if _, err := gunzipPieces(new(Pieces), c.body...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// A piece that is known is not decompressed again.
func BenchmarkGunzip(b *testing.B) {
	for name, n := range map[string]int{"known": 1, "new": 1000} {
		var contents []string
		for i := range n {
			contents = append(contents, fmt.Sprint(i, strings.Repeat(`{"name":"value","number":`+fmt.Sprint(i)+"},", 60)))
		}
		pieces := gzipPieces(b, append([]string{"x"}, contents...)...)
		b.Run(name, func(b *testing.B) {
			var shared Pieces
			var g Gunzip
			_, _ = g.Feed([]byte(pieces[0]), &shared)
			for i := 0; b.Loop(); i++ {
				if c, err := g.Feed([]byte(pieces[1+i%n]), &shared); err != nil || len(c) == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}
