package gateway

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// admission is a request that may become a stream, with the places it holds.
type admission struct {
	g     *Gateway
	req   *request
	grant access.Grant
	held
}

// held are a connection's places in what is limited; small, because a stream
// keeps it for as long as it lives.
type held struct {
	ip    access.Key
	hasIP bool
}

func (h held) release(g *Gateway) {
	g.connections.Add(-1)
	g.metrics.Connections.Dec()
	if h.hasIP {
		g.perIP.Release(h.ip)
	}
}

func (a *admission) release() { a.held.release(a.g) }

// admit decides whether a request may become a stream. An error is a *problem.
func (g *Gateway) admit(r *http.Request) (*admission, error) {
	if g.draining.Load() {
		return nil, drainingProblem()
	}
	req, err := parseRequest(r, g.cfg.MaxChannels, time.Now())
	if err != nil {
		return nil, &problem{status: http.StatusBadRequest, reason: metrics.RefusedBadRequest, detail: err.Error()}
	}
	a := &admission{g: g, req: req}
	if err := g.take(r, &a.held); err != nil {
		return nil, err
	}
	if a.grant, err = g.cfg.Access.Authorize(r, req.channels); err != nil {
		a.release()
		return nil, accessProblem(err)
	}
	return a, nil
}

func drainingProblem() *problem {
	return &problem{status: http.StatusServiceUnavailable, reason: metrics.RefusedDraining, passing: true,
		detail: "this replica is shutting down"}
}

// take takes a place for a connection.
func (g *Gateway) take(r *http.Request, h *held) error {
	if n := g.connections.Add(1); n > int64(g.cfg.MaxConnections) {
		g.connections.Add(-1)
		return &problem{status: http.StatusServiceUnavailable, reason: metrics.RefusedMaxConnections, passing: true,
			detail: "this replica has as many connections as it may"}
	}
	if g.cfg.MaxConnectionsPerIP > 0 {
		key, ok := g.perIP.Acquire(access.ClientIP(r, g.cfg.TrustedProxies))
		if !ok {
			g.connections.Add(-1)
			return &problem{status: http.StatusServiceUnavailable, reason: metrics.RefusedPerIP, passing: true,
				detail: fmt.Sprintf("there are %d connections from this address already", g.cfg.MaxConnectionsPerIP)}
		}
		h.ip, h.hasIP = key, true
	}
	g.metrics.Connections.Inc()
	return nil
}

// accessProblem says what a refusal of the authorizer means to a client.
func accessProblem(err error) *problem {
	var refusal *access.Refusal
	if !errors.As(err, &refusal) {
		return &problem{status: http.StatusServiceUnavailable, reason: metrics.RefusedAuth, passing: true, cause: err,
			detail: "it cannot be decided at the moment who may subscribe"}
	}
	return &problem{status: refusal.Status, reason: refusal.Reason, passing: refusal.Passing, detail: refusal.Message, cause: refusal.Err, challenge: refusal.Challenge}
}

// jitter spreads a period by ±20 %.
func jitter(d time.Duration) time.Duration { return d - d/5 + rand.N(d*2/5+1) }
