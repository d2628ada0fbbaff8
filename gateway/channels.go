package gateway

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/sse-gateway/sse-gateway/gateway/access/pattern"
	"github.com/sse-gateway/sse-gateway/gateway/internal/engine"
	"github.com/sse-gateway/sse-gateway/store"
)

// Bounds of the list of channels.
const (
	defaultListed = 100
	maxListed     = 1000
)

// ChannelList is the answer of /channels.
type ChannelList struct {
	Channels []ListedChannel `json:"channels"` // the most subscribed first
	Total    int             `json:"total"`    // of channels that match, listed or not
}

// ListedChannel is a channel of this replica.
type ListedChannel struct {
	Name        string       `json:"name"`
	Subscribers int          `json:"subscribers"`
	Position    string       `json:"position"` // the id of the newest event that the replica knows, "0-0" if there never was one
	Window      ListedWindow `json:"window"`
}

// ListedWindow is what the replica has of a channel in memory.
type ListedWindow struct {
	Events int    `json:"events"`
	Bytes  int    `json:"bytes"` // those that are evicted but not free yet included
	After  string `json:"after"` // it has every event after this id
}

// ListChannels lists at most limit of the channels that have subscribers on this
// replica and for which visible is true. It walks all channels.
func (g *Gateway) ListChannels(visible func(channel string) bool, limit int) ChannelList {
	all := g.engine.Channels(visible)
	slices.SortFunc(all, func(a, b *engine.Channel) int {
		return cmp.Or(cmp.Compare(b.Subscribers, a.Subscribers), cmp.Compare(a.Name, b.Name))
	})
	list := ChannelList{Channels: make([]ListedChannel, 0, min(len(all), limit)), Total: len(all)}
	for _, c := range all[:min(len(all), limit)] {
		list.Channels = append(list.Channels, ListedChannel{
			Name: c.Name, Subscribers: c.Subscribers, Position: c.Position.String(), Window: listedWindow(c.Window),
		})
	}
	return list
}

func listedWindow(w store.Window) ListedWindow {
	return ListedWindow{Events: w.Events, Bytes: w.Bytes, After: w.After.String()}
}

// serveChannels answers GET /channels?match=glob&limit=n.
func (g *Gateway) serveChannels(w http.ResponseWriter, r *http.Request) {
	match, limit := r.URL.Query().Get("match"), defaultListed
	patterns, err := pattern.Parse([]string{cmp.Or(match, "**")})
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
	writeJSON(w, http.StatusOK, g.ListChannels(patterns.Match, limit))
}
