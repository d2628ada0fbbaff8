package gateway

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync/atomic"

	"github.com/sse-gateway/sse-gateway/gateway/access/address"
	"github.com/sse-gateway/sse-gateway/gateway/revocation"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// limits bounds the streams that are open or being opened: all of them, and those of
// one address. Its methods may be called concurrently.
type limits struct {
	max         int
	maxPerIP    int // 0: no limit
	trusted     []netip.Prefix
	perIP       *address.Limiter
	metrics     *metrics.Gateway
	connections atomic.Int64
}

func newLimits(maxConnections, maxPerIP int, trusted []netip.Prefix, m *metrics.Gateway) *limits {
	return &limits{max: maxConnections, maxPerIP: maxPerIP, trusted: trusted, perIP: address.NewLimiter(maxPerIP), metrics: m}
}

// slot is a stream's place within the limits.
type slot struct {
	limits *limits
	counts *metrics.Namespace
	watch  *revocation.Watch // nil: nothing can revoke the stream's grant
	ip     address.Key
	hasIP  bool
}

// acquire takes a slot for the client of a request for channels. An error is a *problem.
func (l *limits) acquire(r *http.Request, channels []string) (*slot, error) {
	if n := l.connections.Add(1); n > int64(l.max) {
		l.connections.Add(-1)
		return nil, &problem{status: http.StatusServiceUnavailable, reason: metrics.RefusedMaxConnections, temporary: true,
			detail: "this replica has as many connections as it may"}
	}
	s := &slot{limits: l, counts: l.metrics.Namespaces.OfStream(channels)}
	if l.maxPerIP > 0 {
		if s.ip, s.hasIP = l.perIP.Acquire(address.OfClient(r, l.trusted)); !s.hasIP {
			l.connections.Add(-1)
			return nil, &problem{status: http.StatusServiceUnavailable, reason: metrics.RefusedPerIP, temporary: true,
				detail: fmt.Sprintf("there are %d connections from this address already", l.maxPerIP)}
		}
	}
	s.counts.Connections.Inc()
	return s, nil
}

// Release gives the slot back, and ends the watch over the stream that had it. It is
// called once.
func (s *slot) Release() {
	s.watch.Stop()
	s.limits.connections.Add(-1)
	s.counts.Connections.Dec()
	if s.hasIP {
		s.limits.perIP.Release(s.ip)
	}
}
