package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/gatewaytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// gatewayBinary is the program, built with the race detector.
var gatewayBinary string

// TestMain runs ten tests at once: most wait for a process most of the time.
func TestMain(m *testing.M) {
	var err error
	if gatewayBinary, err = gatewaytest.Build("cmd/sse-gateway", true); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	redistest.Main(m, 10)
}
