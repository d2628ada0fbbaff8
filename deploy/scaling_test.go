package deploy_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
)

const scalingPath = "SCALING.md"

var update = flag.Bool("update", false, "write the tables of SCALING.md")

// point is a measurement and what the formulae say of it.
type point struct {
	what               string
	measured, computed float64
	unit               string
}

// measuredPoints were measured on two cores of a machine that did other work as well,
// with client, gateways and Redis 7.0.15 side by side: those of fanout.sh in one run,
// those of memory in the runs of BENCHMARKS.md.
func measuredPoints() []point {
	var points []point
	add := func(unit, what string, measured, computed float64) {
		points = append(points, point{what, measured, computed, unit})
	}
	for _, m := range fanoutPoints {
		what := fmt.Sprintf("%s gateways on one channel, %s/s, %.3g reads per event of each", number(m.gateways), number(m.rate), m.reads)
		add("µs", "Redis: XADD and "+what, m.redis, redisIdle/m.rate+append1.at(m.rate)+m.gateways*readHot.of(m.reads))
		add("µs", "gateway: an event read and written once, "+what, m.gateway, gatewayIdle/m.rate+tailHot.of(m.reads))
	}
	add("µs", "Redis: XADD in a pipeline of 30, 121,000/s", 2.9, redisIdle/121e3+appendMany.at(121e3))
	add("µs", "Redis: XADD from 50 clients, 15,000/s", 15, redisIdle/15e3+append1.at(15e3))
	add("µs", "Redis: XADD and one gateway, 1,000/s over 300 channels", 138, redisIdle/1000+append1.at(1000)+readSpread.at(1000))
	add("µs", "Redis: the same at 3,000/s", 62, redisIdle/3000+append1.at(3000)+readSpread.at(3000))
	add("µs", "Redis: the same at 18,000/s, XADD in pipelines", 10.6, redisIdle/18e3+appendMany.at(18e3)+readSpread.at(18e3))
	add("µs", "Redis: a copy that five gateways read from, 100/s", 474, redisIdle/100+append1.at(100)+5*readHot.of(0.94))
	add("µs", "Redis: the same at 1,000/s", 208, redisIdle/1000+append1.at(1000)+5*readHot.of(0.6))
	add("µs", "Redis: the master of these copies, 100/s", 185, redisIdle/100+append1.at(100))
	add("µs", "Redis: the same at 1,000/s", 91, redisIdle/1000+append1.at(1000))
	add("µs", "gateway: an event read and written once, 1,000/s over 300 channels", 129, gatewayIdle/1000+tailSpread.at(1000))
	add("µs", "gateway: the same at 3,000/s", 74, gatewayIdle/3000+tailSpread.at(3000))
	add("µs", "gateway: the same at 18,000/s", 16, gatewayIdle/18e3+tailSpread.at(18e3))
	add("µs", "gateway: a delivery, 9,000 subscribers of one channel, busy machine", 9.4, deliveryCPU)
	add("µs", "gateway: the same, quiet machine", 7.2, deliveryCPU)
	add("µs", "gateway: a connect", 76, connectCPU)
	add("µs", "HAProxy: a connect, without TLS, while its memory grows", 412, balancerConnect)
	add("µs", "HAProxy: a connect with TLS", 863, balancerTLS)
	add("B", "gateway: an idle connection, 9,000 on one channel", 810, connectionBytes)
	add("B", "gateway: an idle connection, 18,000 on one channel", 650, connectionBytes)
	add("B", "gateway: an idle connection, 1,000,000 on one channel and 56 gateways", 658, connectionBytes)
	add("B", "gateway: an idle connection, 9,000 with a channel each", 2190, connectionBytes+channelBytes)
	add("B", "gateway: an idle connection, 18,000 with a channel each", 1830, connectionBytes+channelBytes)
	add("B", "kernel: an end of 1,000,000 connections", 4176, kernelBytes)
	add("B", "HAProxy: a stream, 4,000 of them", 22600, balancerBytes)
	add("B", "Redis: a stream of 1 entry of 100 bytes", 4349, streamMemory(1))
	add("B", "Redis: a stream of 50 entries of 100 bytes", 8550, streamMemory(50))
	return points
}

