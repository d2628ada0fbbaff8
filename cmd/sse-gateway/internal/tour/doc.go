// Package tour runs the replicas that the tour of the page kills: a load balancer before
// two gateways, whose construction is the caller's.
package tour
