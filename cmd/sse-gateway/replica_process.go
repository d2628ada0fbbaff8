package main

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
	"github.com/sse-gateway/sse-gateway/gateway"
	"github.com/sse-gateway/sse-gateway/gateway/console"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// process is a whole gateway, as a process of its own has it: all that a kill takes
// away. Nothing of it is used again.
type process struct {
	addr     string
	gateway  *gateway.Gateway
	store    *store.Store
	listener *resettingListener
	server   *http.Server
	stop     context.CancelFunc
	running  *errgroup.Group
}

// startProcess starts a gateway for the channels of the tour on a loopback address.
func startProcess(cfg *config.Config, polled bool) (*process, error) {
	own := *cfg
	own.PublicChannels = []string{console.TourChannels}
	own.Retry = min(own.Retry, replicaRetry)
	own.MaxConnectionsPerIP = 0 // all come from the balancer
	quiet := slog.New(slog.DiscardHandler)
	m := metrics.New(prometheus.NewRegistry(), build())
	st, err := openStore(&own, polled, m, quiet)
	if err != nil {
		return nil, err
	}
	gc, _, err := gatewayConfig(&own, st, nil, m, quiet)
	if err != nil {
		return nil, errors.Join(usageError{err}, st.Close())
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	p := &process{
		addr: socket.Addr().String(), gateway: gateway.New(gc), store: st, server: newServer(quiet),
		listener: &resettingListener{Listener: socket, conns: make(map[*resettableConn]struct{})},
	}
	p.server.Handler = refuseNames(p.gateway.Handler())
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.running, ctx = errgroup.WithContext(ctx)
	p.running.Go(func() error { return st.Run(ctx) })
	p.running.Go(func() error { return p.gateway.Run(ctx) })
	p.running.Go(func() error { return p.server.Serve(p.listener) })
	return p, nil
}

// kill breaks the connections off and lets go of everything. No stream is ended in
// order: that the connections are reset comes first.
func (p *process) kill() {
	p.listener.reset()
	p.gateway.Stop()
	_ = p.server.Close()
	p.stop()
	_ = p.running.Wait() // http.ErrServerClosed, or what Accept said of its closed listener
	_ = p.store.Close()
}

// channels are those that have subscribers.
func (p *process) channels() []string {
	names := []string{}
	for _, c := range p.gateway.ListChannels(console.IsTourChannel, math.MaxInt).Channels {
		names = append(names, c.Name)
	}
	return names
}
