package main

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/tour"
	"github.com/sse-gateway/sse-gateway/gateway"
	"github.com/sse-gateway/sse-gateway/gateway/console"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// tourRetry bounds SSE_RETRY of the tour's replicas: nobody waits for long to see a
// browser come back.
const tourRetry = time.Second

// replica is a gateway of the tour: all that a kill takes away. Nothing of it is used
// again.
type replica struct {
	gateway  *gateway.Gateway
	store    *store.Store
	listener *tour.Listener
	server   *http.Server
	stop     context.CancelFunc
	running  *errgroup.Group
}

// startReplica starts a gateway for the channels of the tour on a loopback address.
func startReplica(cfg *config.Config, polled bool) (tour.Process, error) {
	own := *cfg
	own.PublicChannels = []string{console.TourChannels}
	own.Retry = min(own.Retry, tourRetry)
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
	socket, err := tour.Listen()
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	p := &replica{gateway: gateway.New(gc), store: st, listener: socket, server: newServer(quiet)}
	p.server.Handler = refuseNames(p.gateway.Handler())
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.running, ctx = errgroup.WithContext(ctx)
	p.running.Go(func() error { return st.Run(ctx) })
	p.running.Go(func() error { return p.gateway.Run(ctx) })
	p.running.Go(func() error { return p.server.Serve(p.listener) })
	return p, nil
}

// Addr implements tour.Process.
func (p *replica) Addr() string { return p.listener.Addr().String() }

// Kill implements tour.Process. The connections are reset first, so that no stream is
// ended in order.
func (p *replica) Kill() {
	p.listener.Reset()
	p.gateway.Stop()
	_ = p.server.Close()
	p.stop()
	_ = p.running.Wait() // http.ErrServerClosed, or what Accept said of its closed listener
	_ = p.store.Close()
}

// Channels implements tour.Process.
func (p *replica) Channels() []string {
	names := []string{}
	for _, c := range p.gateway.ListChannels(console.IsTourChannel, math.MaxInt).Channels {
		names = append(names, c.Name)
	}
	return names
}
