package tail

import "github.com/sse-gateway/sse-gateway/store/resp"

// invalidations is the resp.Sink for what the server sends by itself. Of
// CLIENT TRACKING that is "invalidate" with the keys that have changed, or with
// null if a database was flushed. Pushes of other kinds are skipped.
// See https://redis.io/docs/latest/develop/reference/client-side-caching/.
type invalidations struct {
	n     *Node
	depth int
	index int // of the element at depth 1
	ours  bool
	key   []byte
}

// maxKey is the longest key that is looked at, in bytes: no channel has a
// longer one. Others are skipped.
const maxKey = 64 << 10

// Begin is of resp.Sink.
func (p *invalidations) Begin(resp.Kind, int) error {
	if p.depth++; p.depth == 1 {
		p.index, p.ours = 0, false
	}
	return nil
}

// Reserve is of resp.Sink.
func (p *invalidations) Reserve(n int) []byte {
	if n > maxKey || p.depth > 2 {
		return nil
	}
	if n > cap(p.key) {
		p.key = make([]byte, n, max(n, 256))
	}
	return p.key[:n]
}

// Scalar is of resp.Sink.
func (p *invalidations) Scalar(kind resp.Kind, s []byte, _ int) error {
	switch {
	case p.depth == 1:
		switch p.index++; {
		case p.index == 1:
			p.ours = string(s) == "invalidate"
		case p.ours && kind == resp.Null:
			p.n.log.Info("a database was flushed")
			p.n.enqueueAll(high, high, readInvalidated)
		}
	case p.depth == 2 && p.ours && s != nil:
		p.n.invalidate(s)
	}
	return nil
}

// End is of resp.Sink.
func (p *invalidations) End() error {
	if p.depth--; p.depth == 1 {
		p.index++
	}
	return nil
}
