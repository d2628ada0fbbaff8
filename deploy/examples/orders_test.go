package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// The state comes with the position that it is as of; before the first event
// too, on Redis as on the one that is built into dev.
func TestSnapshot(t *testing.T) {
	for name, redisURL := range map[string]string{
		"Redis": redistest.Start(t).URL(),
		"dev":   "redis://" + miniredis.RunT(t).Addr(),
	} {
		t.Run(name, func(t *testing.T) {
			handler, err := newApp(config{redisURL: redisURL})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(handler)
			defer server.Close()
			position, orders := snapshot(t, server.URL)
			if position != "0-0" || len(orders) != 0 {
				t.Errorf("an empty Redis: %s %v", position, orders)
			}
			a := app{Server: server}
			a.setOrders(t, "17 new", "17 paid")
			position, orders = snapshot(t, server.URL)
			if position <= "0-0" || !maps.Equal(orders, map[string]string{"17": "paid"}) {
				t.Errorf("after two changes: %s %v", position, orders)
			}
		})
	}
}

func snapshot(t *testing.T, url string) (position string, orders map[string]string) {
	t.Helper()
	res, err := http.Get(url + "/api/orders")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var s struct {
		Position string
		Orders   map[string]string
	}
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", res.Status, err)
	}
	return s.Position, s.Orders
}

// What should not work: another site's page, tokens without a secret, a secret
// that can be guessed, half an order.
func TestAppRefuses(t *testing.T) {
	redisURL := redistest.Start(t).URL()
	if _, err := newApp(config{redisURL: redisURL, secret: "short"}); err == nil {
		t.Error("a secret of 5 bytes is accepted")
	}
	handler, err := newApp(config{redisURL: redisURL})
	if err != nil {
		t.Fatal(err)
	}
	foreign := httptest.NewRequest(http.MethodPost, "/api/orders?id=1&status=x", nil)
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	stream := httptest.NewRequest(http.MethodGet, "/events?channel=orders", nil)
	for name, c := range map[string]struct {
		request *http.Request
		want    int
	}{
		"another site": {foreign, http.StatusForbidden},
		"half":         {httptest.NewRequest(http.MethodPost, "/api/orders?id=1", nil), http.StatusBadRequest},
		"no secret":    {httptest.NewRequest(http.MethodGet, "/api/token", nil), http.StatusNotFound},
		"no gateway":   {stream, http.StatusBadGateway},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, c.request)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
	}
}
