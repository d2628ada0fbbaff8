package listener

import (
	"bufio"
	"net"
	"net/http"
	"time"
)

// AnswerTimeout bounds an answer that is no stream: the rest of the request's
// body, and the writing. No client that means well needs as long, and one that
// sends no body, or takes no answer, would hold its connection for ever.
const AnswerTimeout = 10 * time.Second

// bodyTimeout is the part of it that a request's body may take. net/http reads
// what the handler has left of the body before it writes the answer.
const bodyTimeout = AnswerTimeout / 2

// Handler returns the handler of the http.Server: next, with a deadline for
// each answer that is no stream. Whoever writes a stream sets deadlines of its
// own, or hijacks the connection and takes them off. Over HTTP/2 it calls the
// method BeginStream of the ResponseWriter first.
func (l *Listener) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &answerWriter{ResponseWriter: w, rc: http.NewResponseController(w)}
		if r.ProtoMajor == 1 {
			if r.ContentLength != 0 {
				_ = a.rc.SetReadDeadline(time.Now().Add(bodyTimeout))
			}
		} else {
			if !l.pending.beginAnswer() {
				panic(http.ErrAbortHandler)
			}
			a.pending = l.pending
			defer a.BeginStream() // it is over in any case
		}
		if c := connOf(r.Context()); c != nil && c.answer != nil {
			c.answer.replay(a)
			c.answer = nil
		} else {
			next.ServeHTTP(a, r)
		}
		a.begin() // an answer without a body
	})
}

// answerWriter sets the write deadline when an answer begins. One goroutine
// uses it.
type answerWriter struct {
	http.ResponseWriter
	rc      *http.ResponseController
	begun   bool
	pending *pendingLimiter // what the answer counts in; nil: nothing
}

// Unwrap is for http.ResponseController.
func (a *answerWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// BeginStream says that what follows is a stream, with deadlines and a limit of
// its own.
func (a *answerWriter) BeginStream() {
	a.begun = true
	if a.pending != nil {
		a.pending.endAnswer()
		a.pending = nil
	}
}

// Hijack implements http.Hijacker: the connection's deadlines are the caller's.
func (a *answerWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, buffered, err := a.rc.Hijack()
	if err == nil {
		a.BeginStream()
	}
	return c, buffered, err
}

func (a *answerWriter) begin() {
	if !a.begun {
		a.begun = true
		_ = a.rc.SetWriteDeadline(time.Now().Add(AnswerTimeout))
	}
}

func (a *answerWriter) WriteHeader(status int) {
	a.begin()
	a.ResponseWriter.WriteHeader(status)
}

func (a *answerWriter) Write(p []byte) (int, error) {
	a.begin()
	return a.ResponseWriter.Write(p)
}