// fanoutPoints are what fanout.sh has printed: the rate that was reached, µs of Redis
// for each event, XADD included, µs of each gateway, and how often each has read.
var fanoutPoints = []struct{ gateways, rate, redis, reads, gateway float64 }{
	{1, 100, 212, 0.997, 232}, {1, 1000, 121, 0.935, 124}, {1, 10000, 22.7, 0.13, 17.6},
	{2, 100, 233, 1.015, 189}, {2, 1000, 200, 0.978, 127}, {2, 10000, 30.8, 0.194, 20.4},
	{4, 100, 357, 0.988, 186}, {4, 1000, 236, 0.903, 106}, {4, 10000, 44, 0.183, 18.8},
	{10, 100, 640, 1.014, 175}, {10, 1000, 409, 0.816, 86.3}, {10, 10000, 34.2, 0.069, 9.1},
	{56, 100, 2776, 0.972, 167}, {56, 1000, 301, 0.12, 24.1}, {56, 4700, 54.1, 0.007, 4.9},
}

// The formulae are within a quarter of what was measured. This test compares numbers
// that are written down: on a machine that others use as well, the same measurement
// differs by a factor of two from one minute to the next, so those that measure anew
// (scaling_measure_test.go) allow more.
func TestScalingFormulae(t *testing.T) {
	for _, p := range measuredPoints() {
		if ratio := p.computed / p.measured; ratio < 0.75 || ratio > 1.25 {
			t.Errorf("%s: measured %g %s, computed %.4g", p.what, p.measured, p.unit, p.computed)
		}
	}
}

// replica is what the plans give each gateway.
var replica = machine{cores: 4, memory: 4e9, maxConnections: 100_000, useCPU: 0.6, useMem: 0.5, lastOfAll: 0.25}

// examples are a notification service: everybody has a channel of their own with
// an event every five minutes, and all see an announcement every ten seconds.
func examples() []workload {
	var all []workload
	for _, size := range []struct {
		name        string
		connections float64
	}{{"10 thousand", 1e4}, {"1 million", 1e6}, {"50 million", 5e7}} {
		all = append(all, workload{
			name: size.name, connections: size.connections,
			own: 1.0 / 300, shared: 0.1, lifetime: 1800, kept: 20,
		})
	}
	return all
}

// planRows are the rows of the table of plans.
var planRows = []struct {
	head string
	cell func(p plan) string
}{
	{"connections", func(p plan) string { return p.name }},
	{"---", func(plan) string { return "---" }},
	{"events/s of their own channels", func(p plan) string { return number(p.connections * p.own) }},
	{"deliveries/s", func(p plan) string { return number(p.deliveries) }},
	{"connects/s", func(p plan) string { return number(p.connections / p.lifetime) }},
	{"gateways, one of them spare", func(p plan) string { return number(p.replicas) }},
	{"connections on each", func(p plan) string { return number(p.perReplica) }},
	{"processor, all gateways", func(p plan) string { return digits(p.cores) + " cores" }},
	{"memory, all gateways", func(p plan) string { return bytesOf(p.memory) }},
	{"the last has an announcement after", func(p plan) string { return digits(1000*p.lastOfAll) + " ms" }},
	{"Redis masters", func(p plan) string { return number(p.masters) }},
	{"processor, the busiest master", func(p plan) string { return digits(p.redisCores) + " cores" }},
	{"memory, all masters", func(p plan) string { return bytesOf(p.redisMemory) }},
	{"tail sessions, one connection each", func(p plan) string { return number(p.replicas * p.masters) }},
	{"memory, all load balancers (HAProxy)", func(p plan) string { return bytesOf(p.balancers) }},
	{"load balancer addresses that each gateway must be reached from", func(p plan) string {
		return number(math.Ceil(p.connections / (p.replicas - 1) / portsPerAddress))
	}},
}

