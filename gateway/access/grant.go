package access

import (
	"math/rand/v2"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/revocation"
)

// maxEarlier bounds how much earlier than its expiry a stream is ended, so that
// streams whose tokens were issued together do not all come back together.
const maxEarlier = 30 * time.Second

// Grant is the permission to subscribe.
type Grant struct {
	// Expires is when the permission ends; zero means never.
	Expires time.Time
	// Identity is what the permission can be revoked by.
	Identity revocation.Identity
}

// End returns when to end a stream that begins now: at a random moment up to a
// tenth of the remaining time, but at most 30 s, before Expires, and never
// after it. It is zero if the grant does not expire.
func (g Grant) End(now time.Time) time.Time {
	if g.Expires.IsZero() {
		return time.Time{}
	}
	earlier := min(g.Expires.Sub(now)/10, maxEarlier)
	if earlier <= 0 {
		return g.Expires
	}
	return g.Expires.Add(-rand.N(earlier))
}
