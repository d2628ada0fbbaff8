package deflate

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"
)

// FuzzAnyPieceMayFollowAny makes streams of all kinds of pieces, in any order and as
// often as the input says, and reads them with the standard library: after each flush
// it has all that came before, and at the end the trailer is right. Each byte of order
// is a kind of piece and a body. The bodies are small: TestStoredBlockOfAnyLength has
// the large ones.
func FuzzAnyPieceMayFollowAny(f *testing.F) {
	f.Add(object(700, 6), []byte{0, 1, 2, 3, 4, 12, 13, 14, 15, 18, 19, 20, 23, 42, 43, 44, 45, 46, 47})
	f.Add(noise(500, 7), []byte{8, 12, 12, 2, 36, 37, 38, 39, 40, 41, 47, 3})
	f.Add([]byte(":\n"), []byte{4, 2, 7, 3, 3, 8, 6, 24, 30, 36, 42})
	f.Add([]byte{}, []byte{})
	fixed := [][]byte{object(minBody, 11), object(400, 9), bytes.Repeat([]byte("ab"), 700), noise(300, 10)}
	cache := NewCache(1 << 20)
	client, err := newClient()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, order []byte) {
		// The fuzzer writes its next input into the same memory.
		text = bytes.Clone(text[:min(len(text), 2000)])
		half := len(text) / 2
		bodies := append([][]byte{text, text[:half], text[half:], nil}, fixed...)
		s := stream{client: client}
		s.client.begin(t)
		for _, o := range order[:min(len(order), 100)] {
			body, next := bodies[int(o/6)%len(bodies)], bodies[int(o/6+1)%len(bodies)]
			switch o % 6 {
			case 0: // as somebody else had it before
				s.block(cache.Block(bytes.Clone(body)), body)
			case 1:
				s.block(Compress(body), body)
			case 2:
				s.stored(body)
			case 3:
				s.flush()
			case 4: // several writes into one block, and one that comes to nothing
				s.stored(body, next, body)
				s.stored()
			case 5: // what is written at once
				s.stored(next)
				s.flush()
			}
			if s.flushed {
				s.client.requireAll(t, s.pending, s.plain)
				s.pending, s.plain = s.pending[:0], s.plain[:0]
			}
		}
		s.client.requireEnd(t, AppendEnd(s.pending, s.sum), s.plain)
	})
}

// stream is a stream that is being made.
type stream struct {
	*client
	sum     Sum
	pending []byte // what the client was not sent yet
	plain   []byte // the data of pending
	flushed bool   // pending ends with a flush
}

func (s *stream) block(b Block, body []byte) {
	if len(b.Data) == 0 {
		s.stored(body)
		return
	}
	s.pending, s.plain, s.sum, s.flushed = append(s.pending, b.Data...), append(s.plain, body...), s.sum.Join(b.Part), true
}

func (s *stream) stored(bodies ...[]byte) {
	start := len(s.pending)
	s.pending = OpenStored(s.pending)
	for _, body := range bodies {
		s.pending, s.plain, s.sum = append(s.pending, body...), append(s.plain, body...), s.sum.Add(body)
	}
	s.pending, s.flushed = CloseStored(s.pending, start), false
}

func (s *stream) flush() { s.pending, s.flushed = AppendFlush(s.pending), true }

// client reads one stream after the other with the same decompressor.
type client struct {
	in  bytes.Buffer
	zip *gzip.Reader
	got []byte
}

func newClient() (*client, error) {
	c := &client{}
	c.in.Write(Header)
	var err error
	c.zip, err = gzip.NewReader(&c.in)
	return c, err
}

func (c *client) begin(t *testing.T) {
	c.in.Reset()
	c.in.Write(Header)
	if err := c.zip.Reset(&c.in); err != nil {
		t.Fatal(err)
	}
	c.zip.Multistream(false)
}

// requireAll sends the client a part of the stream, which must have this data.
func (c *client) requireAll(t *testing.T, part, plain []byte) {
	c.in.Write(part)
	c.got = append(c.got[:0], plain...)
	clear(c.got)
	if n, err := io.ReadFull(c.zip, c.got); err != nil || !bytes.Equal(c.got, plain) {
		t.Fatalf("%d bytes of %d after a flush: %v", n, len(plain), err)
	}
}

// requireEnd sends the client the last part of the stream, which must have this data.
// Another stream begins behind it.
func (c *client) requireEnd(t *testing.T, part, plain []byte) {
	const behind = "behind the end"
	c.in.Write(part)
	c.in.WriteString(behind)
	if got, err := io.ReadAll(c.zip); err != nil || !bytes.Equal(got, plain) || c.in.String() != behind {
		t.Fatalf("%d bytes of %d, and %q after the end: %v", len(got), len(plain), c.in.String(), err)
	}
}
