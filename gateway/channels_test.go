package gateway

import (
	"encoding/json"
	"net/http"
	"testing"
)

func TestChannelsOfTheAdminListener(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	list := func(query string) (names []string, total int) {
		t.Helper()
		a := r.admin(t, http.MethodGet, "/channels"+query)
		var v ChannelList
		if err := json.Unmarshal(a.body, &v); err != nil || a.status != http.StatusOK || v.Channels == nil {
			t.Fatalf("%s: %d %s, %v", query, a.status, a.body, err)
		}
		for _, c := range v.Channels {
			names = append(names, c.Name)
			if want := map[string]int{"orders:1": 2}[c.Name]; c.Subscribers != max(want, 1) || c.Position == "" || c.Window.After != c.Position {
				t.Errorf("%s: %+v", query, c)
			}
		}
		return names, v.Total
	}
	if names, total := list(""); len(names) != 0 || total != 0 {
		t.Errorf("without subscribers: %v", names)
	}
	for _, query := range []string{"channel=orders:1", "channel=orders:1", "channel=orders:2", "channel=news"} {
		r.subscribe(query)
	}
	for query, want := range map[string][]string{
		"": {"orders:1", "news", "orders:2"}, "?match=orders:*": {"orders:1", "orders:2"}, "?limit=1": {"orders:1"}, "?match=x": {},
	} {
		names, _ := list(query)
		if len(names) != len(want) {
			t.Errorf("%s: %v, want %v", query, names, want)
			continue
		}
		for i := range want {
			if names[i] != want[i] {
				t.Errorf("%s: %v, want %v", query, names, want)
			}
		}
	}
	for _, query := range []string{"?limit=0", "?limit=1001", "?limit=x", "?match=a%20b"} {
		if a := r.admin(t, http.MethodGet, "/channels"+query); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
}