func planTable() string {
	var out strings.Builder
	for _, row := range planRows {
		out.WriteString("| " + row.head + " |")
		for _, w := range examples() {
			out.WriteString(" " + row.cell(w.plan(replica)) + " |")
		}
		out.WriteString("\n")
	}
	return out.String()
}

// limitTable is what one Redis master carries, at useCPU of its core.
func limitTable() string {
	var out strings.Builder
	out.WriteString("| gateways | events/s, each of a channel that one gateway follows | events/s of a channel that all follow |\n|---|---|---|\n")
	for _, n := range []float64{1, 3, 10, 30, 100, 500} {
		own := most(func(rate float64) float64 { return workload{connections: 1, own: rate}.redisCPU(n, 1) })
		shared := most(func(rate float64) float64 { return workload{shared: rate}.redisCPU(n, 1) })
		fmt.Fprintf(&out, "| %s | %s | %s |\n", number(n), hundreds(own), hundreds(shared))
	}
	return out.String()
}

// most is the highest rate at which the use of a core is within useCPU.
func most(use func(rate float64) float64) float64 {
	low, high := 0.0, 1e6
	for range 60 {
		if middle := (low + high) / 2; use(middle) <= replica.useCPU {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// hundreds rounds down to two digits: no more of them are known.
func hundreds(v float64) string {
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return number(math.Floor(v/unit) * unit)
}

// portsPerAddress is how many connections one address may have to one address
// and port: Linux's default ip_local_port_range, 32768 to 60999.
const portsPerAddress = 28_232

// spreadTable is how long SSE_RETRY has to spread 100,000 clients of a balancer that
// died: so long that those that are left have useCPU of their cores for them.
func spreadTable() string {
	var out strings.Builder
	out.WriteString("| cores of the balancers that are left | without TLS | with TLS |\n|---|---|---|\n")
	for _, cores := range []float64{2, 4, 8, 16, 32} {
		seconds := func(each float64) string {
			return fmt.Sprintf("%.0f s", math.Ceil(100_000*each/1e6/cores/replica.useCPU))
		}
		fmt.Fprintf(&out, "| %s | %s | %s |\n", number(cores), seconds(balancerConnect), seconds(balancerTLS))
	}
	return out.String()
}

func pointTable() string {
	var out strings.Builder
	out.WriteString("| what | measured | formula |\n|---|---|---|\n")
	for _, p := range measuredPoints() {
		fmt.Fprintf(&out, "| %s | %s %s | %s %s |\n", p.what, digits(p.measured), p.unit, digits(p.computed), p.unit)
	}
	return out.String()
}

// digits writes a number with two of them that count, or all before the point.
func digits(v float64) string {
	if v >= 100 {
		return number(v)
	}
	return fmt.Sprintf("%.2g", v)
}

// number writes a whole number with commas.
func number(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func bytesOf(v float64) string {
	switch {
	case v >= 1e9:
		return digits(v/1e9) + " GB"
	default:
		return digits(v/1e6) + " MB"
	}
}

// The tables of SCALING.md are what the formulae say. To write them:
//
//	go test ./deploy -run TestScalingTables -update
func TestScalingTables(t *testing.T) {
	text := read(t, scalingPath)
	for name, table := range map[string]string{"plan": planTable(), "limits": limitTable(), "points": pointTable(), "spread": spreadTable()} {
		t.Logf("%s\n%s", name, table)
		begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
		before, rest, ok := strings.Cut(text, begin)
		old, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("%s has no place for the table %s", scalingPath, name)
		}
		if old == table {
			continue
		}
		if !*update {
			t.Errorf("%s: the table %s is not what the formulae say (-update writes it):\n%s", scalingPath, name, table)
			continue
		}
		text = before + begin + table + end + after
		if err := os.WriteFile(scalingPath, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
