package main

import (
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
)

// passEvents passes a request on to the gateway. ReverseProxy writes an event
// stream as it comes; in production a load balancer does this.
func passEvents(gateway *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(gateway)
			r.SetXForwarded()
		},
		ErrorHandler: unreachable,
	}
}

// unreachable answers when there is no gateway. A browser closes an EventSource
// for good on any status but 200, so it is told to come back instead.
func unreachable(w http.ResponseWriter, r *http.Request, err error) {
	log.Printf("the gateway cannot be reached: %v", err)
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "retry: %d\n", 1000+rand.IntN(2000))
		return
	}
	http.Error(w, "the gateway cannot be reached", http.StatusBadGateway)
}
