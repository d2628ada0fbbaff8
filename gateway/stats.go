package gateway

import (
	"cmp"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sse-gateway/sse-gateway/gateway/console"
	"github.com/sse-gateway/sse-gateway/store"
)

// maxStatsChannels bounds the channels that Stats names.
const maxStatsChannels = 200

// Connections returns how many streams are open or being opened.
func (g *Gateway) Connections() int64 { return g.connections.Load() }

// TakenOver returns how many streams have a connection that was taken over
// from net/http.
func (g *Gateway) TakenOver() int64 { return g.takenOver.Load() }

// Stats returns the replica's figures for the console. Of the channels it names
// those that visible is true for, the most subscribed ones first.
func (g *Gateway) Stats(events *prometheus.CounterVec, visible func(channel string) bool) console.Stats {
	bounds, counts, total := g.metrics.DeliveryLatency.Cumulative()
	s := console.Stats{
		Connections: g.Connections(),
		Deliveries:  uint64(valueOf(g.metrics.Deliveries)),
		Latency:     console.Latency{Count: total},
		Channels:    g.channels(visible),
	}
	for i, le := range bounds {
		s.Latency.Buckets = append(s.Latency.Buckets, console.Bucket{Le: le, Count: counts[i]})
	}
	ch := make(chan prometheus.Metric, 8)
	go func() { events.Collect(ch); close(ch) }()
	for m := range ch {
		s.EventsRead += uint64(valueOf(m))
	}
	return s
}

// valueOf returns the present value of a counter.
func valueOf(m prometheus.Metric) float64 {
	var d dto.Metric
	if err := m.Write(&d); err != nil {
		return 0
	}
	return d.GetCounter().GetValue()
}

// channels lists the channels that have subscribers here.
func (g *Gateway) channels(visible func(string) bool) []console.Channel {
	type channel struct {
		subscribers int
		last        store.ID
	}
	all := make(map[string]channel)
	for _, s := range g.hub.shards {
		s.mu.Lock()
		for name, t := range s.topics {
			if visible(name) {
				now := t.sub.Now()
				all[name] = channel{all[name].subscribers + len(t.streams), now.Pos()}
			}
		}
		s.mu.Unlock()
	}
	list := make([]console.Channel, 0, len(all))
	for name, c := range all {
		list = append(list, console.Channel{Name: name, Subscribers: c.subscribers, LastID: c.last.String()})
	}
	slices.SortFunc(list, func(a, b console.Channel) int {
		return cmp.Or(cmp.Compare(b.Subscribers, a.Subscribers), cmp.Compare(a.Name, b.Name))
	})
	return list[:min(len(list), maxStatsChannels)]
}
