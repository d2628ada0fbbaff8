package metrics

import (
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// labelled returns the values of the label namespace by series.
func labelled(t *testing.T, reg *prometheus.Registry) map[string][]string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string][]string)
	for _, f := range families {
		for _, m := range f.Metric {
			for _, l := range m.Label {
				if l.GetName() == "namespace" && !slices.Contains(values[f.GetName()], l.GetValue()) {
					values[f.GetName()] = append(values[f.GetName()], l.GetValue())
				}
			}
		}
	}
	return values
}

// The label has the values that are listed, and other, whatever channels there are;
// no other series has it.
func TestNamespacesAreThoseListed(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := New(reg, Build{}, "chat", "orders")
	for _, channel := range []string{"chat:1", "chat", "orders:eu:1", "news", "x:chat", "", ":"} {
		of := m.Gateway.Namespaces.Of(channel)
		of.Deliveries.Inc()
		of.Gaps.WithLabelValues(GapReset).Inc()
	}
	got := labelled(t, reg)
	for _, name := range []string{"connections", "deliveries_total", "gaps_total", "delivery_latency_seconds"} {
		if values := got["sse_gateway_"+name]; !slices.Equal(values, []string{"chat", "orders", "other"}) {
			t.Errorf("%s has the namespaces %q", name, values)
		}
	}
	if len(got) != 4 {
		t.Errorf("series with the label are %v", got)
	}
}

func TestSeriesHaveNoNamespaceUnlessListed(t *testing.T) {
	reg := prometheus.NewRegistry()
	New(reg, Build{}).Gateway.Namespaces.Of("chat:1").Deliveries.Inc()
	if got := labelled(t, reg); len(got) > 0 {
		t.Errorf("series with the label are %v", got)
	}
}

func TestNamespaceOfChannel(t *testing.T) {
	n := New(prometheus.NewRegistry(), Build{}, "chat", "orders").Gateway.Namespaces
	chat, orders, other := n.Of("chat:"), n.Of("orders:"), n.Of("")
	for channel, want := range map[string]*Namespace{
		"chat:1": chat, "chat": chat, "chat:1:2": chat, "orders:x": orders, "Chat:1": other, "chatter:1": other, "other": other, "other:1": other,
	} {
		if n.Of(channel) != want {
			t.Errorf("%s counts in another namespace", channel)
		}
	}
	for _, tt := range []struct {
		channels []string
		want     *Namespace
	}{
		{[]string{"chat:1", "orders:1"}, chat}, {[]string{"alerts", "orders:1"}, orders}, {[]string{"a", "b"}, other}, {nil, other},
	} {
		if n.OfStream(tt.channels) != tt.want {
			t.Errorf("a stream of %q counts in another namespace", tt.channels)
		}
	}
	if allocs := testing.AllocsPerRun(1000, func() { n.Of("orders:17") }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
