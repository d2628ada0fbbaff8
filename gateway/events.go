package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/internal/engine"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// serveEvents answers a request for /events: with a stream, or with a refusal.
func (g *Gateway) serveEvents(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", g.allowedMethods())
		writeProblem(w, http.StatusMethodNotAllowed, "event streams are read with GET")
		return
	}
	err := g.stream(w, r)
	if err == nil {
		return
	}
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // nobody is there to read why
	}
	var p *problem
	if !errors.As(err, &p) {
		p = &problem{status: http.StatusInternalServerError, detail: "internal error", cause: err, reason: metrics.RefusedBadRequest}
	}
	g.metrics.Refusals.WithLabelValues(p.reason).Inc()
	g.log.Debug("refused", "status", p.status, "reason", p.reason, "error", p)
	p.write(w, r)
}

// allowedMethods are the methods of /events. Preflights are answered before a request
// comes here, if there is somebody to answer them.
func (g *Gateway) allowedMethods() string {
	if g.cfg.CORS == nil {
		return "GET"
	}
	return "GET, OPTIONS"
}

// stream answers a request with a stream, or a page of it. An error is a *problem, and nothing was
// written then.
func (g *Gateway) stream(w http.ResponseWriter, r *http.Request) error {
	if g.refusing.Load() {
		return drainingProblem()
	}
	req, err := parseRequest(r, g.cfg.MaxChannels, time.Now())
	if err != nil {
		return &problem{status: http.StatusBadRequest, reason: metrics.RefusedBadRequest, detail: err.Error()}
	}
	slot, err := g.limits.acquire(r, req.channels)
	if err != nil {
		return err
	}
	if req.poll {
		return g.poll(slot, w, r, req)
	}
	err = g.streamWithin(slot, w, r, req)
	if err != nil {
		slot.Release()
	}
	return err
}

// streamWithin is stream for a request that has a slot, which belongs to the stream
// unless there is an error.
func (g *Gateway) streamWithin(slot *slot, w http.ResponseWriter, r *http.Request, req *request) error {
	grant, err := g.cfg.Access.Authorize(r, req.channels)
	if err != nil {
		return accessProblem(err)
	}
	s, err := g.open(r, req, grant, slot)
	if err != nil {
		return storeProblem(err)
	}
	if slot.watch, err = g.watch(s, grant); err == nil {
		if g.engine.Serve(s, w, r) == nil {
			return nil
		}
		err = drainingProblem()
	}
	s.Discard()
	return err
}

// openTimeout bounds how long a client waits for its first byte.
const openTimeout = 10 * time.Second

// open subscribes to what an authorized client asks for.
func (g *Gateway) open(r *http.Request, req *request, grant access.Grant, slot *slot) (*engine.Stream, error) {
	ctx, cancel := context.WithTimeout(r.Context(), openTimeout)
	defer cancel()
	return g.engine.Open(ctx, engine.Subscription{
		Channels: req.channels, Starts: req.starts, Unknown: req.unknown, Envelope: req.envelope, Newest: req.newest, Ping: req.ping,
		Gzip: g.gzips(r), Expires: grant.End(time.Now()), Slot: slot,
	})
}

// storeProblem says what an error of engine.Open means to a client.
func storeProblem(err error) *problem {
	if errors.Is(err, engine.ErrEnded) {
		// On this status an EventSource gives up for good, as it should.
		return &problem{status: http.StatusNoContent, reason: metrics.RefusedEnded, detail: "the channels have ended"}
	}
	var c *engine.ChannelError
	if errors.As(err, &c) && errors.Is(err, store.ErrWrongType) {
		return &problem{status: http.StatusConflict, reason: metrics.RefusedWrongType, cause: err,
			detail: fmt.Sprintf("channel %q: its key in Redis is of another type than a stream", c.Channel)}
	}
	return &problem{status: http.StatusServiceUnavailable, reason: metrics.RefusedRedis, temporary: true, cause: err,
		detail: "the channel cannot be read at the moment"}
}

// accessProblem says what a refusal of the authorizer means to a client.
func accessProblem(err error) *problem {
	var refusal *access.Refusal
	if !errors.As(err, &refusal) {
		return &problem{status: http.StatusServiceUnavailable, reason: metrics.RefusedAuth, temporary: true, cause: err,
			detail: "it cannot be decided at the moment who may subscribe"}
	}
	return &problem{status: refusal.Status, reason: accessReason(refusal.Status), temporary: refusal.Temporary, detail: refusal.Message,
		cause: refusal.Err, challenge: refusal.Challenge}
}

// accessReason returns the metric label of a refusal by package access.
func accessReason(status int) string {
	switch status {
	case http.StatusBadRequest:
		return metrics.RefusedBadRequest
	case http.StatusUnauthorized:
		return metrics.RefusedUnauthorized
	case http.StatusForbidden:
		return metrics.RefusedForbidden
	}
	return metrics.RefusedAuth
}

func drainingProblem() *problem {
	return &problem{status: http.StatusServiceUnavailable, reason: metrics.RefusedDraining, temporary: true,
		detail: "this replica is shutting down"}
}
