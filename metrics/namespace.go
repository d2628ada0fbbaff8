package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// OtherNamespace is the namespace of the channels whose own is not listed.
const OtherNamespace = "other"

// Namespace holds the series that can be told apart by the namespace of a channel,
// which is the part of its name before the first colon.
type Namespace struct {
	Connections     prometheus.Gauge
	Deliveries      prometheus.Counter
	DeliveryLatency *Latency
	Gaps            *prometheus.CounterVec // by reason
}

// Namespaces holds a Namespace for each that is listed, and one for all others.
// Without a list the series have no label. Its methods may be called concurrently.
type Namespaces struct {
	listed map[string]*Namespace
	other  *Namespace
}

func newNamespace(f factory) *Namespace {
	return &Namespace{
		Connections:     f.gauge("connections", "Open event streams."),
		Deliveries:      f.counter("deliveries_total", "Events written to clients."),
		DeliveryLatency: f.latency("delivery_latency_seconds", "From the time in the stream id to the write to the client, for live events.", latencyBuckets),
		Gaps:            f.counterVec("gaps_total", "Gaps that clients were told of, by reason.", "reason", GapTrimmed, GapReset, GapTooLarge, GapUnknownID),
	}
}

func newNamespaces(f factory, names []string) Namespaces {
	if len(names) == 0 {
		return Namespaces{other: newNamespace(f)}
	}
	n := Namespaces{listed: make(map[string]*Namespace, len(names)), other: newNamespace(f.labelled(OtherNamespace))}
	for _, name := range names {
		n.listed[name] = newNamespace(f.labelled(name))
	}
	return n
}

// Of returns the series of a channel. Its cost does not depend on the number of
// namespaces; who counts often keeps the result.
func (n *Namespaces) Of(channel string) *Namespace {
	if n.listed == nil {
		return n.other
	}
	name, _, _ := strings.Cut(channel, ":")
	if found := n.listed[name]; found != nil {
		return found
	}
	return n.other
}

// OfStream returns the series that a stream counts in, which is one, so that the
// connections of all namespaces add up to the connections: the first of its channels
// whose namespace is listed decides.
func (n *Namespaces) OfStream(channels []string) *Namespace {
	for _, c := range channels {
		if found := n.Of(c); found != n.other {
			return found
		}
	}
	return n.other
}

// Each calls f for each namespace, in no order.
func (n *Namespaces) Each(f func(*Namespace)) {
	f(n.other)
	for _, ns := range n.listed {
		f(ns)
	}
}
