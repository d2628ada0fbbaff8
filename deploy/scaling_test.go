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

// measuredPoints were measured on two cores of a machine that did other work as
// well, with client, gateway and Redis 7.0.15 side by side. They are not from
// one run, and the formulae were fitted to them by eye; the test below keeps
// the two together, and the one in scaling_measure_test.go measures anew.
func measuredPoints() []point {
	return []point{
		{"gateway: an event read, 1,000/s over 10 channels", 91, tailHot.at(1000), "µs"},
		{"gateway: an event read, 1,000/s over 50,000 channels", 108, tailHot.at(1000), "µs"},
		{"gateway: an event read, 30,000/s over 10 channels", 4, tailHot.at(30000), "µs"},
		{"gateway: an event read and delivered, 1,000/s, each of another channel", 145, tailSpread.at(1000) + deliveryCPU, "µs"},
		{"gateway: the same at 3,000/s", 48, tailSpread.at(3000) + deliveryCPU, "µs"},
		{"gateway: the same at 20,000/s", 20, tailSpread.at(20000) + deliveryCPU, "µs"},
		{"gateway: a delivery, 9,000 subscribers of one channel", 7, deliveryCPU, "µs"},
		{"gateway: a delivery, 5,000 subscribers of one channel", 7.4, deliveryCPU, "µs"},
		{"gateway: a connect", 55, connectCPU, "µs"},
		{"gateway: an idle connection, all on one channel", 1200, connectionBytes, "B"},
		{"gateway: an idle connection with a channel of its own", 2500, connectionBytes + channelBytes, "B"},
		{"Redis: an XADD, 1,000/s, nobody subscribed", 27, append1.at(1000), "µs"},
		{"Redis: an XADD, 40,000/s from 50 clients", 7.5, append1.at(40000), "µs"},
		{"Redis: an XADD, 30,000/s in a pipeline", 1.9, appendMany.at(30000), "µs"},
		{"Redis: XADD and one replica, 1,000/s", 67, append1.at(1000) + readSpread.at(1000), "µs"},
		{"Redis: XADD and two replicas, 1,000/s", 66, append1.at(1000) + 2*readSpread.at(1000), "µs"},
		{"Redis: XADD and four replicas, 1,000/s", 110, append1.at(1000) + 4*readHot.at(1000), "µs"},
		{"Redis: XADD and ten replicas, 100/s of one channel", 660, append1.at(100) + 10*readHot.at(100), "µs"},
		{"Redis: XADD and 56 replicas, 100/s of one channel", 2820, append1.at(100) + 56*readHot.at(100), "µs"},
		{"Redis: XADD in a pipeline and four replicas, 30,000/s", 4.6, appendMany.at(30000) + 4*readHot.at(30000), "µs"},
		{"Redis: XADD in a pipeline and one replica, 20,000/s, each of another channel", 6.2, appendMany.at(20000) + readSpread.at(20000), "µs"},
		{"Redis: a stream of 1 entry of 100 bytes", 4349, streamMemory(1), "B"},
		{"Redis: a stream of 50 entries of 100 bytes", 8550, streamMemory(50), "B"},
	}
}

// The formulae are within a factor of two of what was measured. A plan needs no
// more: what a user does in the evening changes by more than that.
func TestScalingFormulae(t *testing.T) {
	for _, p := range measuredPoints() {
		if ratio := p.computed / p.measured; ratio < 0.5 || ratio > 2 {
			t.Errorf("%s: measured %g %s, computed %g", p.what, p.measured, p.unit, p.computed)
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
	for name, table := range map[string]string{"plan": planTable(), "limits": limitTable(), "points": pointTable()} {
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
