package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// balancer is HAProxy with the configuration that is shipped, as its container
// runs it: a master process and a worker.
type balancer struct {
	daemon
	addr, metrics string
}

const haproxyConfig = "../../deploy/haproxy/haproxy.cfg"

func newBalancer(path, logPath, addr, metrics string, replicas []*replica) *balancer {
	b := &balancer{addr: addr, metrics: metrics}
	b.path, b.logPath = path, logPath
	b.args = []string{"-W", "-db", "-f", haproxyConfig}
	b.env = []string{"SSE_LB_BIND=" + addr, "SSE_LB_METRICS_BIND=" + metrics, "SSE_LB_IDLE_TIMEOUT=60s"}
	for i, r := range replicas {
		_, port, _ := net.SplitHostPort(r.admin)
		b.env = append(b.env, fmt.Sprintf("SSE_GATEWAY_%d=%s", i+1, r.public), fmt.Sprintf("SSE_GATEWAY_%d_ADMIN=%s", i+1, port))
	}
	return b
}

// startReady starts HAProxy and waits until it serves.
func (b *balancer) startReady() error {
	loaded := b.loaded()
	if err := b.start(); err != nil {
		return err
	}
	return b.await(loaded)
}

// await waits until HAProxy has loaded its configuration once more and serves.
// Before, its master ignores signals.
func (b *balancer) await(loaded int) error {
	err := until(patience, "HAProxy serves", func() bool {
		return !b.alive() || b.loaded() > loaded && b.healthy()
	})
	if err == nil && !b.alive() {
		err = errors.New("HAProxy ended instead of serving")
	}
	return err
}

// loaded is how often HAProxy has said that its configuration is in use.
func (b *balancer) loaded() int {
	log, _ := os.ReadFile(b.logPath) // none yet is none
	return strings.Count(string(log), "Loading success")
}

func (b *balancer) healthy() bool {
	res, err := probe(context.Background(), "http://"+b.metrics+"/healthz", http.Header{})
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// end ends HAProxy, its workers, and every stream through it.
func (b *balancer) end() error {
	if !b.alive() {
		return nil
	}
	if err := b.signal(syscall.SIGTERM); err != nil {
		return err
	}
	if _, err := b.wait(patience); err != nil { // the exit code is 143
		return fmt.Errorf("HAProxy: %w", err)
	}
	return nil
}

// restart is end and a start.
func (b *balancer) restart() error {
	if err := b.end(); err != nil {
		return err
	}
	return b.startReady()
}

// reload starts a new worker; the old one keeps its streams for the 30 s of
// hard-stop-after.
func (b *balancer) reload() error {
	loaded := b.loaded()
	if err := b.signal(syscall.SIGUSR2); err != nil {
		return err
	}
	return b.await(loaded)
}

// patience is how long a test waits for what should take moments: a loaded
// machine is slow, and a quick one never waits it out.
const patience = time.Minute
