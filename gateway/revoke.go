package gateway

import (
	"net/http"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// watch has a stream end when its grant is withdrawn. It is called before the
// stream starts, so that a revocation that is read meanwhile finds it. An error is
// a *problem.
func (g *Gateway) watch(s *stream, grant access.Grant) error {
	if g.cfg.Revoked == nil {
		return nil
	}
	w, ok := g.cfg.Revoked.Watch(grant.Identity, s)
	if !ok {
		return &problem{status: http.StatusUnauthorized, reason: metrics.RefusedUnauthorized, detail: "the permission was revoked",
			challenge: "Bearer"}
	}
	s.watch = w
	return nil
}

// Revoke implements revocation.Stream.
func (s *stream) Revoke() { s.end(metrics.EndRevoked) }
