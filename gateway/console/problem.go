package console

import "net/http"

// problem is an error answer as RFC 9457 has it.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func writeProblem(w http.ResponseWriter, status int, detail string) {
	writeJSON(w, status, "application/problem+json",
		problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
}

// problems sets the headers that every answer has, and turns the mux's own 404
// and 405 into problem+json.
func problems(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache")
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(&refusal{ResponseWriter: w}, r)
	})
}

// refusal passes on the status and Allow header of the mux's own answer and
// replaces its body.
type refusal struct {
	http.ResponseWriter
	sent bool
}

func (r *refusal) WriteHeader(status int) {
	if r.sent {
		return
	}
	r.sent = true
	detail := ""
	switch status {
	case http.StatusNotFound:
		detail = "there is nothing here; the page is at /"
	case http.StatusMethodNotAllowed:
		detail = "allowed here: " + r.Header().Get("Allow")
	}
	r.Header().Del("Content-Length")
	writeProblem(r.ResponseWriter, status, detail)
}

func (r *refusal) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return len(b), nil
}
