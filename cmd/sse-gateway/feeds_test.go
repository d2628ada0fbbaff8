package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
	"github.com/sse-gateway/sse-gateway/gateway"
	"github.com/sse-gateway/sse-gateway/gateway/listener"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// When a part fails that streams need, the process ends with its error: a gateway
// without its store would keep its clients and send them nothing.
func TestFailingFeedEndsTheProcess(t *testing.T) {
	t.Parallel()
	log := newLogger(&config.Config{}, t.Output())
	m := metrics.New(prometheus.NewRegistry(), build())
	g := gateway.New(gateway.Config{Metrics: &m.Gateway, Log: log})
	failed := errors.New("the store has failed")
	r := &running{cfg: &config.Config{}, log: log, gateway: g, public: &http.Server{}, admin: &http.Server{}}
	began := make(chan struct{})
	r.feeds = append(r.feeds, endless(func(ctx context.Context) { close(began); <-ctx.Done() }))
	r.feeds = append(r.feeds, func(context.Context) error { <-began; return failed })
	var listeners [2]net.Listener
	for i := range listeners {
		var err error
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.serve(t.Context(), t.Context(), listener.New(listeners[0], listener.Config{Log: log}), listeners[1]); !errors.Is(err, failed) {
		t.Errorf("serve returned %v", err)
	}
}
