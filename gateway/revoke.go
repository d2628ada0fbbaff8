package gateway

import (
	"net/http"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/revocation"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// watch has a stream end when its grant is withdrawn. It is called before the
// stream starts, so that a revocation that is read meanwhile finds it. An error is
// a *problem.
func (g *Gateway) watch(s revocation.Stream, grant access.Grant) (*revocation.Watch, error) {
	if g.cfg.Revoked == nil {
		return nil, nil
	}
	w, ok := g.cfg.Revoked.Watch(grant.Identity, s)
	if !ok {
		return nil, revokedProblem()
	}
	return w, nil
}

func revokedProblem() *problem {
	return &problem{status: http.StatusUnauthorized, reason: metrics.RefusedUnauthorized, detail: "the permission was revoked",
		challenge: "Bearer"}
}
