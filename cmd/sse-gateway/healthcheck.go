package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
)

// healthcheck asks the gateway on this machine whether it is healthy, for
// containers that have no other program to ask with.
func healthcheck(ctx context.Context) error {
	addr, err := config.AdminAddr()
	if err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/healthz", nil)
	if err != nil {
		return err
	}
	// The default transport would ask a proxy of the environment, which is for
	// what is outside, and one connection is all there is to it.
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway answers %s", resp.Status)
	}
	return nil
}
