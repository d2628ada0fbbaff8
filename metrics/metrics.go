package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// namespace is the prefix of every series.
const namespace = "sse_gateway"

// Metrics holds the series. All methods of its members may be called
// concurrently.
type Metrics struct {
	Store       Store
	Gateway     Gateway
	Revocations Revocations
}

// New declares all series and registers them, with the Go and process
// collectors, with reg. With namespaces, which are different from each other and
// from OtherNamespace, those of Namespace have a label of that name. New panics if
// one of the series is already registered there, which is a programming error.
func New(reg prometheus.Registerer, build Build, namespaces ...string) *Metrics {
	f := factory{reg: reg}
	m := &Metrics{Store: newStore(f), Gateway: newGateway(f, namespaces), Revocations: newRevocations(f)}
	f.gaugeVec("build_info", "Always 1; the labels tell the build.", "version", "revision", "goversion").
		WithLabelValues(build.Version, build.Revision, build.GoVersion).Set(1)
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Build identifies the running program.
type Build struct {
	Version   string // module version or "devel"
	Revision  string // VCS revision, may be empty
	GoVersion string // as of runtime.Version
}

// factory registers what it makes.
type factory struct {
	reg    prometheus.Registerer
	labels prometheus.Labels // of every series; may be nil
}

// labelled returns a factory of the series of one namespace.
func (f factory) labelled(ns string) factory {
	f.labels = prometheus.Labels{"namespace": ns}
	return f
}

func (f factory) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: f.labels})
	f.reg.MustRegister(c)
	return c
}

// counterVec registers a counter with one label and creates the series of
// each of its values.
func (f factory) counterVec(name, help, label string, values ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: f.labels}, []string{label})
	f.reg.MustRegister(c)
	for _, v := range values {
		c.WithLabelValues(v)
	}
	return c
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: f.labels})
	f.reg.MustRegister(g)
	return g
}

func (f factory) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: f.labels}, labels)
	f.reg.MustRegister(g)
	return g
}
