package main

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sse-gateway/sse-gateway/gateway"
	"github.com/sse-gateway/sse-gateway/gateway/console"
	"github.com/sse-gateway/sse-gateway/metrics"
)

const (
	// maxStatsChannels bounds the channels that the console's figures name.
	maxStatsChannels = 200
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

	// mu guards the fields below, and is held while the figures are collected, so
	// that many who ask at once have them collected once.
	mu     sync.Mutex
	last   console.Stats
	lastAt time.Time
}

// get returns the figures of the last statsFor.
func (s *statsSource) get() console.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.lastAt.IsZero() || now.Sub(s.lastAt) >= statsFor {
		s.last, s.lastAt = s.collect(), now
	}
	return s.last
}

func (s *statsSource) collect() console.Stats {
	bounds, counts, total := s.metrics.Gateway.DeliveryLatency.Cumulative()
	stats := console.Stats{
		Connections: s.gateway.Connections(),
		Deliveries:  sumOf(s.metrics.Gateway.Deliveries),
		EventsRead:  sumOf(s.metrics.Store.EventsRead),
		Latency:     console.Latency{Count: total},
	}
	for i, le := range bounds {
		stats.Latency.Buckets = append(stats.Latency.Buckets, console.Bucket{Le: le, Count: counts[i]})
	}
	channels := s.gateway.Channels(s.visible)
	slices.SortFunc(channels, func(a, b gateway.Channel) int {
		return cmp.Or(cmp.Compare(b.Subscribers, a.Subscribers), cmp.Compare(a.Name, b.Name))
	})
	stats.Channels = []console.Channel{}
	for _, c := range channels[:min(len(channels), maxStatsChannels)] {
		stats.Channels = append(stats.Channels, console.Channel{Name: c.Name, Subscribers: c.Subscribers, LastID: c.LastID.String()})
	}
	return stats
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
