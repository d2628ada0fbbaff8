package deploy_test

import (
	"regexp"
	"sync"
	"testing"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/gatewaytest"
)

// buildGateway builds the program that is deployed, once.
var buildGateway = sync.OnceValues(func() (path string, err error) { return gatewaytest.Build("cmd/sse-gateway", false) })

// gatewayProgram returns the path of the gateway's program.
func gatewayProgram(t *testing.T) string {
	t.Helper()
	path, err := buildGateway()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// gatewayVariables are the variables that sse-gateway reads, as its help has
// them.
func gatewayVariables(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^(SSE_[A-Z0-9_]+) `).FindAllStringSubmatch(check(t, nil, gatewayProgram(t), "help"), -1) {
		names = append(names, m[1])
	}
	if len(names) < 30 {
		t.Fatalf("the help of sse-gateway names only %d variables: %v", len(names), names)
	}
	return names
}
