// Package metrics declares every Prometheus series of the gateway, once.
//
// Invariants:
//
//   - Every series is registered by [New] with every label value that it can take.
//     So a scrape shows zero before the first occurrence, and an alert on a rate sees
//     the first increment.
//   - Labels are categories: never a channel name, a client address or the text of an
//     error. The number of series does not depend on what clients ask for.
//   - Whoever counts is given the struct of its part (Store, Gateway, Revocations) and
//     no registry. All members may be used concurrently.
//
// For example, the gaps that clients are told of have a series per reason from the
// start:
//
//	m := metrics.New(registry, build)
//	m.Gateway.Namespaces.Of("orders").Gaps.WithLabelValues(metrics.GapTrimmed).Inc()
//
// METRICS.md is made from this package.
package metrics
