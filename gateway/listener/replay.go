package listener

import "net/http"

// answer is what a handler has answered instead of starting a stream. net/http
// writes it, so that it is what it would have been if net/http had had the
// connection from the start: Date, framing, and whether the connection is kept.
type answer struct {
	header http.Header
	status int // 0: the handler has called nothing
	writes [][]byte
}

func (a *answer) replay(w http.ResponseWriter) {
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	for _, b := range a.writes {
		_, _ = w.Write(b)
	}
}

// recorder is a http.ResponseWriter that keeps an answer.
type recorder struct {
	header http.Header
	answer answer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.answer.status == 0 && status >= 200 {
		r.answer.status, r.answer.header = status, r.header.Clone()
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	r.answer.writes = append(r.answer.writes, append([]byte(nil), p...))
	return len(p), nil
}

// finish returns the answer when the handler has returned.
func (r *recorder) finish() *answer {
	if r.answer.status == 0 {
		r.answer.header = r.header
	}
	return &r.answer
}
