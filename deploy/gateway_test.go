package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
)

// builds is where programs are built for the tests.
var builds string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "deploy")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	builds = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// buildGateway builds the program that is deployed, once.
var buildGateway = sync.OnceValues(func() (path string, err error) {
	path = filepath.Join(builds, "sse-gateway")
	if out, err := exec.Command("go", "build", "-o", path, "../cmd/sse-gateway").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the gateway: %w\n%s", err, out)
	}
	return path, nil
})

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
