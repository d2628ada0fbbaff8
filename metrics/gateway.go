package metrics

import "github.com/prometheus/client_golang/prometheus"

// Reasons of the end of a stream.
const (
	EndClient       = "client"        // the client went away
	EndWriteTimeout = "write_timeout" // it took no byte for SSE_WRITE_TIMEOUT
	EndWriteError   = "write_error"
	EndDrain        = "drain"
	EndMaxAge       = "max_age"
	EndExpired      = "expired" // the token's or grant's lifetime is over
	EndShutdown     = "shutdown"
	EndOfChannels   = "end"     // all channels of the stream have ended
	EndRevoked      = "revoked" // the token's subject or id was revoked
)

// Reasons of a refused request.
const (
	RefusedBadRequest     = "bad_request"
	RefusedUnauthorized   = "unauthorized"
	RefusedForbidden      = "forbidden"
	RefusedWrongType      = "wrong_type"
	RefusedMaxConnections = "max_connections"
	RefusedPerIP          = "max_connections_per_ip"
	RefusedDraining       = "draining"
	RefusedRedis          = "redis_unavailable"
	RefusedAuth           = "auth_unavailable"
	RefusedEnded          = "ended" // all channels have ended: nothing will come
)

// Gateway holds the series of package gateway.
type Gateway struct {
	Namespaces           Namespaces
	ConnectionsMax       prometheus.Gauge
	ConnectionsParked    prometheus.Gauge
	ConnectionsOpened    prometheus.Counter
	ConnectionsThrottled prometheus.Counter
	Disconnects          *prometheus.CounterVec // by reason
	Refusals             *prometheus.CounterVec // by reason
	DeliveryBytes        prometheus.Counter
	GzipPlainBytes       prometheus.Counter
	GzipBytes            prometheus.Counter
	Writes               prometheus.Counter
	Resumes              *prometheus.CounterVec // by source and outcome
	Draining             prometheus.Gauge
}

// latencyBuckets reach from a fast LAN delivery to a client that is a minute
// behind, in seconds.
var latencyBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func newGateway(f factory, namespaces []string) Gateway {
	resumes := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "resumes_total",
		Help: "Streams that began at a client's position, by where the missed events came from and whether all were there."},
		[]string{"source", "outcome"})
	f.reg.MustRegister(resumes)
	for _, s := range []string{SourceWindow, SourceHistory} {
		for _, o := range []string{ResumeComplete, ResumeGap} {
			resumes.WithLabelValues(s, o)
		}
	}
	return Gateway{
		Namespaces:           newNamespaces(f, namespaces),
		ConnectionsMax:       f.gauge("connections_max", "The limit for connections (SSE_MAX_CONNECTIONS)."),
		ConnectionsParked:    f.gauge("connections_parked", "Open event streams that are up to date and wait for events, without a goroutine."),
		ConnectionsOpened:    f.counter("connections_opened_total", "Event streams that were opened."),
		ConnectionsThrottled: f.counter("connections_throttled_total", "Connections of clients that sent more than a subscriber has reason to, and were read from slowly."),
		Disconnects:          f.counterVec("disconnects_total", "Event streams that ended, by reason.", "reason", EndClient, EndWriteTimeout, EndWriteError, EndDrain, EndMaxAge, EndExpired, EndShutdown, EndRevoked, EndOfChannels),
		Refusals: f.counterVec("refusals_total", "Requests for a stream that were refused, by reason.", "reason",
			RefusedBadRequest, RefusedUnauthorized, RefusedForbidden, RefusedWrongType, RefusedMaxConnections, RefusedPerIP, RefusedDraining, RefusedRedis, RefusedAuth, RefusedEnded),
		DeliveryBytes:  f.counter("delivery_bytes_total", "Bytes written to clients, heartbeats included."),
		GzipPlainBytes: f.counter("gzip_plain_bytes_total", "Bytes of compressed streams and pages as they would have been without SSE_COMPRESSION."),
		GzipBytes:      f.counter("gzip_bytes_total", "The same bytes as they were written, compressed."),
		Writes:         f.counter("writes_total", "Writes to clients; deliveries per write tells how well events are collected."),
		Resumes:        resumes,
		Draining:       f.gauge("draining", "1 from SIGTERM on."),
	}
}
