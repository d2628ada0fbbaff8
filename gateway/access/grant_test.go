package access

import (
	"testing"
	"time"
)

func TestGrantEnd(t *testing.T) {
	now := time.Now()
	for remaining, earlier := range map[time.Duration]time.Duration{
		time.Hour: maxEarlier, 5 * time.Minute: 30 * time.Second, time.Minute: 6 * time.Second,
		time.Second: 100 * time.Millisecond, 0: 0, -time.Hour: 0, 100 * 365 * 24 * time.Hour: maxEarlier,
	} {
		expires := now.Add(remaining)
		differ := false
		first := Grant{Expires: expires}.End(now)
		for range 1000 {
			end := Grant{Expires: expires}.End(now)
			if end.After(expires) || end.Before(expires.Add(-earlier)) {
				t.Fatalf("%v: ends %v before", remaining, expires.Sub(end))
			}
			differ = differ || !end.Equal(first)
		}
		if differ != (earlier > 0) {
			t.Errorf("%v: jitter is %v", remaining, differ)
		}
	}
	if !(Grant{}).End(now).IsZero() {
		t.Error("a grant for ever ends")
	}
}
