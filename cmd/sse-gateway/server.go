package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
	"github.com/sse-gateway/sse-gateway/gateway/listener"
	"github.com/sse-gateway/sse-gateway/gateway/listener/certificate"
)

const (
	// maxHeaderBytes bounds a request's head: cookies and a token fit in, a
	// flood does not.
	maxHeaderBytes = 32 << 10
	// idleTimeout is how long a connection is kept for another request.
	idleTimeout = 60 * time.Second
	// h2Streams bounds the streams of one HTTP/2 connection. A load balancer
	// puts many clients on one.
	h2Streams = 1000
	// h2Silence is after which silence of an HTTP/2 client it is pinged, and
	// how long it may take to answer. A client behind a proxy that vanished is
	// not seen by the kernel.
	h2Silence = 20 * time.Second
)

// newServer returns a server without handler, with limits that no well-behaved client meets.
// There is no time limit for a response: that would end every stream.
func newServer(logger *slog.Logger) *http.Server {
	return &http.Server{
		MaxHeaderBytes: maxHeaderBytes, ReadHeaderTimeout: listener.HeadTimeout, IdleTimeout: idleTimeout,
		ErrorLog: log.New(logWriter{logger}, "", 0),
	}
}

// newPublicServer adds HTTP/2: with TLS if there is a certificate, else
// without, as load balancers speak it.
func newPublicServer(cfg *config.Config, certs *certificate.Files, logger *slog.Logger) *http.Server {
	s := newServer(logger)
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	s.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams: h2Streams, SendPingTimeout: h2Silence, PingTimeout: h2Silence,
		// A write deadline of a stream does not reach the connection that all
		// its streams share. The gateway closes one whose client takes nothing; this
		// is for what else is written, and counts what the kernel takes only.
		WriteByteTimeout: 2 * cfg.WriteTimeout,
	}
	if certs == nil {
		s.Protocols.SetUnencryptedHTTP2(true)
		return s
	}
	s.Protocols.SetHTTP2(true)
	s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certs.Get}
	return s
}

func serveOn(s *http.Server, l net.Listener) error {
	var err error
	if s.TLSConfig != nil {
		err = s.ServeTLS(l, "", "")
	} else {
		err = s.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// shutdown ends servers whose streams have ended already. Requests that are
// under way get serversOvertime, or nothing when force ends.
func shutdown(force context.Context, public *listener.Listener, servers ...*http.Server) {
	ctx, cancel := context.WithTimeout(force, serversOvertime)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(func() {
			if s.Shutdown(ctx) != nil {
				_ = s.Close()
			}
		})
	}
	wg.Wait()
	public.Wait(ctx)
}

// logWriter takes what net/http logs: complaints about what clients send, and
// panics of handlers, which are defects.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	level, message := slog.LevelDebug, strings.TrimSpace(string(p))
	if strings.Contains(message, "panic serving") {
		level = slog.LevelError
	}
	w.log.Log(context.Background(), level, "http", "message", message)
	return len(p), nil
}
