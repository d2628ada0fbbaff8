package metrics

import "github.com/prometheus/client_golang/prometheus"

// Reasons of a gap: events between two positions that cannot be delivered.
const (
	GapTrimmed   = "trimmed"    // retention passed the client
	GapReset     = "reset"      // the stream was deleted, restored, or failed over to an older copy
	GapTooLarge  = "too_large"  // an entry over SSE_MAX_EVENT_BYTES
	GapUnknownID = "unknown_id" // the client's id could not be understood
)

// Kinds of Redis error.
const (
	RedisTimeout     = "timeout"
	RedisUnreachable = "unreachable" // dial refused, no route, name not resolved
	RedisClosed      = "closed"      // connection reset or closed by the peer
	RedisLoading     = "loading"     // LOADING, MASTERDOWN, CLUSTERDOWN, TRYAGAIN
	RedisDenied      = "denied"      // NOAUTH, WRONGPASS, NOPERM
	RedisMoved       = "moved"       // MOVED, ASK
	RedisWrongType   = "wrong_type"  // the key is not a stream
	RedisOther       = "other"
)

// Sources of events.
const (
	SourceWindow  = "window"
	SourceHistory = "history"
	SourceTail    = "tail"
)

// Outcomes of a resume.
const (
	ResumeComplete = "complete" // everything after the client's position was there
	ResumeGap      = "gap"      // the client was told of a gap
)

// Store holds the series of package store.
type Store struct {
	EventsRead        *prometheus.CounterVec // by source: tail, history
	EventNamesDropped prometheus.Counter
	ChannelsActive    prometheus.Gauge
	WindowEvents      prometheus.Gauge
	WindowBytes       prometheus.Gauge
	WindowBytesMax    prometheus.Gauge
	WindowEvictions   *prometheus.CounterVec // by limit: events, memory
	TailUp            prometheus.Gauge
	TailNodes         prometheus.Gauge
	TailReplicas      prometheus.Gauge
	ReplicaLag        prometheus.Gauge // seconds
	TailSessions      prometheus.Counter
	TailLag           prometheus.Gauge // seconds
	SweepFinds        prometheus.Counter
	HistoryInFlight   prometheus.Gauge
	HistoryReads      *prometheus.CounterVec // by outcome: read, shared, refused, error
	RedisErrors       *prometheus.CounterVec // by kind
}

func newStore(f factory) Store {
	return Store{
		EventsRead:        f.counterVec("events_read_total", "Stream entries read from Redis, by source.", "source", SourceTail, SourceHistory),
		EventNamesDropped: f.counter("event_names_dropped_total", "Event names that were dropped because they held CR, LF or NUL or began with gateway. (the data was delivered), once for each time that events_read_total counts the event."),
		ChannelsActive:    f.gauge("channels_active", "Channels that are tailed: somebody is subscribed, or was within the linger."),
		WindowEvents:      f.gauge("window_events", "Events held in memory over all channels."),
		WindowBytes:       f.gauge("window_bytes", "Bytes of the events held in memory over all channels, those that are evicted but not free yet included."),
		WindowBytesMax:    f.gauge("window_bytes_max", "The budget for window_bytes (SSE_WINDOW_MEMORY)."),
		WindowEvictions:   f.counterVec("window_evictions_total", "Events that left a window, by the limit that made them leave.", "limit", "events", "memory"),
		TailUp:            f.gauge("tail_up", "1 while the tail of every Redis node has proved itself alive within 5 s."),
		TailNodes:         f.gauge("tail_nodes", "Redis nodes that are tailed."),
		TailReplicas:      f.gauge("tail_replicas", "Redis nodes of those that are read from a replica (SSE_REDIS_READ=replica); the rest are read from their master."),
		ReplicaLag:        f.gauge("replica_lag_seconds", "How long ago the most backward replica that is read from was known to have all that its master had; about 1 when all is well, 0 without replicas."),
		TailSessions:      f.counter("tail_sessions_total", "Tail sessions that were opened; more than one per node means that a connection was lost, or that another server is read from."),
		TailLag:           f.gauge("tail_lag_seconds", "How long the oldest channel that is known to have changed has been waiting to be read."),
		SweepFinds:        f.counter("sweep_finds_total", "Entries that only the safety sweep found; anything but 0 is a defect."),
		HistoryInFlight:   f.gauge("history_reads_in_flight", "Reads of older entries that are under way."),
		HistoryReads:      f.counterVec("history_reads_total", "Requests for older entries by outcome: read from Redis, shared with a read under way, refused for want of room, failed.", "outcome", "read", "shared", "refused", "error"),
		RedisErrors:       f.counterVec("redis_errors_total", "Errors of Redis by kind.", "kind", RedisTimeout, RedisUnreachable, RedisClosed, RedisLoading, RedisDenied, RedisMoved, RedisWrongType, RedisOther),
	}
}
