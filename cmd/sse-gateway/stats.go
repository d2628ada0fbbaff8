package main

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sse-gateway/sse-gateway/gateway"
	"github.com/sse-gateway/sse-gateway/gateway/console"
	"github.com/sse-gateway/sse-gateway/metrics"
)

const (
	// maxConsoleChannels bounds the channels that are named to the console.
	maxConsoleChannels = 200
	// statsFor is how long the figures are kept: anybody may ask for them, and to
	// collect them takes a walk over all channels.
	statsFor = time.Second
)

// statsSource collects the replica's figures for the console. Its methods may be
// called concurrently.
type statsSource struct {
	gateway *gateway.Gateway
	metrics *metrics.Metrics
	visible func(channel string) bool // which channels may be named

	figures  kept[console.Stats]
	channels kept[any]
}

func (s *statsSource) getFigures() console.Stats { return s.figures.get(s.collectFigures) }

// getChannels returns the channels as the admin listener's /channels has them.
func (s *statsSource) getChannels() any {
	return s.channels.get(func() any { return s.gateway.ListChannels(s.visible, maxConsoleChannels) })
}

func (s *statsSource) collectFigures() console.Stats {
	stats := console.Stats{Connections: s.gateway.Connections(), EventsRead: sumOf(s.metrics.Store.EventsRead)}
	s.metrics.Gateway.Namespaces.Each(func(ns *metrics.Namespace) {
		stats.Deliveries += sumOf(ns.Deliveries)
		bounds, counts, total := ns.DeliveryLatency.Cumulative()
		stats.Latency.Count += total
		for i, le := range bounds {
			if i == len(stats.Latency.Buckets) {
				stats.Latency.Buckets = append(stats.Latency.Buckets, console.Bucket{Le: le})
			}
			stats.Latency.Buckets[i].Count += counts[i]
		}
	})
	return stats
}

// kept is a value that is collected anew when it is older than statsFor.
type kept[T any] struct {
	// mu guards the fields below, and is held while the value is collected, so that
	// many who ask at once have it collected once.
	mu   sync.Mutex
	last T
	at   time.Time
}

func (k *kept[T]) get(collect func() T) T {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := time.Now(); k.at.IsZero() || now.Sub(k.at) >= statsFor {
		k.last, k.at = collect(), now
	}
	return k.last
}

// sumOf returns the sum of a collector's counters.
func sumOf(c prometheus.Collector) (sum uint64) {
	ch := make(chan prometheus.Metric, 8)
	go func() { c.Collect(ch); close(ch) }()
	for m := range ch {
		var d dto.Metric
		if m.Write(&d) == nil {
			sum += uint64(d.GetCounter().GetValue())
		}
	}
	return sum
}
