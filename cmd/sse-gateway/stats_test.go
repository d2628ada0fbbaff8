package main

import (
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sse-gateway/sse-gateway/gateway"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// Whoever asks for the console's figures often has them collected once a second.
func TestStatsAreKeptForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := metrics.New(prometheus.NewRegistry(), metrics.Build{}, "a")
		s := &statsSource{gateway: gateway.New(gateway.Config{Metrics: &m.Gateway, Log: slog.New(slog.DiscardHandler)}), metrics: m}
		m.Gateway.Namespaces.Of("a").Deliveries.Add(1)
		if got := s.getFigures().Deliveries; got != 1 {
			t.Fatalf("%d deliveries, want 1", got)
		}
		m.Gateway.Namespaces.Of("a").Deliveries.Add(1)
		for range 1000 {
			if got := s.getFigures().Deliveries; got != 1 {
				t.Fatalf("the figures were collected again: %d deliveries", got)
			}
		}
		redistest.Pass(statsFor)
		if got := s.getFigures().Deliveries; got != 2 {
			t.Errorf("after %v there are %d deliveries, want 2", statsFor, got)
		}
	})
}
