package gateway

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/sse-gateway/sse-gateway/gateway/access"
)

// Bounds of the list of channels.
const (
	defaultListed = 100
	maxListed     = 1000
)

// listedChannel is a channel of this replica as the admin listener shows it.
type listedChannel struct {
	Name        string `json:"name"`
	Subscribers int    `json:"subscribers"`
	LastID      string `json:"last_id"` // of the newest event that the replica knows
}

// serveChannels answers GET /channels?match=glob&limit=n: the channels that have
// subscribers on this replica, the most subscribed first.
func (g *Gateway) serveChannels(w http.ResponseWriter, r *http.Request) {
	match, limit := r.URL.Query().Get("match"), defaultListed
	patterns, err := access.ParsePatterns([]string{cmp.Or(match, "**")})
	if err != nil {
		writeProblem(w, http.StatusBadRequest, "match: "+err.Error())
		return
	}
	if text := r.URL.Query().Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxListed {
			writeProblem(w, http.StatusBadRequest, fmt.Sprintf("limit is a number from 1 to %d", maxListed))
			return
		}
	}
	all := g.Channels(patterns.Match)
	slices.SortFunc(all, func(a, b Channel) int {
		return cmp.Or(cmp.Compare(b.Subscribers, a.Subscribers), cmp.Compare(a.Name, b.Name))
	})
	listed := make([]listedChannel, 0, min(len(all), limit))
	for _, c := range all[:min(len(all), limit)] {
		listed = append(listed, listedChannel{c.Name, c.Subscribers, c.LastID.String()})
	}
	writeJSON(w, http.StatusOK, map[string]any{"channels": listed, "total": len(all)})
}
