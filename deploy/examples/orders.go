package main

import (
	"encoding/json"
	"net/http"

	"github.com/redis/go-redis/v9"
)

const (
	ordersKey    = "orders"     // hash: order → status
	ordersStream = "sse:orders" // channel orders
	ordersKept   = 1000         // events that a page that was away can still get
)

// orders is a state that pages show and follow. Safe for concurrent use.
type orders struct{ redis *redis.Client }

// change sets the status of an order and publishes it, both or neither. With a
// database other than Redis: commit there first, then publish; and publish again
// from an outbox table what a crash came in between of.
func (o *orders) change(w http.ResponseWriter, r *http.Request) {
	id, status := r.FormValue("id"), r.FormValue("status")
	if id == "" || status == "" {
		http.Error(w, "id and status are needed", http.StatusBadRequest)
		return
	}
	data, err := json.Marshal(map[string]string{"id": id, "status": status})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	pipe := o.redis.TxPipeline()
	pipe.HSet(r.Context(), ordersKey, id, status)
	pipe.XAdd(r.Context(), &redis.XAddArgs{
		Stream: ordersStream, MaxLen: ordersKept, Approx: true,
		Values: []string{"event", "order", "data", string(data)},
	})
	if _, err := pipe.Exec(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// snapshot answers with the state and the position in the stream that it is as
// of. A page that shows the state and subscribes with last_event_id=position
// misses nothing and sees nothing twice. Both are read in one transaction here;
// from two systems, read the position first.
func (o *orders) snapshot(w http.ResponseWriter, r *http.Request) {
	pipe := o.redis.TxPipeline()
	state := pipe.HGetAll(r.Context(), ordersKey)
	stream := pipe.XInfoStream(r.Context(), ordersStream)
	_, _ = pipe.Exec(r.Context()) // each command has its own error

	position := "0-0" // nothing was ever published
	err := state.Err()
	switch streamErr := stream.Err(); {
	case streamErr == nil:
		position = stream.Val().LastGeneratedID
	case !redis.HasErrorPrefix(streamErr, "no such key") && err == nil:
		err = streamErr
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]any{"position": position, "orders": state.Val()})
}
