package conn

import (
	"net"
	"net/http"
	"testing"
)

// A response belongs to net/http again once its request's goroutine has left
// it, and a stream may be told to end at that very moment: the drain's does
// not wait for the other. net/http panics when its response is used late.
func TestEndAfterTheResponse(t *testing.T) {
	left := make(chan *Response, 1)
	server := &http.Server{Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := NewResponse(w, r)
		c.StartClosing() // while it runs it may be
		c.Close()
		left <- c
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })

	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	for range 20 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		c := <-left
		c.StartClosing()
		c.Abort()
		c.Wake()
	}
}
