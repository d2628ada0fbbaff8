package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// AdminHandler returns the handler of the private listener: metrics, health,
// readiness, channels and profiles.
func (g *Gateway) AdminHandler(gatherer prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"healthy": true})
	})
	mux.HandleFunc("GET /readyz", g.serveReady)
	mux.HandleFunc("GET /channels", g.serveChannels)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// serveReady says whether new connections are welcome here.
func (g *Gateway) serveReady(w http.ResponseWriter, _ *http.Request) {
	ok, nodes := g.cfg.Store.Health()
	reason := nodes
	if ok && g.cfg.Revoked != nil {
		ok, reason = g.cfg.Revoked.Ready()
	}
	if g.draining.Load() {
		ok, reason = false, "draining"
	}
	if !ok {
		writeJSON(w, http.StatusServiceUnavailable, map[string]any{"ready": false, "reason": reason, "nodes": strings.Split(nodes, "\n")})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"ready": true, "nodes": strings.Split(nodes, "\n")})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
