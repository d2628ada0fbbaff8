package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// spareFiles are the descriptors of a process that are no subscriber's sockets.
const spareFiles = 64

const (
	// perSource is how many connections share a source address on loopback.
	// Linux finds a free port at once only while less than half of the 28,232 of
	// its usual range are taken towards an address; a storm takes twice as many
	// as there are subscribers, because the ports of the streams that were left
	// stay taken for a while (TIME_WAIT).
	perSource = 5_000
	// fewSubscribers do not need any of this.
	fewSubscribers = 2_000
)

// checkHost returns what this machine has against the flags.
func (o *options) checkHost() error {
	for _, s := range o.sources {
		if net.ParseIP(s) == nil {
			return fmt.Errorf("-source-ips: %q is not an IP address", s)
		}
	}
	per := (o.subscribers + o.processes - 1) / o.processes
	if limit := fileLimit(); per+spareFiles > limit {
		need := (o.subscribers + limit - spareFiles - 1) / max(limit-spareFiles, 1)
		return fmt.Errorf("%d subscribers in one process exceed its limit of %d files; use -processes %d or raise the limit (ulimit -n)", per, limit, need)
	}
	if _, err := readProc(o.pids); err != nil {
		return fmt.Errorf("-pids: %w", err)
	}
	return o.checkAddresses()
}

// checkAddresses returns what is wrong with the URLs. Nothing is connected to.
func (o *options) checkAddresses() error {
	cfg := o.workerConfig("")
	targets, returns, err := cfg.resolveTargets()
	if err != nil {
		return err
	}
	o.spreadSources(append(targets, returns...))
	switch {
	case o.engine != engineAuto && o.engine != engineEpoll && o.engine != engineGoroutine:
		return fmt.Errorf("-engine %q is not auto, epoll or goroutine", o.engine)
	case o.engine == engineEpoll && !epollSupported:
		return errors.New("-engine epoll exists only on Linux")
	case o.engine == engineEpoll && (usesTLS(targets) || usesTLS(returns)):
		return errors.New("-engine epoll does not speak TLS; leave it out for https")
	case o.publish != publishRedis:
		return nil
	}
	client, err := newRedis(o.redis, 1)
	if err != nil {
		return fmt.Errorf("-redis: %w", err)
	}
	return client.Close()
}

// spreadSources takes other loopback addresses as sources when there are many
// subscribers, or the port search of connect, not the server, would set the
// pace. They differ from run to run, because the ports of the run before are
// still taken too. Only Linux has all of 127.0.0.0/8.
func (o *options) spreadSources(targets []target) {
	if len(o.sources) > 0 || !epollSupported || o.subscribers <= fewSubscribers {
		return
	}
	for _, t := range targets {
		if v4 := t.addr.IP.To4(); v4 == nil || v4[0] != 127 {
			return
		}
	}
	prefix := fmt.Sprintf("127.%d", 1+rand.IntN(254))
	for i := range (o.subscribers + perSource - 1) / perSource {
		o.sources = append(o.sources, fmt.Sprintf("%s.%d.%d", prefix, i/250, i%250+1))
	}
}
