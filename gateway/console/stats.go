package console

// Stats is one reading of a replica's figures, as the page charts them. Totals
// count from the start of the process; the page forms rates from differences
// and takes a total that went down for a restart.
type Stats struct {
	// Connections is the number of open event streams.
	Connections int64 `json:"connections"`
	// Deliveries is the total of events written to connections.
	Deliveries uint64 `json:"deliveries"`
	// EventsRead is the total of events read from Redis.
	EventsRead uint64 `json:"events_read"`
	// Latency is the delivery latency, from the event id's time to the write.
	Latency Latency `json:"latency"`
}

// Latency is a cumulative histogram.
type Latency struct {
	// Count is the total of observations, those above the last bucket included.
	Count uint64 `json:"count"`
	// Buckets are in ascending order of their bounds, without the infinite one.
	Buckets []Bucket `json:"buckets"`
}

// Bucket counts the observations up to a bound.
type Bucket struct {
	// Le is the upper bound in seconds, inclusive.
	Le float64 `json:"le"`
	// Count is the total of observations at or below Le.
	Count uint64 `json:"count"`
}

// withLists makes an absent list empty, so that the page always gets an array.
func (s Stats) withLists() Stats {
	if s.Latency.Buckets == nil {
		s.Latency.Buckets = []Bucket{}
	}
	return s
}
