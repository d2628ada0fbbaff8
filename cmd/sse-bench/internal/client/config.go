package client

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Config is what the subscribers need to know. It travels to worker processes as
// JSON and does not change afterwards.
type Config struct {
	Run          string        `json:"run"`         // tells this run's events from all others
	Native       bool          `json:"native"`      // the servers are this project's gateway
	Targets      []string      `json:"targets"`     // URLs
	Returns      []string      `json:"returns"`     // where streams go after OpLeave; none: Targets
	Headers      []string      `json:"headers"`     // "Name: value"
	Insecure     bool          `json:"insecure"`    // certificates are not verified
	Compressed   bool          `json:"compressed"`  // streams must have the content coding gzip
	ChannelName  string        `json:"channelName"` // with {n}
	Channels     int           `json:"channels"`
	ChannelsEach int           `json:"channelsEach"`
	First        int           `json:"first"` // number of this process's first subscriber
	Count        int           `json:"count"`
	Engine       string        `json:"engine"`
	Inflight     int           `json:"inflight"` // of this process: between SYN and response head
	Retry        time.Duration `json:"retry"`    // until the server sends retry:
	Sources      []string      `json:"sources"`
}

// ChannelOf returns the index of the channel that is number i of a subscriber.
func (c *Config) ChannelOf(subscriber, i int) int {
	return (subscriber*c.ChannelsEach + i) % c.Channels
}

// Name returns the name of a channel by its index.
func (c *Config) Name(index int) string {
	return strings.ReplaceAll(c.ChannelName, "{n}", strconv.Itoa(index))
}

// sourceIP returns the source address of a subscriber, nil for any.
func (c *Config) sourceIP(index int) net.IP {
	if len(c.Sources) == 0 {
		return nil
	}
	return net.ParseIP(c.Sources[index%len(c.Sources)])
}

// resolve reads both address lists.
func (c *Config) resolve() (targets, returns []target, err error) {
	if targets, err = c.resolveList(c.Targets); err != nil {
		return nil, nil, err
	}
	if len(c.Returns) == 0 {
		return targets, targets, nil
	}
	returns, err = c.resolveList(c.Returns)
	return targets, returns, err
}

func (c *Config) resolveList(urls []string) ([]target, error) {
	read := newURLTarget
	if c.Native {
		read = newGatewayTarget
	}
	list := make([]target, 0, len(urls))
	for _, u := range urls {
		t, err := read(u)
		if err != nil {
			return nil, fmt.Errorf("address: %w", err)
		}
		list = append(list, t)
	}
	return list, nil
}

// Check returns what is wrong with the addresses and the engine. Nothing is
// connected to. loopback tells that every address is one of 127.0.0.0/8.
func (c *Config) Check() (loopback bool, err error) {
	targets, returns, err := c.resolve()
	if err != nil {
		return false, err
	}
	loopback = true
	for _, t := range append(targets, returns...) {
		v4 := t.addr.IP.To4()
		loopback = loopback && v4 != nil && v4[0] == 127
	}
	for _, s := range c.Sources {
		if net.ParseIP(s) == nil {
			return false, fmt.Errorf("source %q is not an IP address", s)
		}
	}
	if c.Engine == EngineEpoll && (!EpollSupported || usesTLS(targets, returns)) {
		return false, fmt.Errorf("the engine %s exists only on Linux and speaks no TLS", EngineEpoll)
	}
	return loopback, nil
}
