package access

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func key(i int) (d digest) {
	binary.BigEndian.PutUint64(d[:], uint64(i))
	return d
}

func TestCacheKeepsForTheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(10*time.Second, 100)
		expires := time.Now().Add(time.Hour)
		c.put(key(1), time.Now(), Grant{Expires: expires})
		c.put(key(2), time.Now().Add(-4*time.Second), Grant{})
		c.put(key(3), time.Now(), Grant{Expires: time.Now().Add(3 * time.Second)})
		has := func(i int) bool { _, ok := c.get(key(i)); return ok }
		if g, ok := c.get(key(1)); !ok || g.Expires != expires {
			t.Errorf("got %v, %v", g, ok)
		}
		if has(4) {
			t.Error("it has what was not put")
		}
		redistest.Pass(3 * time.Second)
		if !has(1) || !has(2) || has(3) {
			t.Error("a grant outlives its own expiry")
		}
		redistest.Pass(3 * time.Second)
		if !has(1) || has(2) {
			t.Error("the TTL does not count from the question on")
		}
		redistest.Pass(4 * time.Second)
		if has(1) {
			t.Error("a grant outlives the TTL")
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(time.Minute, 100)
	for i := range 10000 {
		c.put(key(i), time.Now(), Grant{})
		if c.size() > 100 {
			t.Fatalf("%d answers after %d", c.size(), i)
		}
		if _, ok := c.get(key(i)); !ok {
			t.Fatal("the youngest is not there")
		}
	}
}

func TestCacheForgetsWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(time.Second, 1000)
		for i := range 10 {
			c.put(key(i), time.Now(), Grant{})
		}
		for i := range 2 {
			redistest.Pass(time.Second)
			c.put(key(100+i), time.Now(), Grant{})
		}
		if n := c.size(); n != 2 {
			t.Errorf("%d answers are held, want 2", n)
		}
	})
}
