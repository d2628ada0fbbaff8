package console

import (
	"net/http"
	"strings"
)

// Tour is what the tour of a development server plays with: replicas of the gateway
// behind a load balancer. Its functions are called concurrently.
type Tour struct {
	// Events is the load balancer: it passes a subscription to a replica that is up.
	// The replicas need to serve TourChannels only.
	Events http.Handler
	// Replicas returns all replicas.
	Replicas func() []Replica
	// Kill ends the replica that serves the channel, as a crash does: its connections
	// are reset and its memory is gone. It returns the replica's name, "" if none
	// serves the channel. The replica comes back by itself.
	Kill func(channel string) (name string)
}

// Replica is a replica's state.
type Replica struct {
	Name     string   `json:"name"`
	Up       bool     `json:"up"`
	Channels []string `json:"channels"` // those that it serves
}

const (
	// tourPrefix begins the names of the tour's channels. No application has such.
	tourPrefix = "sse-gateway.tour:"
	// TourChannels is the pattern of the tour's channels.
	TourChannels = tourPrefix + "*"
)

// IsTourChannel reports whether a channel is the tour's own, so that its stream may be
// trimmed and left to expire.
func IsTourChannel(channel string) bool { return strings.HasPrefix(channel, tourPrefix) }

func (t *Tour) handle(mux *http.ServeMux) {
	mux.Handle("GET "+tourPath+"events", t.Events)
	mux.HandleFunc("GET "+tourPath+"replicas", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, "application/json", t.Replicas())
	})
	mux.Handle("POST "+tourPath+"kill", guarded(func(w http.ResponseWriter, r *http.Request) {
		var req struct {
			Channel string `json:"channel"`
		}
		if status, detail := decode(w, r, &req); status != 0 {
			writeProblem(w, status, detail)
			return
		}
		name := t.Kill(req.Channel)
		if name == "" {
			writeProblem(w, http.StatusConflict, "no replica serves that channel")
			return
		}
		writeJSON(w, http.StatusOK, "application/json", map[string]string{"killed": name})
	}))
}
