package metrics

import "github.com/prometheus/client_golang/prometheus"

// Reasons for which a revocation does not count.
const (
	RevocationUseless = "useless" // the entry says nothing that can be used
	RevocationDropped = "dropped" // a replica keeps no more
	RevocationMissed  = "missed"  // retention removed entries before they were read; counted once for all of them
)

// Revocations holds the series of package revocation.
type Revocations struct {
	Known prometheus.Gauge
	Lost  *prometheus.CounterVec // by reason
}

func newRevocations(f factory) Revocations {
	return Revocations{
		Known: f.gauge("revocations", "Revoked subjects and tokens that the replica knows (SSE_REVOCATIONS)."),
		Lost: f.counterVec("revocations_lost_total", "Revocations that do not count on this replica, by reason.", "reason",
			RevocationUseless, RevocationDropped, RevocationMissed),
	}
}
