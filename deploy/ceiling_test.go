package deploy_test

import (
	"strconv"
	"strings"
	"testing"
)

// hostileMiB is what a client that never reads can make a gateway hold, at most,
// the collector's share included: Memory ceiling in gateway/access/SECURITY.md.
const hostileMiB = 1.5 * (80 + 128) / 1024

// requireOneAddressBounded checks that clients of one address cannot hold a
// large part of a gateway's memory, in MiB. All connections together could, and
// their number is for clients that mean well.
func requireOneAddressBounded(t *testing.T, where string, set map[string]string, memory float64) {
	t.Helper()
	number := func(name string) float64 {
		n, err := strconv.Atoi(set[name])
		if err != nil {
			t.Errorf("%s: %s: %v", where, name, err)
		}
		return float64(n)
	}
	if perAddress := number("SSE_MAX_CONNECTIONS_PER_IP"); perAddress < 1 || perAddress*hostileMiB > memory/10 {
		t.Errorf("%s: one address may have %v connections, which may hold %.0f MiB of %.0f", where, perAddress, perAddress*hostileMiB, memory)
	}
	if set["SSE_TRUSTED_PROXIES"] == "" {
		t.Errorf("%s: all clients of a proxy would count as one address: SSE_TRUSTED_PROXIES is not set", where)
	}
}

// mebibytes reads a size as Kubernetes and GOMEMLIMIT write it.
func mebibytes(t *testing.T, where, size string) float64 {
	t.Helper()
	for _, unit := range []struct {
		suffix string
		mib    float64
	}{{"MiB", 1}, {"Mi", 1}, {"Gi", 1024}} {
		if digits, ok := strings.CutSuffix(size, unit.suffix); ok {
			n, err := strconv.ParseFloat(digits, 64)
			if err != nil {
				t.Fatalf("%s: size %q: %v", where, size, err)
			}
			return n * unit.mib
		}
	}
	t.Fatalf("%s: size %q has no unit that is known here", where, size)
	return 0
}
