package deploy_test

import "math"

// The formulae of SCALING.md. Processor times are in µs, sizes in bytes, rates
// per second.

// What a gateway uses.
const (
	gatewayBase     = 40e6      // a process without connections
	windowBytes     = 256 << 20 // recent events: SSE_WINDOW_MEMORY, counted in full
	connectionBytes = 750.0     // an idle connection, HTTP/1.1 without TLS
	channelBytes    = 1300.0    // a channel with a subscriber, without its events
	kernelBytes     = 4300.0    // a TCP connection in the kernel: in no process's resident size
	connectCPU      = 75.0      // an accepted connection up to its first event
	deliveryCPU     = 8.0       // an event written to one of many connections
	heartbeatCPU    = 8.0       // a comment is a write as well
	gatewayIdle     = 8200.0    // µs/s of a gateway beside its events: timers, cold caches
	heartbeatEvery  = 15.0      // seconds: SSE_HEARTBEAT
	balancerBytes   = 23e3      // a stream in HAProxy
	balancerConnect = 412.0     // a connection through HAProxy, to a gateway's first event
	balancerTLS     = 863.0     // the same with TLS 1.3 and a key of ECDSA P-256
)

// What a Redis uses. It takes memory for entries in blocks, so a stream with one
// entry costs as much as one with thirty.
const (
	streamBytes = 300.0
	blockBytes  = 4096.0
	entryBytes  = 130.0 // with 100 bytes of data
)

// collected is a cost of handling one event that falls as the rate rises, since
// whoever is busy takes several events at once: alone for each time that it wakes up,
// and each for every event.
type collected struct{ alone, each, wakes float64 }

// at returns the cost of one event at a rate. It wakes up at most wakes times a second.
func (c collected) at(rate float64) float64 { return c.of(min(1, c.wakes/max(rate, 1))) }

// of returns the cost of one event when it wakes up so many times for each.
func (c collected) of(wakes float64) float64 { return c.each + c.alone*wakes }

// hot is for events of few channels, spread for events each of another channel,
// which are read by a command each.
var (
	tailHot    = collected{100, 3, 1000}   // gateway: an event read from Redis, and written once
	tailSpread = collected{105, 5, 2000}   //
	readHot    = collected{40, 0.05, 1000} // Redis: one replica told of an event and given it
	readSpread = collected{50, 0.5, 2000}  //
	append1    = collected{62, 7, 1000}    // Redis: an XADD by itself, from many publishers
	appendMany = collected{62, 2.4, 1000}  // Redis: an XADD in a pipeline of 30
)

// redisIdle is what a Redis takes beside its commands, in µs/s.
const redisIdle = 12000.0

// workload is what there is to serve.
type workload struct {
	name        string
	connections float64
	// Each connection has a channel of its own with so many events per second,
	// and all share one with so many.
	own, shared float64
	lifetime    float64 // seconds that a connection lasts
	kept        float64 // events that a channel of one's own retains
}

// machine is what a replica is given, and how much of it may be used.
type machine struct {
	cores, memory  float64
	maxConnections float64
	useCPU, useMem float64
	lastOfAll      float64 // seconds until the last subscriber has a shared event
}

// plan is what a workload needs.
type plan struct {
	workload
	replicas    float64 // one may fail
	perReplica  float64 // connections, when none has failed
	cores       float64 // of all gateways
	memory      float64 // of all gateways, with the kernel's
	deliveries  float64 // per second, of all gateways
	lastOfAll   float64 // seconds, as of machine
	balancers   float64 // memory of all load balancers, with the kernel's
	masters     float64
	redisCores  float64 // of the busiest master
	redisMemory float64 // of all masters
}

// gatewayCPU is what n replicas need, in cores.
func (w workload) gatewayCPU(n float64) float64 {
	own := w.connections * w.own
	tail := n*(gatewayIdle+w.shared*tailHot.at(w.shared)) + own*tailSpread.at(own/n)
	deliver := (own + w.connections*w.shared) * deliveryCPU
	connect := w.connections / w.lifetime * connectCPU
	// A connection that has had an event is not idle.
	idle := math.Exp(-(w.own + w.shared) * heartbeatEvery)
	beat := w.connections * idle / heartbeatEvery * heartbeatCPU
	return (tail + deliver + connect + beat) / 1e6
}

// gatewayMemory is what n replicas need.
func (w workload) gatewayMemory(n float64) float64 {
	per := connectionBytes + kernelBytes
	if w.own > 0 {
		per += channelBytes
	}
	return n*(gatewayBase+windowBytes) + w.connections*per
}

// broadcast is how long n replicas write until the last subscriber has an event
// that all get, in seconds. All cores write.
func (w workload) broadcast(n, cores float64) float64 {
	return w.connections / n * deliveryCPU / cores / 1e6
}

// redisCPU is what the busiest of m masters needs with n replicas, in cores. The
// shared channel is on one of them.
func (w workload) redisCPU(n, m float64) float64 {
	own := w.connections * w.own / m
	use := redisIdle + own*(append1.at(own)+readSpread.at(own/n))
	use += w.shared * (append1.at(own+w.shared) + n*readHot.at(w.shared))
	return use / 1e6
}

func (w workload) redisMemory() float64 {
	if w.own == 0 {
		return 0
	}
	return w.connections * streamMemory(w.kept)
}

// streamMemory is what a stream of so many entries takes in Redis.
func streamMemory(entries float64) float64 {
	return streamBytes + blockBytes*math.Ceil(entries*entryBytes/blockBytes)
}

// plan finds the fewest replicas and masters that carry a workload when one
// replica has failed.
func (w workload) plan(on machine) plan {
	p := plan{workload: w, replicas: 2, masters: 1}
	fits := func() bool {
		left := p.replicas - 1
		return w.connections/left <= on.maxConnections &&
			w.broadcast(left, on.cores) <= on.lastOfAll &&
			w.gatewayCPU(left)/left <= on.cores*on.useCPU &&
			w.gatewayMemory(left)/left <= on.memory*on.useMem
	}
	for !fits() {
		p.replicas++
	}
	// One thread of Redis runs all commands.
	for w.redisCPU(p.replicas, p.masters) > on.useCPU {
		p.masters++
	}
	p.perReplica = w.connections / p.replicas
	p.cores, p.memory = w.gatewayCPU(p.replicas), w.gatewayMemory(p.replicas)
	p.lastOfAll = w.broadcast(p.replicas, on.cores)
	p.balancers = w.connections * (balancerBytes + 2*kernelBytes)
	p.deliveries = w.connections * (w.own + w.shared)
	p.redisCores, p.redisMemory = w.redisCPU(p.replicas, p.masters), w.redisMemory()
	return p
}
