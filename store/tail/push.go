package tail

import "github.com/sse-gateway/sse-gateway/store/resp"

// readPush reads what the server sends by itself. Of CLIENT TRACKING that is
// "invalidate" with the keys that have changed, or with null if a database was
// flushed. Pushes of other kinds are skipped.
// See https://redis.io/docs/latest/develop/reference/client-side-caching/.
func (n *Node) readPush(r *resp.Reader, elements int) error {
	ours := false
	for i := range elements {
		h, err := r.Next()
		var text []byte
		switch {
		case err != nil:
		case i == 0:
			text, err = r.Text(h)
			ours = string(text) == "invalidate"
		case ours && h.Kind == resp.Null:
			n.log.Info("a database was flushed")
			n.enqueueAll(high, high, readInvalidated)
		case ours && h.IsAggregate():
			for i := 0; i < h.Len && err == nil; i++ {
				text, err = r.NextText()
				n.invalidate(text) // nil is no source's key
			}
		default:
			err = r.Skip(h)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
